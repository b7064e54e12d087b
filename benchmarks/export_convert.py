"""Makes the variants of one format as the Exporter node does; the child process of the part `exports`.

    python -m benchmarks.export_convert FORMAT SAVED_MODEL CHECKPOINT MAX_LENGTH OUT VARIANT...

OUT then is what the node ships: the models, tokenizer.json, labels.txt, classify.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import peak_mib, print_result, reset_peak
from components.exports.format import FORMATS, Export


def main() -> None:
    """Prints variant -> {"seconds", "peak_mib"} of its conversion, "file" and "bytes" of what ships."""
    kind, saved_model, checkpoint, max_length, out = sys.argv[1:6]
    made, folder = FORMATS[kind].load(), Path(out)
    folder.mkdir()
    told = {variant: _converted(made, Path(saved_model), variant, folder) for variant in sys.argv[6:]}
    made.ship_beside(Path(saved_model), Path(checkpoint), int(max_length), ["text"], list(told), folder)
    for variant, facts in told.items():
        [file] = made.files(folder, variant)
        facts |= {"file": str(file), "bytes": file.stat().st_size}
    print_result(told)


def _converted(made: Export, saved_model: Path, variant: str, out: Path) -> dict[str, Any]:
    reset_peak()
    started = time.perf_counter()
    made.convert(saved_model, variant, out)
    return {"seconds": time.perf_counter() - started, "peak_mib": peak_mib()}


if __name__ == "__main__":
    main()
