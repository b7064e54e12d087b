"""Executor of TFRecordExampleGen: verifies every record and copies the shards in one Beam pass."""

from __future__ import annotations

import contextlib
import gzip
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from tensorflow.core.example import example_pb2
from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.example_gen.beam_errors import original_error
from components.example_gen.tfrecord import FRAME_SIZE, GZIP_SUFFIX, broken, read_records
from models.errors import PipelineError

_OUTPUT_NAME = write_split.DEFAULT_TF_RECORD_FILE_NAME


class ShardCopy(NamedTuple):
    """One shard to copy."""

    split: str
    source: str | None  # None: the target is empty
    target: str
    aside: str  # prefix of the temporary file that is renamed to `target` when it is complete


class ShardContent(NamedTuple):
    """What a verified shard contains."""

    split: str
    source: str | None
    rows: int
    kinds: dict[str, tuple[str, int]]  # column -> its type ("bytes") and the first record that has it


def parse_example(record: bytes) -> example_pb2.Example:
    """Parses a tf.Example.

    Raises:
        ValueError: the record does not parse, has no feature or is another message.
    """
    try:
        example = example_pb2.Example.FromString(record)
    except DecodeError:
        raise ValueError(
            f"not a tf.Example: its {len(record)} bytes do not parse, they start with {record[:20]!r}"
        ) from None
    if not example.features.feature:
        raise ValueError(
            f"not a tf.Example: no feature in its {len(record)} bytes, they start with {record[:20]!r}"
        )
    if len(UnknownFieldSet(example)):
        raise ValueError("not a tf.Example: it has fields other than `features` (a tf.SequenceExample?)")
    return example


def note_kinds(kinds: dict[str, tuple[str, int]], example: example_pb2.Example, index: int) -> None:
    """Adds the type of each column of record `index` to `kinds`.

    Raises:
        ValueError: a column had another type in an earlier record; no later node can read such a shard.
    """
    for column, feature in example.features.feature.items():
        kind = (feature.WhichOneof("kind") or "").removesuffix("_list")
        if not kind:
            continue
        earlier, first = kinds.setdefault(column, (kind, index))
        if kind != earlier:
            raise ValueError(f"column {column!r} holds {kind} here and {earlier} in record {first}")


def copy_shard(copy: ShardCopy) -> ShardContent:
    """Verifies and copies one shard. `target` is always gzip; equal input gives equal bytes.

    Raises:
        PipelineError: the shard cannot be read; the message names the record.
    """
    aside = f"{copy.aside}{uuid.uuid4().hex}"  # unique, so that retried bundles do not collide
    kinds: dict[str, tuple[str, int]] = {}
    with _create(aside, compress=copy.source is None or not copy.source.endswith(GZIP_SUFFIX)) as sink:
        rows = _copy_records(copy.source, sink, kinds) if copy.source else 0
    FileSystems.rename([aside], [copy.target])
    return ShardContent(copy.split, copy.source, rows, kinds)


def _copy_records(path: str, sink: Any, kinds: dict[str, tuple[str, int]]) -> int:
    rows = offset = 0
    with _open(path) as source:
        for record in read_records(source, path, sink):
            try:
                note_kinds(kinds, parse_example(record), rows)
            except ValueError as error:
                raise broken(path, rows, offset, str(error)) from None
            rows += 1
            offset += FRAME_SIZE + len(record)
    return rows


@contextlib.contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    try:
        file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error})") from error
    with file:
        yield file


@contextlib.contextmanager
def _create(path: str, compress: bool) -> Iterator[Any]:
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        if compress:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressor:
                yield compressor
        else:
            yield file


def find_shards(input_base: str, split: example_gen_pb2.Input.Split) -> list[str]:
    """Returns the shards that match the split's pattern, sorted; empty if there is none."""
    pattern = posixpath.join(input_base, split.pattern)
    return sorted(m.path for m in FileSystems.match([pattern])[0].metadata_list)


