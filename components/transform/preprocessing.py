"""The raw rows become token ids and a label id: the one preprocessing of training, evaluation and serving.

Transform runs `preprocessing_fn` once over the data and saves its graph; the Trainer exports that graph
inside the model. The vocabulary is given, so the graph has no analyzers and Transform needs one pass.
Whoever loads the saved graph must import tensorflow_text first (this module does), for its ops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the saved graph
import tensorflow_transform as tft

from components.settings import DataSettings, TransformSettings
from models.errors import PipelineError
from models.features import LABEL_ID
from models.tokenizers.family import family_of
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.packing import encode

Column: TypeAlias = tf.Tensor | tf.SparseTensor | tf.RaggedTensor

UNKNOWN_LABEL = -1  # the data gate has refused such rows before; -1 keeps a slip visible
LABELS_ASSET = "labels"


def preprocessing_fn(inputs: dict[str, Column], custom_config: dict[str, Any]) -> dict[str, Column]:
    """`{"text": ["Who?"], "label": ["HUM"]}` -> `{"input_ids": [[101, 2040, 1029, 102]], "label_id": [3]}`.

    Args:
        inputs: raw columns, dense [batch] or [batch, 1], or sparse or ragged with at most one value a row.
            A row without a text has the empty text.
        custom_config: "data" and "transform" (settings as JSON), "checkpoint_dir" (folder with the
            tokenizer files) and "labels_path" (one label a line).

    Returns:
        INPUT_IDS: int64 SparseTensor [batch, None], written as `tf.io.VarLenFeature(tf.int64)`; special
            tokens included, at most transform.max_length values, no padding.
        TOKEN_TYPE_IDS: the same for the token types; only with data.text_pair and a tokenizer that has them.
        LABEL_ID: int64 [batch], written as `tf.io.FixedLenFeature([], tf.int64)`; -1 for a label that is
            not in the list. Absent if the label column is.

    Raises:
        PipelineError: a text column is missing, the label list or the tokenizer files cannot be used, or the
            tokenizer is not the one that transformers makes of them.
    """
    data = DataSettings.model_validate(custom_config["data"])
    settings = TransformSettings.model_validate(custom_config["transform"])
    folder = Path(custom_config["checkpoint_dir"])
    spec, graph = verified_spec(folder), family_of(folder).load_graph()
    model_inputs = encode(texts(inputs, data), graph.tokenize, spec, settings.max_length)
    outputs: dict[str, Column] = {name: values.to_sparse() for name, values in model_inputs.items()}
    if data.label in inputs:
        outputs[LABEL_ID] = label_to_id(inputs[data.label], Path(custom_config["labels_path"]))
    return outputs


def texts(columns: dict[str, Column], data: DataSettings) -> list[tf.Tensor]:
    """The text columns, one string [batch], or two for pairs: `{"text": [["Who?"]]}` -> `[["Who?"]]`."""
    for name in data.text_columns:
        if name not in columns:
            raise PipelineError(
                f"the rows have no text column {name!r}, only {sorted(columns)}; correct data.text or data.text_pair"
            )
    return [one_value(columns[name], "") for name in data.text_columns]


def label_to_id(column: Column, labels_path: Path) -> tf.Tensor:
    """Labels to their line in the label list, from 0: `["spam"]` -> `[1]`; integer labels as decimals.

    The list is read by a table whose file is an asset of the saved graph, so it travels with the model.

    Returns:
        int64 [batch], UNKNOWN_LABEL where the label is not in the list or the row has none.
    """
    labels = column if column.dtype == tf.string else _map_values(tf.strings.as_string, column)
    tft.annotate_asset(LABELS_ASSET, str(labels_path))
    table = tft.make_and_track_object(lambda: _label_table(labels_path), name=LABELS_ASSET)
    return table.lookup(one_value(labels, ""))


def _label_table(labels_path: Path) -> tf.lookup.StaticHashTable:
    lines = tf.lookup.TextFileInitializer(
        str(labels_path),
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return tf.lookup.StaticHashTable(lines, default_value=UNKNOWN_LABEL)


def one_value(column: Column, default: str) -> tf.Tensor:
    """One string a row, `default` where there is none: sparse, ragged, [batch] or [batch, 1] -> [batch]."""
    if isinstance(column, tf.RaggedTensor):
        column = column.to_sparse()
    if isinstance(column, tf.SparseTensor):
        firsts = tf.boolean_mask(column.indices[:, 0], column.indices[:, 1] == 0)
        values = tf.boolean_mask(column.values, column.indices[:, 1] == 0)
        rows = tf.fill(column.dense_shape[:1], default)
        return tf.tensor_scatter_nd_update(rows, firsts[:, tf.newaxis], values)
    return tf.reshape(column, [-1])


def _map_values(function: Any, column: Column) -> Column:
    if isinstance(column, tf.SparseTensor):
        return column.with_values(function(column.values))
    if isinstance(column, tf.RaggedTensor):
        return column.with_flat_values(function(column.flat_values))
    return function(column)
