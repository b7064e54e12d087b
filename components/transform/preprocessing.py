"""The raw rows become token ids and a label id: the one preprocessing of training, evaluation and serving.

Transform runs `preprocessing_fn` once over the data and saves its graph; the Trainer exports that graph
inside the model. The vocabulary is given, so the graph has no analyzers and Transform needs one pass.
Whoever loads the saved graph must import tensorflow_text first (this module does), for its ops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from components.settings import DataSettings, TransformSettings
from models.columns import Column, one_value
from models.errors import PipelineError
from models.features import INPUT_IDS, LABEL_ID, TOKEN_TYPE_IDS
from models.tasks.task import TASKS
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.wordpiece.graph import WordpieceSpec, encode, encode_pair


def preprocessing_fn(inputs: dict[str, Column], custom_config: dict[str, Any]) -> dict[str, Column]:
    """`{"text": ["Who?"], "label": ["HUM"]}` -> `{"input_ids": [[101, 2040, 1029, 102]], "label_id": [3]}`.

    Args:
        inputs: raw columns, dense [batch] or [batch, 1], or sparse or ragged with at most one value a row.
            A row without a text has the empty text.
        custom_config: "data" and "transform" (settings as JSON), "checkpoint_dir" (folder with the
            tokenizer files), "labels_path" (one label a line) and "task" (a key of `TASKS`).

    Returns:
        INPUT_IDS: int64 SparseTensor [batch, None], written as `tf.io.VarLenFeature(tf.int64)`; special
            tokens included, at most transform.max_length values, no padding.
        TOKEN_TYPE_IDS: the same for the token types; only with data.text_pair.
        LABEL_ID: int64 [batch], written as `tf.io.FixedLenFeature([], tf.int64)`; -1 for a label that is
            not in the list. Absent if the label column is.

    Raises:
        PipelineError: a text column is missing, the label list or the tokenizer files cannot be used, or the
            tokenizer is not the one that transformers makes of them.
    """
    data = DataSettings.model_validate(custom_config["data"])
    settings = TransformSettings.model_validate(custom_config["transform"])
    spec = verified_spec(custom_config["checkpoint_dir"])
    outputs: dict[str, Column] = {
        name: ids.to_sparse()
        for name, ids in text_to_features(inputs, data, spec, settings.max_length).items()
    }
    if data.label in inputs:
        labels = TASKS[custom_config["task"]].labels()
        outputs[LABEL_ID] = labels.label_feature(inputs[data.label], Path(custom_config["labels_path"]))
    return outputs


def text_to_features(
    columns: dict[str, Column], data: DataSettings, spec: WordpieceSpec, max_length: int
) -> dict[str, tf.RaggedTensor]:
    """The text columns as model inputs: `{"text": ["Who?"]}` -> `{"input_ids": [[101, 2040, 1029, 102]]}`.

    Returns:
        INPUT_IDS, and TOKEN_TYPE_IDS for pairs, both ragged int64 [batch, <= max_length].
    """
    wanted = data.text_columns
    for name in wanted:
        if name not in columns:
            raise PipelineError(
                f"the rows have no text column {name!r}, only {sorted(columns)}; correct data.text or data.text_pair"
            )
    texts = [one_value(columns[name], "") for name in wanted]
    if data.text_pair is None:
        return {INPUT_IDS: encode(texts[0], spec, max_length)}
    ids, types = encode_pair(texts[0], texts[1], spec, max_length)
    return {INPUT_IDS: ids, TOKEN_TYPE_IDS: types}
