"""Reads the rows of a split one by one, for nodes after the ExampleGen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from components.example_gen.tfrecord import read_records


def read_examples(folder: Path) -> Iterator[tf.train.Example]:
    """The examples of all shards in `folder`, in the order of the shards' names.

    Raises:
        PipelineError: a shard is damaged.
    """
    yield from map(tf.train.Example.FromString, _records(folder))


def read_some_examples(folder: Path, wanted: Iterable[int]) -> Iterator[tuple[int, tf.train.Example]]:
    """(index, example) of the rows with the given indices, which must ascend; other rows are not parsed.

    Raises:
        PipelineError: a shard is damaged.
    """
    remaining = iter(wanted)
    upcoming = next(remaining, None)
    for index, record in enumerate(_records(folder)):
        if upcoming is None:
            return
        if index == upcoming:
            yield index, tf.train.Example.FromString(record)
            upcoming = next(remaining, None)


def _records(folder: Path) -> Iterator[bytes]:
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        with path.open("rb") as file:
            yield from read_records(file, str(path))


def text_of(example: tf.train.Example, column: str) -> bytes:
    """The first value of a column, b"" if there is none."""
    values = example.features.feature[column].bytes_list.value
    return bytes(values[0]) if values else b""
