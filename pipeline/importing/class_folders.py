"""A folder with one folder of text files per class: nothing outside of it is read, and nothing left out in silence."""

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
    """`<path>/<label>/*.txt`, one text a file; columns text, label and file (`<label>/<name>`).

    `path` itself may be a link. A link in it is followed where it leads to a place inside.

    Raises:
        UsageError: another column is asked for.
        PipelineError: no class, a class without a text, or a link that leads outside or nowhere.
    """
    wanted = positions(path, _COLUMNS, columns)
    root = path.resolve()
    for label in _labels(path, root, notes):
        empty = True
        # Not sorted: a list of a million names is memory, and the split does not depend on order.
        for entry in os.scandir(path / label):
            if not _is_text(entry, root, notes):
                continue
            empty = False
            name = f"{label}/{entry.name}"
            row = (whole_text(Path(entry.path), options, notes), label, name)
            yield Row(name, [row[position] for position in wanted])
        if empty:
            raise PipelineError(f"{path / label}: holds no .txt file; one text per .txt file is expected")


def _labels(path: Path, root: Path, notes: ReadNotes) -> list[str]:
    labels, tables = [], []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if not Path(entry.path).is_file():  # of which none is read here, wherever it is
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
        hint = f"; to import the files in it, give them, such as {path / tables[0]}" if tables else ""
        raise PipelineError(
            f"{path}: holds no folder; put the .txt files of each class into a folder of its name{hint}"
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
        raise PipelineError(f"{entry.path}: a link that leads nowhere (to {target}): remove it") from None
    if not real.is_relative_to(root):
        raise PipelineError(
            f"{entry.path}: a link to {real}, outside of {root}, from where nothing is read: put a copy in its place, "
            f"or remove it"
        )


def _note_link(entry: os.DirEntry[str], notes: ReadNotes) -> None:
    if entry.is_symlink():
        notes.links.add(entry.path)
