"""Reads back what the importer wrote, without TensorFlow (test_tensorflow_reads.py compares with it)."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.importing.import_report import ImportReport
from pipeline.importing.importer import import_files
from pipeline.importing.tfrecord import _example_class

Rows = list[dict[str, str]]


def _records(path: Path) -> list[bytes]:
    content, position, found = gzip.decompress(path.read_bytes()), 0, []
    while position < len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        found.append(content[position + 12 : position + 12 + length])
        position += length + 16
    return found


@pytest.fixture
def rows_of() -> Callable[..., Rows]:
    """rows_of(folder, split="*"): the examples as dicts of text, in the order of the files."""

    def read(folder: Path, split: str = "*") -> Rows:
        found = []
        for shard in sorted(folder.glob(f"{split}-*.tfrecord.gz")):
            for record in _records(shard):
                features = _example_class().FromString(record).features.feature
                found.append({key: features[key].bytes_list.value[0].decode() for key in sorted(features)})
        return found

    return read


@pytest.fixture
def import_csv(tmp_path: Path) -> Callable[..., tuple[ImportReport, Path]]:
    """import_csv(text, **options): imports a CSV of that content; returns the report and the folder."""

    def run(content: str | bytes, **options: Any) -> tuple[ImportReport, Path]:
        path = tmp_path / "rows.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        out = options.setdefault("out_dir", tmp_path / "out")
        return import_files([path], **options), out

    return run


@pytest.fixture
def plain_csv() -> Callable[..., str]:
    """plain_csv(n): n rows `text,label` of different texts with the labels yes and no in turn."""

    def make(rows: int) -> str:
        lines = [f"sentence number {i},{'yes' if i % 2 else 'no'}" for i in range(rows)]
        return "text,label\n" + "\n".join(lines) + "\n"

    return make
