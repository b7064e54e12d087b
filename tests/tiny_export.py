"""A tiny model as the Trainer exports it: raw text, tf.Examples or token ids in, labels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.tiny_model import TOPICS, rows, write_checkpoint

LABELS = sorted(TOPICS)
MAX_LENGTH = 16
TEXT, PAIR = "text", "other"


class TinyExport(NamedTuple):
    """Where it is. `columns`: names of the text columns, two for text pairs."""

    saved_model: Path
    checkpoint: Path
    columns: list[str]


def export_tiny(folder: Path, pairs: bool = False, words: Sequence[str] = (), seed: int = 0) -> TinyExport:
    """A model that nobody trained, but sure of what it says: its head's weights are large."""
    from components.checkpoint import load_classifier
    from components.settings import CheckpointSettings, DataSettings, ModelSettings
    from components.trainer.export import ServingModel, export_model

    checkpoint = write_checkpoint(folder / "checkpoint", words=words)
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    data = {"path": "data", "schema": "schema.pbtxt", "labels": "labels.txt", "text": TEXT}
    data |= {"text_pair": PAIR} if pairs else {}
    columns = [TEXT, PAIR] if pairs else [TEXT]
    transform = _transform_graph(folder, checkpoint, labels, data, columns)
    settings = ModelSettings(checkpoint=CheckpointSettings(path=checkpoint))
    model = load_classifier(checkpoint, LABELS, settings, seed)
    model.classifier.kernel.assign(model.classifier.kernel * 50.0)
    out = folder / "saved_model"
    export_model(ServingModel(model, transform, DataSettings.model_validate(data), labels), labels, out)
    return TinyExport(out, checkpoint, columns)


def _transform_graph(
    folder: Path, checkpoint: Path, labels: Path, data: dict[str, str], columns: list[str]
) -> Any:
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    from components.transform.preprocessing import preprocessing_fn

    config = {
        "data": data,
        "transform": {"max_length": MAX_LENGTH},
        "checkpoint_dir": str(checkpoint),
        "labels_path": str(labels),
    }
    raw_spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (*columns, "label")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    raw = [{**{name: [text] for name in columns}, "label": [label]} for text, label in rows(4)]
    with tft_beam.Context(temp_dir=str(folder / "tmp"), force_tf_compat_v1=False):
        analyze = tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        (raw, metadata) | analyze | tft_beam.WriteTransformFn(str(folder / "graph"))
    metadata_io.write_metadata(metadata, str(folder / "graph" / "metadata"))
    return tft.TFTransformOutput(str(folder / "graph"))


def serve(saved_model: Path, signature: str, **inputs: Any) -> dict[str, Any]:
    """What TensorFlow itself answers: name of an output -> NumPy array."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers the ops of the graph

    loaded = tf.saved_model.load(str(saved_model))
    given = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in loaded.signatures[signature](**given).items()}
