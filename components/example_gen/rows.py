"""Reads the rows of a split one by one, for nodes after the ExampleGen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from components.example_gen.tfrecord import read_records


def read_examples(folder: Path) -> Iterator[tf.train.Example]:
    """The examples of all shards in `folder`, in the order of the shards' names.

    Raises:
        PipelineError: a shard is damaged.
    """
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        with path.open("rb") as file:
            for record in read_records(file, str(path)):
                yield tf.train.Example.FromString(record)


def text_of(example: tf.train.Example, column: str) -> bytes:
    """The first value of a column, b"" if there is none."""
    values = example.features.feature[column].bytes_list.value
    return bytes(values[0]) if values else b""
