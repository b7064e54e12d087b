"""Bucketed batches: every row once per epoch, little padding, the same order for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import dataset
from components.trainer.dataset import Batching
from models.errors import PipelineError
from tests.components.trainer.conftest import INPUTS, TASK

# Row i has the token i + 10, repeated for its length, so that a batch shows which rows it has.
LENGTHS = [3 + (i * 7) % 20 for i in range(230)]
ROWS = [([i + 10] * length, i % 3) for i, length in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, write_rows: Callable[..., Path]) -> list[str]:
    folder = tmp_path_factory.mktemp("rows")
    return [str(write_rows(folder / f"part-{i}.gz", ROWS[i * 115 : (i + 1) * 115])) for i in range(2)]


def read(batches: Any) -> list[dict[str, np.ndarray]]:
    return [{name: value.numpy() for name, value in batch.items()} for batch in batches]


def row_numbers(batches: list[dict[str, np.ndarray]]) -> list[int]:
    return [int(ids) - 10 for batch in batches for ids in batch["input_ids"][:, 0]]


def test_every_row_comes_once_per_epoch_with_its_label_and_length(shards: list[str]) -> None:
    batches = read(dataset.training_batches(shards, Batching(16, TASK), seed=0, epoch=0))
    assert sorted(row_numbers(batches)) == list(range(230))
    for batch in batches:
        rows = batch["input_ids"][:, 0] - 10
        assert batch["label_id"].tolist() == [i % 3 for i in rows]
        assert batch["attention_mask"].sum(axis=1).tolist() == [LENGTHS[i] for i in rows]
        assert batch["row_weight"].tolist() == [1.0] * len(rows)


def test_only_the_last_batch_of_a_pool_is_short(shards: list[str]) -> None:
    sizes = [len(b["label_id"]) for b in read(dataset.training_batches(shards, Batching(16, TASK), 0, 0))]
    assert sorted(sizes) == [230 % 16] + [16] * (230 // 16)


def test_batches_hold_rows_of_alike_length(shards: list[str]) -> None:
    batches = read(dataset.training_batches(shards, Batching(10, TASK), 0, 0))
    slots = sum(b["input_ids"].size for b in batches)
    # Unsorted batches of these rows would be padded by about 70%.
    assert slots <= 1.05 * sum(LENGTHS)


@pytest.mark.parametrize("width", [1, 4, 8])
def test_batches_are_padded_to_the_next_multiple_of_the_bucket_width(shards: list[str], width: int) -> None:
    batches = read(dataset.training_batches(shards, Batching(16, TASK, bucket_width=width), 0, 0))
    assert len(batches) == 15  # of 230 rows
    for batch in batches:
        longest = batch["attention_mask"].sum(axis=1).max()
        padded = batch["input_ids"].shape[1]
        assert padded % width == 0
        assert longest <= padded < longest + width


def test_order_depends_on_seed_and_epoch_only(shards: list[str]) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return row_numbers(read(dataset.training_batches(shards, Batching(16, TASK), seed, epoch)))

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*pair)) for pair in [(0, 0), (0, 1), (1, 0), (1, 1)]}) == 4


def test_batches_do_not_come_sorted_by_length(shards: list[str]) -> None:
    batches = read(dataset.training_batches(shards, Batching(16, TASK), 0, 0))
    widths = [batch["input_ids"].shape[1] for batch in batches]
    assert widths != sorted(widths)


def test_evaluation_reads_every_row_in_a_fixed_order(shards: list[str]) -> None:
    orders = [row_numbers(read(dataset.evaluation_batches(shards, Batching(32, TASK)))) for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(230))


def test_a_limit_keeps_the_first_rows_whatever_their_length(shards: list[str]) -> None:
    assert sorted(row_numbers(read(dataset.evaluation_batches(shards, Batching(32, TASK), limit=50)))) == [
        *range(50)
    ]


def test_fixed_rows_are_filled_up_with_weight_zero(shards: list[str]) -> None:
    batches = read(dataset.training_batches(shards, Batching(16, TASK, fixed_rows=True), 0, 0))
    assert {len(b["label_id"]) for b in batches} == {16}
    assert sum(b["row_weight"].sum() for b in batches) == 230.0


def test_class_weights_become_row_weights(shards: list[str]) -> None:
    batching = Batching(16, TASK, class_weights=(0.5, 1.0, 2.0))
    for batch in read(dataset.training_batches(shards, batching, 0, 0)):
        assert batch["row_weight"].tolist() == [(0.5, 1.0, 2.0)[i] for i in batch["label_id"]]


def test_pools_of_a_large_split_keep_every_row(shards: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_POOL_BATCHES", 3)
    monkeypatch.setattr(dataset, "_SHUFFLE_ROWS", 20)
    batches = read(dataset.training_batches(shards, Batching(8, TASK), 0, 0))
    assert sorted(row_numbers(batches)) == list(range(230))
    assert len(batches) == -(-230 // 8)


def test_summary_counts_rows_tokens_and_labels(shards: list[str]) -> None:
    summary = dataset.summarize_split(shards, classes=3, vocabulary=300, inputs=INPUTS, task=TASK)
    assert (summary.rows, summary.tokens, summary.label_counts) == (230, sum(LENGTHS), (77, 77, 76))


def test_digest_changes_with_one_token(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    digests = []
    for name, token in (("a", 4), ("b", 4), ("c", 5)):
        path = write_rows(tmp_path / f"{name}.gz", [([2, token, 3], 0), ([2, 3], 1)])
        digests.append(dataset.summarize_split([str(path)], 2, 10, INPUTS, TASK).digest)
    assert digests[0] == digests[1] != digests[2]


def test_summary_lists_the_token_ids_that_occur(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    path = write_rows(tmp_path / "rows.gz", [([2, 7, 3], 0), ([2, 5, 3], 1)])
    assert dataset.summarize_split([str(path)], 2, 10, INPUTS, TASK).token_ids == (2, 3, 5, 7)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (([2, 4, 3], -1), "label id -1 in 1 rows is outside the label list of 2"),
        (([2, 4, 3], 2), "label id 2 in 1 rows is outside the label list of 2"),
        (([2, 99, 3], 0), "token id 99 is outside the embedding of 50 rows"),
        (([], 0), "a row has no input_ids"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, write_rows: Callable[..., Path], row: Any, message: str
) -> None:
    path = write_rows(tmp_path / "rows.gz", [([2, 4, 3], 0), row])
    with pytest.raises(PipelineError, match=message):
        dataset.summarize_split([str(path)], classes=2, vocabulary=50, inputs=INPUTS, task=TASK)


def test_truncated_shard_is_named(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    path = write_rows(tmp_path / "rows.gz", ROWS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PipelineError, match=r"rows\.gz: not readable"):
        dataset.summarize_split([str(path)], classes=3, vocabulary=300, inputs=INPUTS, task=TASK)


def test_patterns_without_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no transformed examples match"):
        dataset.list_shards([str(tmp_path / "*")])


def test_inputs_are_the_sequences_of_the_transformed_examples_and_the_mask() -> None:
    sequence, label = tf.io.VarLenFeature(tf.int64), tf.io.FixedLenFeature([], tf.int64)
    taken = ("input_ids", "attention_mask", "token_type_ids")
    spec = {"label_id": label, "input_ids": sequence}
    assert dataset.model_inputs(spec, taken) == ("input_ids", "attention_mask")
    spec = {"token_type_ids": sequence, "input_ids": sequence, "label_id": sequence}
    assert dataset.model_inputs(spec, taken) == taken
    # DistilBERT has no token types; its tokenizer's are dropped.
    assert dataset.model_inputs(spec, ("input_ids", "attention_mask")) == ("input_ids", "attention_mask")


def test_every_stored_input_is_padded_alike(tmp_path: Path) -> None:
    rows = [
        {"input_ids": [2, 7, 3], "token_type_ids": [0, 0, 1], "label_id": [1]},
        {"input_ids": [2, 3], "token_type_ids": [0, 1], "label_id": [0]},
    ]
    with tf.io.TFRecordWriter(str(tmp_path / "rows")) as writer:
        for row in rows:
            feature = {k: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for k, v in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    batching = Batching(2, TASK, bucket_width=4, inputs=("input_ids", "attention_mask", "token_type_ids"))
    [batch] = dataset.evaluation_batches([str(tmp_path / "rows")], batching)
    assert {name: values.numpy().tolist() for name, values in batch.items()} == {
        "input_ids": [[2, 3, 0, 0], [2, 7, 3, 0]],
        "attention_mask": [[1, 1, 0, 0], [1, 1, 1, 0]],
        "token_type_ids": [[0, 1, 0, 0], [0, 0, 1, 0]],
        "label_id": [0, 1],
        "row_weight": [1.0, 1.0],
    }


def test_fewer_long_texts_are_shuffled_at_a_time():
    short = dataset.SplitSummary(1000, 1000, 300_000, (), (), "")
    long = dataset.SplitSummary(1000, 40_000, 20_000_000, (), (), "")
    assert (dataset.shuffle_rows(short), dataset.shuffle_rows(long)) == (50_000, 1280)
