"""Reads and writes tf.Examples without TensorFlow, so that it works in the peers' environment too.

The message class has its own descriptor pool, so that it does not clash with TensorFlow's.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from components.example_gen.tfrecord import read_records

_FILE = """
name: "benchmark_example.proto" package: "benchmark" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".benchmark.BytesList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".benchmark.Int64List" oneof_index: 0 }
  oneof_decl { name: "kind" }
}
message_type {
  name: "Features"
  field {
    name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".benchmark.Features.FeatureEntry"
  }
  nested_type {
    name: "FeatureEntry"
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".benchmark.Feature" }
    options { map_entry: true }
  }
}
message_type { name: "Example" field { name: "features" number: 1 type: TYPE_MESSAGE type_name: ".benchmark.Features" } }
"""


@functools.cache
def example_class() -> Any:
    """Returns a message class with the wire format of tf.train.Example."""
    file = text_format.Parse(_FILE, descriptor_pb2.FileDescriptorProto())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("benchmark.Example"))


def encode_ids(columns: Mapping[str, Sequence[int]]) -> bytes:
    """Returns a serialized tf.Example: `encode_ids({"input_ids": [101, 102], "label_id": [3]})`."""
    example = example_class()()
    for name, values in columns.items():
        example.features.feature[name].int64_list.value.extend(values)
    serialized: bytes = example.SerializeToString()
    return serialized


def read_examples(shards: Sequence[Path]) -> Iterator[Any]:
    """Yields every example of TFRecord shards, which are compressed if their names end in .gz."""
    parse = example_class().FromString
    for shard in shards:
        with shard.open("rb") as file:
            for record in read_records(file, str(shard)):
                yield parse(record)


def read_texts(shards: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yields the values of bytes columns, one tuple per row."""
    for example in read_examples(shards):
        feature = example.features.feature
        yield tuple(feature[name].bytes_list.value[0].decode() for name in columns)


def digest_of_ids(shards: Sequence[Path], columns: Sequence[str]) -> tuple[int, str]:
    """Returns (rows, hex digest) of int64 columns; the digest does not depend on the order of rows or on shards."""
    rows, total = 0, 0
    for example in read_examples(shards):
        feature = example.features.feature
        values = [np.asarray(feature[name].int64_list.value, np.int64) for name in columns]
        row = b"".join(len(v).to_bytes(8, "little") + v.tobytes() for v in values)
        total += int.from_bytes(hashlib.blake2b(row, digest_size=16).digest(), "little")
        rows += 1
    return rows, f"{total % 2**128:032x}"
