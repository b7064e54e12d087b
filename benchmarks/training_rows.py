"""Tokenized rows for the training benchmark, as JSON lines and as transformed examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.tasks.token_labels.tags import OUTSIDE
from models.tokenizers.word_rules import DEFAULT_RULE, split_words

Row = dict[str, Any]


def read_rows(path: str | Path) -> list[Row]:
    """Reads JSON lines: `{"input_ids": [101, ...], "label": 3}`.

    Of several labels, and of tags of words, the label is a list; with tags, "word_index" has the word of each token.
    """
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
    """Tokenizes (text, labels) with the checkpoint's own fast tokenizer; `single_label` takes the first label.

    If the labels are tags of words, those of the default rule, words are tokenized alone in every task.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    of_words = OUTSIDE in labels
    given = [[w.text for w in split_words(text, DEFAULT_RULE)] if of_words else text for text, _ in texts]
    encoded = tokenizer.encode_batch(given, is_pretokenized=of_words)
    rows: list[Row] = []
    for e, (_, names) in zip(encoded, texts, strict=True):
        ids = [labels.index(name) for name in names]
        rows.append({"input_ids": e.ids, "label": ids[0] if task == "single_label" else ids})
        if task == "token_labels":
            rows[-1]["word_index"] = [-1 if word is None else word for word in e.word_ids]
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

    label, *others = TASKS[task].labels().parsing_spec()

    def int64s(values: Sequence[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            feature = {
                features.INPUT_IDS: int64s(row["input_ids"]),
                label: int64s(row["label"] if isinstance(row["label"], list) else [row["label"]]),
                **{name: int64s(row[name]) for name in others},
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
