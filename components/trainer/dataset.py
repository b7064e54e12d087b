"""Reads transformed examples in batches of rows of similar length.

Rows stream from the shards through a shuffle buffer into pools of a few thousand; a pool is sorted by
length and divided into batches, whose order is shuffled. So the rows of a batch have almost the same length,
there is hardly any padding, memory does not grow with the data, and every row occurs once per epoch.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.trainer import windows
from models import features
from models.errors import PipelineError
from models.tasks.task import Task

ROW_WEIGHT = "row_weight"  # float32 [rows]: weight in the loss; 0 for rows that only fill up a batch

PADDING_ID = 0  # the mask tells what is padding, so any id does

Batch = dict[str, tf.Tensor]

_SHUFFLE_ROWS = 50_000  # serialized rows in the shuffle buffer: about 10 MB of sentences
_POOL_BATCHES = 128  # more batches per pool: less padding, but coarser shuffling between pools
_LONG_POOL_BATCHES = 8  # of whole texts that have windows
_SHUFFLE_TOKENS = 25_600_000  # in the shuffle buffer, about 60 MB: fewer rows of long texts
_READ_ROWS = 4096
_READ_LONG_ROWS = 256  # of whole texts that have windows
_BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class SplitSummary:
    """Facts from one pass over a split.

    `label_counts`: sums over rows, from the task's `counts`. `token_ids`: those that occur, ascending. `digest` depends on
    all tokens and labels and on their order.
    """

    rows: int
    sequences: int  # what an epoch trains on: the rows, or the windows of all rows
    tokens: int
    label_counts: tuple[float, ...]
    token_ids: tuple[int, ...]
    digest: str


@dataclass(frozen=True)
class Batching:
    """How rows become batches.

    `bucket_width`: batches are padded to a multiple of this many tokens. `inputs`: names of the model's inputs.
    `fixed_rows`: the last batch of a pool is filled up with rows of weight 0, because replicas or a compiler
    require a fixed shape. `windows`: the rows have windows. `shuffle_rows`: size of the shuffle buffer.
    """

    batch_size: int
    task: Task
    bucket_width: int = 1
    inputs: tuple[str, ...] = (features.INPUT_IDS, features.ATTENTION_MASK)
    class_weights: tuple[float, ...] | None = None
    fixed_rows: bool = False
    windows: bool = False
    shuffle_rows: int = _SHUFFLE_ROWS


def shuffle_rows(summary: SplitSummary) -> int:
    """Size of the shuffle buffer for the rows of a split: texts of 20,000 tokens are not kept by the ten thousands."""
    tokens_of_a_row = summary.tokens / summary.rows
    return max(1, min(_SHUFFLE_ROWS, int(_SHUFFLE_TOKENS / tokens_of_a_row)))


def model_inputs(transformed_spec: Mapping[str, Any], taken: Collection[str]) -> tuple[str, ...]:
    """The inputs of a model trained on such examples: their sequences, and the mask derived from their lengths.

    `{"input_ids": VarLenFeature(int64), "label_id": FixedLenFeature([], int64)}` -> `("input_ids", "attention_mask")`

    What the encoder does not take is dropped here: some tokenizers give token types to an encoder that has none, as
    a BertTokenizer beside DistilBERT does.

    Args:
        transformed_spec: what `TFTransformOutput.transformed_feature_spec()` returns.
        taken: names of the inputs that the encoder takes, INPUTS of its facts.
    """
    sequences = (name for name, spec in transformed_spec.items() if isinstance(spec, tf.io.VarLenFeature))
    return features.model_inputs(name for name in sequences if name in taken)


def list_shards(patterns: Sequence[str]) -> list[str]:
    """The matching files, sorted.

    Raises:
        PipelineError: no file matches.
    """
    shards = sorted({path for pattern in patterns for path in glob.glob(pattern)})
    if not shards:
        raise PipelineError(f"no transformed examples match {list(patterns)}; run Transform again")
    return shards


def summarize_split(
    shards: Sequence[str],
    classes: int,
    vocabulary: int,
    inputs: Sequence[str],
    task: Task,
    has_windows: bool = False,
) -> SplitSummary:
    """Reads a split once; counts rows and checks everything that would make a training step fail later.

    Raises:
        PipelineError: a shard cannot be read, a row has no label or no tokens, a label is outside
            [0, classes) or a token id outside [0, vocabulary).
    """
    labels, counts = task.labels(), np.zeros(1, np.int64)
    count, sequences, tokens, occurs = 0, 0, 0, np.zeros(vocabulary, np.bool_)
    digest, read_rows = hashlib.sha256(), _READ_LONG_ROWS if has_windows else _READ_ROWS
    for shard in shards:
        try:
            _check_whole(shard)
            for rows in _parsed(
                tf.data.TFRecordDataset([shard], _compression(shard)), read_rows, inputs, task, has_windows
            ):
                ids = rows[features.INPUT_IDS]
                lengths = rows.get(features.WINDOW_LENGTHS)
                cuts = ids.row_splits if lengths is None else lengths.flat_values
                count += int(ids.nrows())
                sequences += int(ids.nrows() if lengths is None else tf.size(cuts))
                counts = counts + labels.counts(rows, shard, classes)
                _check_tokens(shard, ids, vocabulary)
                tokens += int(ids.flat_values.shape[0])
                occurs[ids.flat_values.numpy()] = True
                for part in (ids.flat_values, ids.row_splits, cuts, *labels.arrays(rows)):
                    digest.update(np.asarray(part).tobytes())
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, *_BROKEN_GZIP) as error:
            reason = getattr(error, "message", str(error))
            raise PipelineError(f"{shard}: not readable as transformed examples: {reason[:200]}") from error
    return SplitSummary(
        count,
        sequences,
        tokens,
        tuple(counts.tolist()),
        tuple(np.flatnonzero(occurs).tolist()),
        digest.hexdigest(),
    )


def _check_whole(shard: str) -> None:
    """Reads a gzip file to its end, because TensorFlow does not notice a truncation between two records."""
    if _compression(shard):
        with tf.io.gfile.GFile(shard, "rb") as file, gzip.GzipFile(fileobj=file) as content:
            while content.read(1 << 20):
                pass


def _check_tokens(shard: str, ids: tf.RaggedTensor, vocabulary: int) -> None:
    if int(tf.reduce_min(ids.row_lengths())) < 1:
        raise PipelineError(f"{shard}: a row has no {features.INPUT_IDS}; run Transform again")
    largest = int(tf.reduce_max(ids.flat_values))
    if largest >= vocabulary:
        raise PipelineError(
            f"{shard}: token id {largest} is outside the embedding of {vocabulary} rows; "
            "tokenizer and weights belong to different models"
        )


def training_batches(shards: Sequence[str], batching: Batching, seed: int, epoch: int) -> tf.data.Dataset:
    """One epoch, in an order determined by `seed` and `epoch`.

    Returns:
        Batches: the model's inputs int32 [rows, tokens], the task's labels (label_id int32 [rows]),
        row_weight float32 [rows]. A window is a row.
    """
    # Epochs are a large prime apart, so that (seed 0, epoch 1) differs from (seed 1, epoch 0).
    mixed = seed + 1_000_003 * epoch
    rows = _records(shards).shuffle(batching.shuffle_rows, seed=mixed, reshuffle_each_iteration=False)
    pool_rows = batching.batch_size * _POOL_BATCHES
    if batching.windows:
        texts = _parsed(rows, batching.batch_size, batching.inputs, batching.task, has_windows=True)
        pools = texts.map(lambda some: windows.parsed_windows(some, _stored(batching.inputs))).rebatch(
            pool_rows
        )
    else:
        pools = _parsed(rows, pool_rows, batching.inputs, batching.task)
    return pools.enumerate().flat_map(lambda i, pool: _cut(pool, batching, (mixed, i))).prefetch(2)


def evaluation_batches(shards: Sequence[str], batching: Batching, limit: int = -1) -> tf.data.Dataset:
    """Every row once, in a fixed order that keeps rows of similar length together; shapes as in `training_batches`.

    With windows, the inputs have all windows of the batch's texts, int32 [windows, tokens], and windows.TEXT says
    which text each belongs to.

    Args:
        limit: number of rows to read, from the start of the shards; -1: all.
    """
    pool_batches = _LONG_POOL_BATCHES if batching.windows else _POOL_BATCHES
    rows, pool_rows = _records(shards).take(limit), batching.batch_size * pool_batches
    pools = _parsed(rows, pool_rows, batching.inputs, batching.task, batching.windows)
    return pools.flat_map(lambda pool: _cut(pool, batching, None)).prefetch(2)


def _records(shards: Sequence[str]) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(list(shards), _compression(shards[0]))


def _compression(shard: str) -> str:
    with open(shard, "rb") as file:
        return "GZIP" if file.read(2) == b"\x1f\x8b" else ""


def _parsed(
    records: tf.data.Dataset, rows: int, inputs: Sequence[str], task: Task, has_windows: bool = False
) -> tf.data.Dataset:
    names = [*_stored(inputs), *([features.WINDOW_LENGTHS] if has_windows else [])]
    spec: dict[str, Any] = {name: tf.io.RaggedFeature(tf.int64) for name in names}
    spec |= task.labels().parsing_spec()
    return records.batch(rows).map(lambda serialized: tf.io.parse_example(serialized, spec))


def _stored(inputs: Sequence[str]) -> list[str]:
    return [name for name in inputs if name != features.ATTENTION_MASK]


def _cut(pool: Batch, batching: Batching, seed: tuple[int, tf.Tensor] | None) -> tf.data.Dataset:
    """Divides a pool of rows into batches. With a seed, ties in length and the order of the batches are random."""
    lengths = pool[features.INPUT_IDS].row_lengths()
    rows = tf.range(tf.size(lengths))
    starts = tf.range(0, tf.size(lengths), batching.batch_size)
    if seed is not None:
        pair = tf.stack([tf.constant(seed[0], tf.int64), seed[1]])
        rows = tf.random.experimental.stateless_shuffle(rows, pair)
        starts = tf.random.experimental.stateless_shuffle(starts, pair)
    order = tf.gather(rows, tf.argsort(tf.gather(lengths, rows), stable=True))
    return tf.data.Dataset.from_tensor_slices(starts).map(
        lambda start: _batch(pool, order[start : start + batching.batch_size], batching)
    )


def _batch(pool: Batch, rows: tf.Tensor, batching: Batching) -> Batch:
    labels, sequences = (
        batching.task.labels(),
        {n: tf.gather(pool[n], rows) for n in _stored(batching.inputs)},
    )
    text: Batch = {}
    if features.WINDOW_LENGTHS in pool:
        cuts = tf.gather(pool[features.WINDOW_LENGTHS], rows)
        sequences = windows.rows_of_windows(sequences, cuts)
        text = {windows.TEXT: tf.cast(cuts.value_rowids(), tf.int32)}
    lengths = tf.cast(sequences[features.INPUT_IDS].row_lengths(), tf.int32)
    width = -(-tf.reduce_max(lengths) // batching.bucket_width) * batching.bucket_width
    batch = {name: _padded(values, width) for name, values in sequences.items()}
    batch[features.ATTENTION_MASK] = tf.sequence_mask(lengths, width, tf.int32)
    batch |= text | labels.batch(pool, rows)
    batch[ROW_WEIGHT] = labels.row_weights(batch, batching.class_weights)
    return _filled(batch, batching.batch_size) if batching.fixed_rows else batch


def _padded(ids: tf.RaggedTensor, width: tf.Tensor) -> tf.Tensor:
    dense = tf.cast(ids.to_tensor(PADDING_ID), tf.int32)
    return tf.pad(dense, [[0, 0], [0, width - tf.shape(dense)[1]]], constant_values=PADDING_ID)


def _filled(batch: Batch, rows: int) -> Batch:
    """Adds rows of zeros, and so of weight 0, up to `rows`."""
    missing = rows - tf.shape(batch[ROW_WEIGHT])[0]
    return {
        name: tf.ensure_shape(
            tf.pad(value, [[0, missing]] + [[0, 0]] * (value.shape.rank - 1)),
            [rows] + [None] * (value.shape.rank - 1),
        )
        for name, value in batch.items()
    }
