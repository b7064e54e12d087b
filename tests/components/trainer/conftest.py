"""A tiny checkpoint and transformed examples for the trainer's tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from models.tasks.task import TASKS
from tests.support.tiny_model import vocabulary, write_checkpoint

LABELS = ["animal", "number", "place"]
INPUTS = ("input_ids", "attention_mask")
TASK = TASKS["single_label"]
Row = tuple[list[int], int]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def write_rows() -> Callable[[Path, Sequence[Row]], Path]:
    """(path, [([2, 5, 3], label id), ...]) -> the path, a gzip TFRecord of transformed examples."""
    import tensorflow as tf

    from models import features

    def int64s(values: Sequence[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def write(path: Path, rows: Sequence[Row]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for ids, label in rows:
                feature = {features.INPUT_IDS: int64s(ids), features.LABEL_ID: int64s([label])}
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
        return path

    return write


def learnable_rows(count: int, seed: int = 0) -> list[Row]:
    """Rows of 4 to 12 tokens; the label is the topic of the one topic word among fillers."""
    import random

    rng = random.Random(seed)
    vocab = vocabulary()
    topics = [[vocab.index(w) for w in words] for words in (("cat", "dog"), ("one", "two"), ("rome", "oslo"))]
    fillers = [vocab.index(w) for w in ("the", "what", "is", "of", "and", "?")]
    cls, sep = vocab.index("[CLS]"), vocab.index("[SEP]")
    rows = []
    for _ in range(count):
        label = rng.randrange(3)
        words = [rng.choice(fillers) for _ in range(rng.randint(1, 9))]
        words.insert(rng.randrange(len(words) + 1), rng.choice(topics[label]))
        rows.append(([cls, *words, sep], label))
    return rows
