"""Tokenized rows for the training benchmark, as JSON lines and as transformed examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: str | Path) -> list[Row]:
    """Reads JSON lines: [{"input_ids": [101, ...], "label": 3}, ...]."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def tokenized(
    texts: Sequence[tuple[str, str]], checkpoint: Path, labels: Sequence[str], max_length: int
) -> list[Row]:
    """Tokenizes (text, label) with the checkpoint's own fast tokenizer."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    encoded = tokenizer.encode_batch([text for text, _ in texts])
    return [
        {"input_ids": e.ids, "label": labels.index(label)}
        for e, (_, label) in zip(encoded, texts, strict=True)
    ]


def labelled_texts(pattern: str) -> list[tuple[str, str]]:
    """The columns text and label of TFRecords."""
    import tensorflow as tf

    texts = []
    for record in tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), "GZIP"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        text, label = (feature[name].bytes_list.value[0].decode() for name in ("text", "label"))
        texts.append((text, label))
    return texts


def write_transformed(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows in the form of Transform's output: compressed tf.Examples with input_ids and label_id."""
    import tensorflow as tf

    from models import features

    def int64s(values: Sequence[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            feature = {
                features.INPUT_IDS: int64s(row["input_ids"]),
                features.LABEL_ID: int64s([row["label"]]),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