def plan_copies(
    input_base: str, splits: Iterable[example_gen_pb2.Input.Split], examples: types.Artifact
) -> list[ShardCopy]:
    """Returns one copy per shard: `train-00001-of-00002.tfrecord` -> `Split-train/data_tfrecord-00001-of-00002.gz`.

    A split without shards gets an empty one; the data gate decides whether a run may continue without it.

    Raises:
        PipelineError: the folder does not exist, or no split has a shard.
    """
    shards_of = {split.name: find_shards(input_base, split) for split in splits}
    if not any(shards_of.values()):
        patterns = ", ".join(split.pattern for split in splits)
        what = f"no file matches {patterns}" if FileSystems.exists(input_base) else "no such folder"
        raise PipelineError(f"{input_base}: {what}; run `make data`, or correct data.path and data.splits")
    _refuse_shared_shards(shards_of)
    return [copy for split, shards in shards_of.items() for copy in _split_copies(split, shards, examples)]


def _refuse_shared_shards(shards_of: dict[str, list[str]]) -> None:
    """A model evaluated on rows that it was trained on always looks good."""
    split_of: dict[str, str] = {}
    for split, shards in shards_of.items():
        for shard in shards:
            if shard in split_of:
                raise PipelineError(
                    f"{shard} is in the splits {split_of[shard]!r} and {split!r}; correct the patterns of data.splits"
                )
            split_of[shard] = split


def _split_copies(split: str, shards: list[str], examples: types.Artifact) -> list[ShardCopy]:
    folder = artifact_utils.get_split_uri([examples], split)
    total = max(len(shards), 1)
    return [
        ShardCopy(
            split=split,
            source=source,
            target=posixpath.join(folder, f"{_OUTPUT_NAME}-{index:05d}-of-{total:05d}.gz"),
            # Not in the split's folder, where every file is read as a shard.
            aside=posixpath.join(examples.uri, f".copying-{split}-{index:05d}-"),
        )
        for index, source in enumerate(shards or [None])
    ]


def check_together(contents: list[ShardContent], input_base: str) -> None:
    """Checks all shards together.

    Raises:
        PipelineError: no shard has a record, or shards of one split disagree on the type of a column.
    """
    contents = sorted(contents, key=lambda content: content.source or "")
    if not any(content.rows for content in contents):
        shards = [posixpath.basename(content.source) for content in contents if content.source]
        more = f" and {len(shards) - 1} more" if len(shards) > 1 else ""
        raise PipelineError(f"{input_base}: no record at all in {shards[0]}{more}; make the data again")
    types_seen: dict[tuple[str, str], tuple[str, str | None]] = {}
    for content in contents:
        for column, (kind, index) in content.kinds.items():
            earlier, shard = types_seen.setdefault((content.split, column), (kind, content.source))
            if kind != earlier:
                raise PipelineError(
                    f"{content.source}: record {index}: column {column!r} holds {kind} here "
                    f"and {earlier} in {shard}; write the same type in all shards of split {content.split!r}"
                )


def _run(pipeline: beam.Pipeline, copies: list[ShardCopy], input_base: str) -> None:
    (
        pipeline
        | "Shards" >> beam.Create(copies)
        | "Spread" >> beam.Reshuffle()
        | "VerifyAndCopy" >> beam.Map(copy_shard)
        | "Together" >> beam.combiners.ToList()
        | "CheckTogether" >> beam.Map(check_together, input_base)
    )


class Executor(base_beam_executor.BaseBeamExecutor):
    """Copies shards one to one: same records in the same order, so equal input gives equal output.

    TFX's own ImportExampleGen shuffles in memory, in a different order each time; this one needs one
    buffer per shard and leaves shuffling to the Trainer.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `examples` with gzip TFRecords of tf.Examples, one folder per split.

        Raises:
            PipelineError: the folder is missing, there is no record, or a shard is damaged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        input_config = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], input_config)
        input_base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
        examples.split_names = artifact_utils.encode_split_names(
            [split.name for split in input_config.splits]
        )
        copies = plan_copies(input_base, input_config.splits, examples)
        for folder in sorted({posixpath.dirname(copy.target) for copy in copies}):
            if not FileSystems.exists(folder):
                FileSystems.mkdirs(folder)
        try:
            with self._make_beam_pipeline() as pipeline:
                _run(pipeline, copies, input_base)
        except Exception as error:
            original = original_error(error)
            if original is error:
                raise
            raise original from None  # Beam's traceback adds a hundred lines but no information
        examples.split_names = artifact_utils.encode_split_names(
            [split.name for split in input_config.splits]
        )
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP)
        )
