"""Texts of several windows: as rows for training, and joined for scores and answers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import dataset, progress, windows
from components.trainer.dataset import Batching
from components.trainer.history import read_history
from components.trainer.run_fn import run_fn
from components.trainer.windows import parsed_windows, text_logits
from own_parts.metrics import ExpectedCost
from tests.components.trainer.conftest import INPUTS, TASK
from tests.components.trainer.test_run_fn import custom_config, fn_args, transform

# Four texts of 2, 1, 3 and 1 windows.
TEXTS = [
    ([2, 11, 12, 3, 2, 12, 13, 3], [4, 4], 0),
    ([2, 21, 3], [3], 1),
    ([2, 31, 32, 3, 2, 32, 33, 3, 2, 33, 3], [4, 4, 3], 2),
    ([2, 3], [2], 0),
]


def ints(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write_texts(path: Path, texts: list[tuple[list[int], list[int], int]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for ids, lengths, label in texts:
            feature = {"input_ids": ints(ids), "window_lengths": ints(lengths), "label_id": ints([label])}
            message = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(message.SerializeToString())
    return str(path)


@pytest.fixture
def shard(tmp_path: Path) -> str:
    return write_texts(tmp_path / "part.gz", TEXTS)


BATCHING = Batching(3, TASK, inputs=INPUTS, windows=True)


def real_ids(batch: Mapping[str, Any]) -> list[tuple[int, ...]]:
    kept = zip(batch["input_ids"].numpy(), batch["attention_mask"].numpy(), strict=True)
    return [tuple(ids[mask == 1].tolist()) for ids, mask in kept]


def test_each_window_becomes_a_row_with_the_label_of_its_text() -> None:
    rows = {
        "input_ids": tf.ragged.constant([[1, 2, 2, 3], [4]], tf.int64),
        "window_lengths": tf.ragged.constant([[2, 2], [1]], tf.int64),
        "label_id": tf.constant([7, 8]),
    }
    made = parsed_windows(rows, ["input_ids"])
    assert made["input_ids"].to_list() == [[1, 2], [2, 3], [4]]
    assert made["label_id"].numpy().tolist() == [7, 7, 8]
    assert set(made) == {"input_ids", "label_id"}


def test_an_epoch_trains_on_every_window_once(shard: str) -> None:
    summary = dataset.summarize_split([shard], 3, 50, INPUTS, TASK, has_windows=True)
    assert (summary.rows, summary.sequences, summary.label_counts) == (4, 7, (2, 1, 1))
    for epoch in range(2):
        batches = list(dataset.training_batches([shard], BATCHING, seed=3, epoch=epoch))
        assert sorted(len(batch["label_id"]) for batch in batches) == [1, 3, 3]  # as many as are counted
        seen = {
            ids: int(label) for b in batches for ids, label in zip(real_ids(b), b["label_id"], strict=True)
        }
        assert seen == {
            (2, 11, 12, 3): 0,
            (2, 12, 13, 3): 0,
            (2, 21, 3): 1,
            (2, 31, 32, 3): 2,
            (2, 32, 33, 3): 2,
            (2, 33, 3): 2,
            (2, 3): 0,
        }


def test_a_batch_for_scores_has_all_windows_of_its_texts(shard: str) -> None:
    first, last = dataset.evaluation_batches([shard], BATCHING)
    assert real_ids(first) == [(2, 3), (2, 21, 3), (2, 11, 12, 3), (2, 12, 13, 3)]
    assert first[windows.TEXT].numpy().tolist() == [0, 1, 2, 2]
    assert first["label_id"].numpy().tolist() == [0, 1, 0]
    assert first["row_weight"].numpy().tolist() == [1.0, 1.0, 1.0]
    assert last[windows.TEXT].numpy().tolist() == [0, 0, 0]


def sums_of(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Logits that tell which tokens they were made of: their sum and its negative."""
    total = tf.cast(tf.reduce_sum(inputs["input_ids"] * inputs["attention_mask"], axis=1), tf.float32)
    return tf.stack([total, -total], axis=1)


@pytest.mark.parametrize(
    ("aggregate", "wanted"),
    [
        ("mean", [[4.0, -4.0], [7.0, -7.0]]),
        ("max", [[5.0, -3.0], [7.0, -7.0]]),
        ("first", [[3.0, -3.0], [7.0, -7.0]]),
    ],
)
def test_logits_of_windows_become_those_of_their_text(aggregate: str, wanted: list[list[float]]) -> None:
    inputs = {
        "input_ids": tf.constant([[1, 2], [5, 9], [7, 0]]),
        "attention_mask": tf.constant([[1, 1], [1, 0], [1, 0]]),
    }
    made = text_logits(sums_of, inputs, tf.constant([0, 0, 1]), tf.constant(2), aggregate)
    assert made.numpy().tolist() == wanted


@pytest.mark.parametrize("aggregate", ["mean", "max", "first"])
def test_a_batch_without_texts_has_no_logits(aggregate: str) -> None:
    none = tf.zeros([0, 1], tf.int32)
    inputs = {"input_ids": none, "attention_mask": none}
    function = tf.function(lambda text: text_logits(sums_of, inputs, text, tf.size(text), aggregate))
    assert function(tf.zeros([0], tf.int32)).shape == (0, 2)


