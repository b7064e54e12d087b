"""Converts a model to the variants of one format like the Exporter node; a child process of the part `exports`.

    python -m benchmarks.export_convert FORMAT SAVED_MODEL CHECKPOINT MAX_LENGTH OUT VARIANT...

OUT then contains what the node ships: the models, tokenizer.json, labels.txt, classify.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import peak_mib, print_result, reset_peak
from components.exports.format import FORMATS, Export


def main() -> None:
    """Prints variant -> {"seconds", "peak_mib"} of the conversion, "file" and "bytes" of the shipped model."""
    kind, saved_model, checkpoint, max_length, out = sys.argv[1:6]
    export, folder = FORMATS[kind].load(), Path(out)
    folder.mkdir()
    results = {variant: _converted(export, Path(saved_model), variant, folder) for variant in sys.argv[6:]}
    export.ship_beside(Path(saved_model), Path(checkpoint), int(max_length), ["text"], list(results), folder)
    for variant, result in results.items():
        [file] = export.files(folder, variant)
        result |= {"file": str(file), "bytes": file.stat().st_size}
    print_result(results)


def _converted(export: Export, saved_model: Path, variant: str, out: Path) -> dict[str, Any]:
    reset_peak()
    started = time.perf_counter()
    export.convert(saved_model, variant, out)
    return {"seconds": time.perf_counter() - started, "peak_mib": peak_mib()}


if __name__ == "__main__":
    main()
