"""Turns raw rows into token ids and a label id, in the same way for training, evaluation and serving.

Transform runs `preprocessing_fn` once over the data and saves its graph; the Trainer exports that graph
inside the model. The vocabulary is known, so the graph has no analyzers and Transform needs one pass.
Import tensorflow_text (as this module does) before you load the saved graph, because it registers its ops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the saved graph

from components.own_parts.cleaning import cleaning_of
from components.settings import DataSettings, TransformSettings
from models.columns import Column, one_value
from models.errors import PipelineError
from models.tasks.task import TASKS
from models.tokenizers.rows import row_encoder


def preprocessing_fn(inputs: dict[str, Column], custom_config: dict[str, Any]) -> dict[str, Column]:
    """`{"text": ["Who?"], "label": ["HUM"]}` -> `{"input_ids": [[101, 2040, 1029, 102]], "label_id": [3]}`.

    Args:
        inputs: raw columns, dense [batch] or [batch, 1], or sparse or ragged with at most one value per row.
            A row without a text has the empty text. With transform.text, texts are cleaned first.
        custom_config: "data" and "transform" (settings as JSON), "checkpoint_dir" (folder with the
            tokenizer files), "labels_path" (one label per line) and "task" (a key of `TASKS`).

    Returns:
        INPUT_IDS: int64 SparseTensor [batch, None], written as `tf.io.VarLenFeature(tf.int64)`; special
            tokens included, at most transform.max_length values, no padding. With transform.window those of
            all windows.
        WORD_INDEX: as INPUT_IDS, the number of each token's word; only of tasks that label words.
        WINDOW_LENGTHS: int64 SparseTensor [batch, None], the tokens of each window; only with transform.window.
        TOKEN_TYPE_IDS: as INPUT_IDS, the token types; only with data.text_pair and a tokenizer that has them.
        The features of the task's labels, such as LABEL_ID: int64 [batch], written as `tf.io.FixedLenFeature([], tf.int64)`; -1 for a label that is
            not in the list. Absent if the label column is.

    Raises:
        PipelineError: a text column is missing, the label list or the tokenizer files cannot be used, the
            tokenizer differs from the one that transformers reads from them, or transform.text cannot be loaded.
    """
    data = DataSettings.model_validate(custom_config["data"])
    settings = TransformSettings.model_validate(custom_config["transform"])
    task, folder = TASKS[custom_config["task"]], Path(custom_config["checkpoint_dir"])
    words = settings.words if task.facts().OF_WORDS else None
    encode = row_encoder(folder, settings.max_length, settings.stride, words)
    clean = cleaning_of(settings.text)
    model_inputs = encode([clean(column) for column in texts(inputs, data)])
    outputs: dict[str, Column] = {name: values.to_sparse() for name, values in model_inputs.items()}
    if data.label_column in inputs:
        labels = task.labels()
        outputs |= labels.label_features(inputs[data.label_column], Path(custom_config["labels_path"]))
    return outputs


def texts(columns: dict[str, Column], data: DataSettings) -> list[tf.Tensor]:
    """The text column, or two for pairs, each string [batch]: `{"text": [["Who?"]]}` -> `[["Who?"]]`."""
    for name in data.text_columns:
        if name not in columns:
            raise PipelineError(
                f"the rows have no text column {name!r}, only {sorted(columns)}; correct data.text or data.text_pair"
            )
    return [one_value(columns[name], "") for name in data.text_columns]
