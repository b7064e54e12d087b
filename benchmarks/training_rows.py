"""Tokenized rows for the training benchmark, as JSON lines and as transformed examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: str | Path) -> list[Row]:
    """Reads JSON lines: [{"input_ids": [101, ...], "label": 3}, ...]; of several labels the label is a list."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def tokenized(
    texts: Sequence[tuple[str, Sequence[str]]],
    checkpoint: Path,
    labels: Sequence[str],
    max_length: int,
    task: str,
) -> list[Row]:
    """Tokenizes (text, labels) with the checkpoint's own fast tokenizer; `single_label` takes the first label."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    encoded = tokenizer.encode_batch([text for text, _ in texts])
    rows = []
    for e, (_, names) in zip(encoded, texts, strict=True):
        ids = [labels.index(name) for name in names]
        rows.append({"input_ids": e.ids, "label": ids[0] if task == "single_label" else ids})
    return rows


def labelled_texts(pattern: str) -> list[tuple[str, list[str]]]:
    """The column text of TFRecords, and the values of the column label."""
    import tensorflow as tf

    texts = []
    for record in tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), "GZIP"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        text, *_ = (value.decode() for value in feature["text"].bytes_list.value)
        texts.append((text, [value.decode() for value in feature["label"].bytes_list.value]))
    return texts


def write_transformed(path: Path, rows: Sequence[Row], task: str) -> None:
    """Writes rows in the form of Transform's output: compressed tf.Examples with input_ids and the task's label."""
    import tensorflow as tf

    from models import features
    from models.tasks.task import TASKS

    (label,) = TASKS[task].labels().parsing_spec()

    def int64s(values: Sequence[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            feature = {
                features.INPUT_IDS: int64s(row["input_ids"]),
                label: int64s(row["label"] if isinstance(row["label"], list) else [row["label"]]),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
