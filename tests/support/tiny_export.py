"""A tiny model as the Trainer exports it: raw text, tf.Examples or token ids in, labels out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.tasks.objective import Constants
from tests.support.tiny_model import SPECIAL, TOPICS, write_checkpoint

LABELS = sorted(TOPICS)
MAX_LENGTH = 16
TEXT, PAIR = "text", "other"


class TinyExport(NamedTuple):
    """Where it is. `columns`: names of the text columns, two for text pairs."""

    saved_model: Path
    checkpoint: Path
    columns: list[str]


def export_tiny(
    folder: Path,
    pairs: bool = False,
    words: Sequence[str] = (),
    seed: int = 0,
    model_type: str = "bert",
    write_tokenizer: Callable[[Path], Path] | None = None,
    task: str = "single_label",
    constants: Constants | None = None,
) -> TinyExport:
    """An untrained model that nevertheless gives different texts different labels, or numbers.

    Encoders other than BERT have BERT's tokenizer beside them, or what `write_tokenizer` writes.
    """
    from components.settings import DataSettings
    from components.trainer.export import ServingModel, export_model
    from models.checkpoints.classifier import load_classifier
    from models.tasks.task import TASKS
    from models.tokenizers.family import load_spec
    from models.tokenizers.tokenizer_files import FILES
    from tests.support.tiny_encoders import write_encoder

    checkpoint = write_checkpoint(folder / "checkpoint", words=words)
    if write_tokenizer is not None:
        for file in (*FILES, "vocab.txt"):
            (checkpoint / file).unlink(missing_ok=True)
        write_tokenizer(checkpoint)
    if model_type != "bert":
        write_encoder(checkpoint, model_type, vocab_size=len(load_spec(checkpoint).vocab))
    labels, names = folder / "labels.txt", LABELS[:1] if task == "regression" else LABELS
    labels.write_text("".join(f"{label}\n" for label in names))
    data = {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt", "text": TEXT}
    data |= {"text_pair": PAIR} if pairs else {}
    columns = [TEXT, PAIR] if pairs else [TEXT]
    transform = write_transform_graph(folder, checkpoint, labels, data, columns, task)
    model = load_classifier(checkpoint, names, seed=seed)
    make_decided(model, pairs)
    out = folder / "saved_model"
    export_model(
        ServingModel(model, transform, DataSettings.model_validate(data), labels, TASKS[task]),
        labels,
        out,
        constants,
    )
    return TinyExport(out, checkpoint, columns)


def make_decided(model: Any, pairs: bool) -> None:
    """Makes the head's weights large, and its biases such that no class is the most probable for most texts."""
    import numpy as np

    from models import features
    from models.encoders.families import FAMILIES, forward_of

    kernel, head_bias = model.trainable_variables[-2:]
    kernel.assign(kernel * 100.0)
    ids = np.random.default_rng(0).integers(5, model.config.vocab_size, (64, MAX_LENGTH)).astype(np.int32)
    ids[:, 0], ids[:, -1] = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    inputs = {features.INPUT_IDS: ids, features.ATTENTION_MASK: np.ones_like(ids)}
    if pairs and features.TOKEN_TYPE_IDS in FAMILIES[model.config.model_type].facts().INPUTS:
        inputs[features.TOKEN_TYPE_IDS] = np.zeros_like(ids) + (np.arange(MAX_LENGTH) >= MAX_LENGTH // 2)
    head_bias.assign(-forward_of(model).classify(model, inputs).numpy().mean(0))


def write_transform_graph(
    folder: Path,
    checkpoint: Path,
    labels: Path,
    data: dict[str, str],
    columns: list[str],
    task: str = "single_label",
) -> Any:
    """Writes `folder`/graph, the transform graph of the checkpoint's tokenizer; returns its TFTransformOutput."""
    import tensorflow as tf
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    from components.transform.preprocessing import preprocessing_fn

    config = {
        "data": data,
        "transform": {"max_length": MAX_LENGTH},
        "checkpoint_dir": str(checkpoint),
        "labels_path": str(labels),
        "task": task,
    }
    label_type = tf.float32 if task == "regression" else tf.string
    types = {**dict.fromkeys(columns, tf.string), "label": label_type}
    raw_spec = {name: tf.io.FixedLenFeature([1], dtype) for name, dtype in types.items()}
    out = folder / "graph"
    # What Transform does when, as here, nothing has to be counted over the data; without Beam.
    impl_helper.analyze_in_place(
        lambda inputs: preprocessing_fn(inputs, config),
        force_tf_compat_v1=False,
        feature_specs=raw_spec,
        type_specs={name: tf.TensorSpec([None, 1], dtype) for name, dtype in types.items()},
        transform_output_path=str(out),
    )
    raw_metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    metadata_io.write_metadata(raw_metadata, str(out / "metadata"))
    return tft.TFTransformOutput(str(out))


def serve(saved_model: Path, signature: str, **inputs: Any) -> dict[str, Any]:
    """What TensorFlow itself answers: name of an output -> NumPy array."""
    import tensorflow as tf

    given = {name: tf.constant(value) for name, value in inputs.items()}
    answers = _loaded(saved_model).signatures[signature](**given)
    return {name: value.numpy() for name, value in answers.items()}


@functools.lru_cache(maxsize=4)
def _loaded(saved_model: Path) -> Any:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers the ops of the graph

    return tf.saved_model.load(str(saved_model))
