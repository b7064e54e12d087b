"""Files damaged at random places give either a one-line error that names the file, or a dataset, and no leftovers."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import PipelineError
from pipeline.importing.importer import import_files
from pipeline.importing.rows import ReadOptions

ROWS = [(f"text {i}", "ab"[i % 2]) for i in range(60)]
JUNK = [
    *(
        b"\0",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xe9",
        b"\xed\xa0\x80",
        b"\xe2\x80\xa8",
        b"\x85",
        b"\x1a",
    ),
    *(b'"', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"sep=;\n", b"{", b"}", b"[", b"]", b"null", b"[1,2]"),
    *(b'"label":', b'"label":"a",', b"1e400", b"NaN", b"-Infinity", b"\\ud800", b"1" * 5000, b"[" * 2000),
]


def good(kind: str, folder: Path) -> bytes:
    if kind == "jsonl":
        return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS).encode()
    if kind == "parquet":
        texts, labels = zip(*ROWS, strict=True)
        pq.write_table(pa.table({"text": texts, "label": labels}), folder / "good")
        return (folder / "good").read_bytes()
    separator = {"csv": ",", "tsv": "\t"}[kind]
    return "".join(f"{text}{separator}{label}\n" for text, label in [("text", "label"), *ROWS]).encode()


def broken(content: bytes, rng: random.Random, kind: str) -> bytes:
    if kind != "parquet" and rng.random() < 0.2:
        content = content.decode().encode(
            rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
        )
    for _ in range(rng.randint(1, 5)):
        at = rng.randint(0, len(content))
        cut = rng.choice([0, 0, 1, 1, 20, len(content)])
        content = content[:at] + rng.choice([b"", bytes([rng.randrange(256)]), *JUNK]) + content[at + cut :]
    return content


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_broken_file_is_one_line_or_a_dataset(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / f"x.{kind}"
        path.write_bytes(broken(good(kind, folder), rng, kind))
        (folder / "good").unlink(missing_ok=True)
        options = ReadOptions(None, rng.choice([None, None, "cp1252", "utf-16"]), rng.random() < 0.3)
        message, left = None, {path.name}
        try:
            import_files([path], out_dir=folder / "out", options=options, as_classes=rng.random() < 0.3)
            left.add("out")
        except PipelineError as error:
            message = str(error)
        assert message is None or (str(path) in message and len(message.splitlines()) == 1)
        assert {entry.name for entry in folder.iterdir()} == left
