"""Importing loads little, and its memory does not grow with the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# VmHWM, not ru_maxrss: the latter starts from the parent's peak.
_IMPORT = """
import sys
from pathlib import Path
from pipeline.importing.importer import import_files
import_files([Path(sys.argv[1])], out_dir=Path(sys.argv[2]))
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def peak_kib(path: Path, out: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(path), str(out)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def write(path: Path, rows: int) -> Path:
    texts = ((f"{i} " + "some words of a text " * 8, i % 5) for i in range(rows))
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("text,label\n")
            file.writelines(f"{text},{label}\n" for text, label in texts)
        elif path.suffix == ".jsonl":
            file.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            columns = list(zip(*texts, strict=True))
            pq.write_table(pa.table({"text": columns[0], "label": columns[1]}), path, compression="none")
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_memory_is_flat_while_rows_grow_100_times(tmp_path: Path, suffix: str) -> None:
    small = peak_kib(write(tmp_path / f"small.{suffix}", 800), tmp_path / "small")
    large_file = write(tmp_path / f"large.{suffix}", 80_000)
    large = peak_kib(large_file, tmp_path / "large")
    # The rows alone are 14 MB as text, far more as Python objects.
    assert large_file.stat().st_size > 13e6
    assert large - small < 10 * 1024


def test_importing_the_package_imports_neither_tensorflow_nor_arrow() -> None:
    code = (
        "import sys, pipeline.importing.importer, pipeline.importing.recipes\n"
        "print([m for m in ('tensorflow', 'tfx', 'pyarrow', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