def test_many_windows_are_classified_a_few_at_a_time_without_common_padding() -> None:
    lengths = [3] * 100 + [1]
    ids = tf.ragged.constant([[1] * n for n in lengths], tf.int32).to_tensor()
    inputs = {"input_ids": ids, "attention_mask": ids}
    shapes: list[tuple[int, ...]] = []

    def noted(chunk: Mapping[str, tf.Tensor]) -> tf.Tensor:
        shapes.append(tuple(chunk["input_ids"].shape))
        return sums_of(chunk)

    made = text_logits(noted, inputs, tf.constant([0] * 100 + [1]), tf.constant(2), "mean")
    assert made.numpy()[:, 0].tolist() == [3.0, 1.0]
    assert shapes == [(32, 3), (32, 3), (32, 3), (5, 3)]


# --- from texts to answers ---------------------------------------------------------------------------

TOPICS = {"animal": "cat", "number": "two", "place": "rome"}
FILL = "the what is of and the "


def long_texts(count: int) -> list[dict[str, list[str]]]:
    """Texts whose only word that tells the label stands behind the first window."""
    labels = list(TOPICS)
    chosen = [labels[i % 3] for i in range(count)]
    return [
        {"text": [FILL * (3 + i % 3) + TOPICS[label] + " and"], "label": [label]}
        for i, label in enumerate(chosen)
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """The exported model, loaded, and the last evaluation of its training."""
    folder = tmp_path_factory.mktemp("windows")
    config = custom_config(folder)
    config["transform"] = {"max_length": 12, "window": {"stride": 3, "aggregate": "max"}}
    config["train"]["epochs"] = 12
    raw_spec = {"text": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.string)}
    made = transform(folder, config, raw_spec, long_texts(90))
    texts = [(r["input_ids"].tolist(), r["window_lengths"].tolist(), int(r["label_id"])) for r in made]
    write_texts(folder / "train" / "part.gz", texts[:60])
    write_texts(folder / "eval" / "part.gz", texts[60:])
    progress.set_sink(lambda report: None)
    run_fn(fn_args(folder, config))
    progress.set_sink(None)
    for name in ("graph", "checkpoint", "train", "eval"):
        shutil.rmtree(folder / name)
    return tf.saved_model.load(str(folder / "model" / "Format-Serving")), read_history(folder / "run").best


def answers(model: Any, texts: list[str]) -> np.ndarray:
    return model.signatures["serving_default"](text=tf.constant(texts))["probabilities"].numpy()


def test_a_word_behind_the_first_window_decides(served: tuple[Any, dict[str, Any]]) -> None:
    model, best = served
    assert best["accuracy"] == 1.0
    found = model.signatures["serving_default"](text=tf.constant([row["text"][0] for row in long_texts(9)]))
    assert found["label"].numpy().tolist() == [label.encode() for label in list(TOPICS) * 3]


def test_short_texts_are_answered_as_their_tokens_are(served: tuple[Any, dict[str, Any]]) -> None:
    model, _ = served
    tokens = model.signatures["serve_tokens"](  # [CLS] cat [SEP]
        input_ids=tf.constant([[2, 17, 3]], tf.int64), attention_mask=tf.constant([[1, 1, 1]], tf.int64)
    )
    cat = answers(model, ["cat", FILL * 40])[0]
    np.testing.assert_allclose(cat, tokens["probabilities"].numpy()[0], atol=1e-6)


def test_a_text_of_20000_words_is_answered_by_its_windows(served: tuple[Any, dict[str, Any]]) -> None:
    model, _ = served
    text = FILL * 3333 + "rome and"
    assert len(text.split()) == 20_000
    both = answers(model, [text, FILL * 3333])
    assert both[0].argmax() == 2
    np.testing.assert_allclose(
        both, np.concatenate([answers(model, [t]) for t in (text, FILL * 3333)]), atol=1e-6
    )
    assert model.signatures["serving_default"](text=tf.constant([], tf.string))["probabilities"].shape == (
        0,
        3,
    )


def test_the_users_head_reads_windows_and_the_users_metric_the_answers_of_texts(tmp_path: Path) -> None:
    cost = "own_parts.metrics.ExpectedCost"
    config = custom_config(tmp_path)
    config["transform"] = {"max_length": 12, "window": {"stride": 3, "aggregate": "mean"}}
    config["model"]["head"] = "own_parts.heads.MeanPooling"
    config["train"] |= {"epochs": 1, "metrics": [cost], "tensorboard": False}
    raw_spec = {"text": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.string)}
    raw = long_texts(45)
    made = transform(tmp_path, config, raw_spec, raw)
    texts = [(r["input_ids"].tolist(), r["window_lengths"].tolist(), int(r["label_id"])) for r in made]
    write_texts(tmp_path / "train" / "part.gz", texts[:30])
    write_texts(tmp_path / "eval" / "part.gz", texts[30:])
    progress.set_sink(lambda report: None)
    run_fn(fn_args(tmp_path, config))
    progress.set_sink(None)
    model = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving"))
    metric, targets = ExpectedCost(list(TOPICS)), np.array([label for _, _, label in texts[30:]])
    probabilities = answers(model, [row["text"][0] for row in raw[30:]])
    expected = metric.value(metric.sums(targets, {"probabilities": probabilities}))
    assert read_history(tmp_path / "run").best[cost] == pytest.approx(expected, abs=1e-6)
