"""Exports the SavedModel, from raw text through the transform graph to the model, with all signatures."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
import tensorflow_transform as tft

from components.model_files import EXTRAS, write_sums
from components.settings import DataSettings, TransformSettings
from components.trainer import windows
from components.trainer.dataset import model_inputs
from models import features
from models.columns import one_value
from models.encoders.families import FAMILIES, logits_of
from models.errors import PipelineError
from models.tasks.label_list import read_labels
from models.tasks.objective import Constants
from models.tasks.task import Task
from models.tasks.text_words import TextWords
from models.tokenizers.words import find_words

Outputs = dict[str, tf.Tensor]
_PLAIN = TransformSettings()

# Nothing here branches on tensors, and AutoGraph would take longer than tracing does.
_traced = functools.partial(tf.function, autograph=False)


class ServingModel(tf.Module):
    """The exported module: weights, transform graph and label list, without optimizer and training graph.

    Created before training, so that a transform graph that does not fit is detected early. `settings`: those that the transform
    graph was made with.

    Raises:
        PipelineError: the transform graph was made for other columns.
    """

    def __init__(
        self,
        model: Any,
        transform: tft.TFTransformOutput,
        data: DataSettings,
        labels: Path,
        task: Task,
        settings: TransformSettings = _PLAIN,
    ) -> None:
        super().__init__()
        self._settings = _Untracked(settings)
        self._of_words = task.facts().OF_WORDS
        self._model = _Untracked(model)
        self._classify = logits_of(model)
        self.weights = list(model.variables)
        self.transform_layer = transform.transform_features_layer()
        self._head = task.head()
        self._label_list = _Untracked(read_labels(labels))
        self._classes = task.head().size(self._label_list.value)
        self.labels = task.labels().names_table(labels)
        self._columns = data.text_columns
        self._raw_spec = {name: transform.raw_feature_spec().get(name) for name in self._columns}
        missing = sorted(name for name, spec in self._raw_spec.items() if spec is None)
        if missing:
            raise PipelineError(f"the transform graph has no text column {missing}; run Transform again")
        taken = FAMILIES[model.config.model_type].facts().INPUTS
        self._inputs = model_inputs(transform.transformed_feature_spec(), taken)
        self._constants = _Untracked({})

    def signatures(self, constants: Constants | None = None) -> dict[str, Any]:
        """Signature name -> concrete function; `constants` are those of the answer."""
        self._constants = _Untracked(constants or {})
        texts = {name: tf.TensorSpec([None], tf.string, name=name) for name in self._columns}
        tokens = {name: tf.TensorSpec([None, None], tf.int64, name=name) for name in self._inputs}
        examples = tf.TensorSpec([None], tf.string, name="examples")
        functions = {
            features.SERVING_SIGNATURE: _traced(self._serve_texts).get_concrete_function(**texts),
            features.EXAMPLES_SIGNATURE: _traced(self._serve_examples).get_concrete_function(examples),
        }
        if not self._of_words:
            functions[features.TOKENS_SIGNATURE] = _traced(self._serve_tokens).get_concrete_function(**tokens)
        return functions

    def _serve_texts(self, **texts: tf.Tensor) -> Outputs:
        return self._serve_raw({name: _as_raw(texts[name], self._raw_spec[name]) for name in texts})

    def _serve_examples(self, examples: tf.Tensor) -> Outputs:
        return self._serve_raw(tf.io.parse_example(examples, self._raw_spec))

    def _serve_raw(self, raw: Mapping[str, Any]) -> Outputs:
        transformed = self.transform_layer(dict(raw))
        inputs = {name: _ragged(transformed[name]) for name in self._inputs if name in transformed}
        if self._of_words:
            return self._outputs_of_words(_dense(inputs), _ragged(transformed[features.WORD_INDEX]), raw)
        aggregate = self._settings.value.aggregate
        if aggregate is None:
            return self._outputs(self._logits(_dense(inputs)))
        lengths = _ragged(transformed[features.WINDOW_LENGTHS])
        tokens, text = _dense(windows.rows_of_windows(inputs, lengths)), lengths.value_rowids()
        logits = windows.text_logits(
            self._logits, tokens, tf.cast(text, tf.int32), tf.cast(lengths.nrows(), tf.int32), aggregate
        )
        return self._outputs(logits)

    def _serve_tokens(self, **tokens: tf.Tensor) -> Outputs:
        return self._outputs(self._logits({name: tf.cast(value, tf.int32) for name, value in tokens.items()}))

    def _logits(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self._classify(self._model.value, inputs)

    def _outputs(self, logits: tf.Tensor) -> Outputs:
        return self._head.served_outputs(logits, self._class_names(), self._constants.value)

    def _outputs_of_words(
        self, inputs: Mapping[str, tf.Tensor], index: tf.RaggedTensor, raw: Mapping[str, Any]
    ) -> Outputs:
        settings = self._settings.value
        found = find_words(one_value(raw[self._columns[0]], ""), settings.words)
        words = TextWords(
            *found, _padded(index, features.NO_WORD), self._label_list.value, settings.max_length
        )
        return self._head.word_outputs(self._logits(inputs), self._class_names(), words)

    def _class_names(self) -> tf.Tensor:
        return self.labels.lookup(tf.range(self._classes, dtype=tf.int64))


class _Untracked:
    """Keeps an object out of the SavedModel, such as the Keras model, of which it needs only the variables."""

    def __init__(self, value: Any) -> None:
        self.value = value


def export_model(module: ServingModel, labels: Path, out: Path, constants: Constants | None = None) -> None:
    """Writes a self-contained SavedModel to `out`.

    Signatures, all with the outputs of the task's head:
      serving_default: the raw text columns by name, string [batch].
      serve_examples: "examples", serialized tf.Examples with those columns, string [batch].
      serve_tokens: the model's inputs, such as input_ids and attention_mask, int64 [batch, tokens]; a window is a row. Models
        that label words do not have it: their answers need the text.

    The label list is an asset of the graph and, for people and tools, `assets.extra/labels.txt`, as are the constants
    of the answer, in `assets.extra/answer.json`, if the task has any. The digests of all files are in
    `assets.extra/SHA256SUMS`, which later readers and copies are checked against.
    """
    tf.saved_model.save(module, str(out), signatures=module.signatures(constants))
    extra = out / EXTRAS
    extra.mkdir(exist_ok=True)
    shutil.copyfile(labels, extra / features.LABELS_FILE)
    if constants:
        (extra / features.ANSWER_FILE).write_text(json.dumps(constants, indent=2) + "\n", encoding="utf-8")
    write_sums(out)


def _as_raw(values: tf.Tensor, spec: Any) -> Any:
    """Converts string [batch] to the form that parsing an example with `spec` gives."""
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    rows = tf.size(values, tf.int64)
    indices = tf.stack([tf.range(rows), tf.zeros([rows], tf.int64)], axis=1)
    return tf.SparseTensor(indices, values, [rows, 1])


def _dense(inputs: Mapping[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    """The model's inputs of rows of tokens, padded, with the mask: int32 [rows, tokens]."""
    mask = tf.ones_like(inputs[features.INPUT_IDS])
    return {name: _padded(values) for name, values in (*inputs.items(), (features.ATTENTION_MASK, mask))}


def _ragged(values: Any) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_sparse(values) if isinstance(values, tf.SparseTensor) else values


def _padded(values: tf.RaggedTensor, filler: int = 0) -> tf.Tensor:
    """Pads to the longest row, to at least one token, so that an empty batch works too."""
    dense = tf.cast(values.to_tensor(filler), tf.int32)
    return tf.pad(dense, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(dense)[1])]], constant_values=filler)
