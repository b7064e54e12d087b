"""CoNLL columns: words, tags and texts; lines that do not fit are refused with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.errors import PipelineError, UsageError
from pipeline.importing.conll import read_conll
from pipeline.importing.rows import ReadNotes, ReadOptions, Row


def read(path: Path, columns: tuple[str, ...] = ("words", "tags")) -> list[Row]:
    return list(read_conll(path, columns, ReadOptions(), ReadNotes()))


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8", newline="")
    return path


def test_texts_end_at_empty_lines(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\n \n-DOCSTART- O\nPeter NNP I-NP B-PER\r\n"
    file = written(tmp_path / "train.conll", content)
    assert read(file) == [Row(3, [["EU", "rejects"], ["B-ORG", "O"]]), Row(8, [["Peter"], ["B-PER"]])]
    assert read(file, ("tags", "words"))[1] == Row(8, [["B-PER"], ["Peter"]])
    assert [row.values for row in read(file, ("document",))] == [["train.conll 1"], ["train.conll 2"]]


def test_columns_between_tabs_may_contain_spaces(tmp_path: Path) -> None:
    file = written(tmp_path / "train.conll", "New York\tB-LOC\n#\tO\n\n")
    assert read(file) == [Row(1, [["New York", "#"], ["B-LOC", "O"]])]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "train.conll.gz"
    file.write_bytes(gzip.compress(b"a O\n"))
    assert read(file) == [Row(1, [["a"], ["O"]])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a O\nb\n",
            "line 2: the word 'b' has no tag; every line has a word and, in the last column, its tag",
        ),
        ("a\nb O\n", "line 1: the word 'a' has no tag"),
        (
            "a NN O\n\nb O\n",
            "line 3: 2 columns, but line 1 has 3: 'b O'; separate the columns of all lines in the same way",
        ),
        ("a\tO\nb O\n", "line 2: the word 'b O' has no tag"),
    ],
)
def test_lines_with_other_columns_are_refused(tmp_path: Path, content: str, message: str) -> None:
    file = written(tmp_path / "train.conll", content)
    with pytest.raises(PipelineError) as raised:
        read(file)
    assert str(raised.value).startswith(f"{file} {message}")


def test_other_columns_than_words_and_tags_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "train.conll", "a O\n")
    with pytest.raises(UsageError, match="no column 'text'; columns found: 'words', 'tags', 'document'"):
        read(file, ("text", "tags"))
