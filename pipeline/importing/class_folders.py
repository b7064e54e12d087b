"""Reads a folder with one folder of text files per class.

Nothing outside of the folder is read, and every file that is skipped is reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.errors import PipelineError
from pipeline.importing.rows import ReadNotes, ReadOptions, Row, positions
from pipeline.importing.text_files import whole_text

_COLUMNS = ("text", "label", "file")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".bz2")


def read_folder(path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """Yields a row for each file `<path>/<label>/*.txt`, with the columns text, label and file (`<label>/<name>`).

    `path` itself may be a link. A link inside the folder is followed if its target is inside the folder too.

    Raises:
        UsageError: another column is requested.
        PipelineError: there is no class, a class has no text, or a link is broken or points outside of the folder.
    """
    wanted = positions(path, _COLUMNS, columns)
    root = path.resolve()
    for label in _labels(path, root, notes):
        empty = True
        # Not sorted, to save memory: the split does not depend on the order.
        for entry in os.scandir(path / label):
            if not _is_text(entry, root, notes):
                continue
            empty = False
            name = f"{label}/{entry.name}"
            row = (whole_text(Path(entry.path), options, notes), label, name)
            yield Row(name, [row[position] for position in wanted])
        if empty:
            raise PipelineError(f"{path / label}: contains no .txt file; one text per .txt file is expected")


def _labels(path: Path, root: Path, notes: ReadNotes) -> list[str]:
    labels, tables = [], []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if not Path(entry.path).is_file():  # files at this level are not read, so their links do not matter
            _check_link(entry, root)
        if entry.is_dir():
            labels.append(entry.name)
            _note_link(entry, notes)
            continue
        if entry.name.lower().endswith(_TABLES):
            tables.append(entry.name)
        elif entry.name.lower().endswith(".txt"):
            notes.not_read.add(entry.path)
    if not labels:
        hint = f"; to import the files in it, name them, such as {path / tables[0]}" if tables else ""
        raise PipelineError(
            f"{path}: contains no folder; put the .txt files of each class into a folder named after the class{hint}"
        )
    return labels


def _is_text(entry: os.DirEntry[str], root: Path, notes: ReadNotes) -> bool:
    is_text = entry.name.lower().endswith(".txt")
    if entry.name.startswith("."):
        if is_text:
            notes.not_read.add(entry.path)
        return False
    if is_text:
        _check_link(entry, root)
        is_text = entry.is_file()
    if is_text:
        _note_link(entry, notes)
    else:
        notes.not_read.add(entry.path)
    return is_text


def _check_link(entry: os.DirEntry[str], root: Path) -> None:
    if not entry.is_symlink():
        return
    target = os.readlink(entry.path)
    try:
        real = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        raise PipelineError(f"{entry.path}: a broken link (to {target}): remove it") from None
    if not real.is_relative_to(root):
        raise PipelineError(
            f"{entry.path}: a link to {real}, which is outside of {root}: replace it by a copy, or remove it"
        )


def _note_link(entry: os.DirEntry[str], notes: ReadNotes) -> None:
    if entry.is_symlink():
        notes.links.add(entry.path)
