"""Reads CoNLL columns: a word and its tag on each line, and an empty line after each text.

    EU NNP B-ORG
    rejects VBZ O

    Peter NNP B-PER

The first column is the word and the last one the tag, as in the files of CoNLL-2003; columns are separated by tabs if a file has
any, else by spaces. A line -DOCSTART- begins a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from models.errors import PipelineError
from pipeline.importing.rows import ReadNotes, ReadOptions, Row, positions, short
from pipeline.importing.text_files import decoded_lines

WORDS, TAGS, DOCUMENT = "words", "tags", "document"
_DOCUMENT = "-DOCSTART-"  # the word of a line between documents


def read_conll(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """Yields the words and tags of each text, as lists, and its document, `"train.conll 2"`, with the line of its first word.

    Raises:
        UsageError: other columns than WORDS, TAGS and DOCUMENT.
        PipelineError: a line has another number of columns than the first one, or only one.
    """
    order = positions(path, [WORDS, TAGS, DOCUMENT], columns)
    words, tags, start, document = list[str](), list[str](), 0, 0
    for number, fields in chain(_lines(path, options, notes), [(0, [])]):
        if fields and fields[0] != _DOCUMENT:
            start = start if words else number
            words.append(fields[0])
            tags.append(fields[-1])
            continue
        if words:
            yield Row(start, [(words, tags, f"{path.name} {document}")[index] for index in order])
            words, tags = [], []
        document += bool(fields)


def _lines(path: Path, options: ReadOptions, notes: ReadNotes) -> Iterator[tuple[int, list[str]]]:
    """(number, columns) of every line, without columns for an empty one."""
    separator, first, width = None, 0, 0
    for number, line in enumerate(decoded_lines(path, options, notes), 1):
        line = line.strip("\r\n")
        if not line.strip():
            yield number, []
            continue
        if not width:
            separator = "\t" if "\t" in line else " "
        fields = line.strip(" ").split(separator) if separator == "\t" else line.split()
        if not width and len(fields) > 1 and fields[0] != _DOCUMENT:
            first, width = number, len(fields)
        # Only the columns that are read need not be empty; CoNLL-2003 has "-DOCSTART- -X- O O" and others "-DOCSTART- O".
        if len(fields) != width and fields[0] != _DOCUMENT:
            raise PipelineError(_misfit(path, number, fields, first, width))
        yield number, fields


def _misfit(path: Path, number: int, fields: Sequence[str], first: int, width: int) -> str:
    shown = short(" ".join(fields))
    if len(fields) == 1:
        return f"{path} line {number}: the word {shown} has no tag; every line has a word and, in the last column, its tag"
    return (
        f"{path} line {number}: {len(fields)} columns, but line {first} has {width}: {shown}; separate the columns of all lines "
        "in the same way"
    )
