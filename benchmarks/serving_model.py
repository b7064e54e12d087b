"""Creates the model that all servers of the benchmark serve, as a served version and as a transformers folder.

python -m benchmarks.serving_model OUT

OUT/serving/trec/1   the SavedModel: all-MiniLM-L6-v2 on TREC after a few steps of training
OUT/transformers     the same weights, with the checkpoint's own tokenizer
OUT/questions.json   the texts of the test split
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import print_result
from benchmarks.tfexample import read_texts
from benchmarks.training import prepare_job
from benchmarks.training_rows import read_rows
from benchmarks.workspace import real_dataset
from components.project import PROJECT_DIR
from components.settings import DataSettings
from pipeline.process.exit import leave

NAME = "trec"
STEPS = 40  # enough for the model to predict all labels, without near ties
MAX_LENGTH = 64


def train_and_export(out: Path, scratch: Path) -> Path:
    """Trains on the first batches of the train split and exports to `out`; returns the checkpoint's folder."""
    from components.trainer.dataset import model_inputs
    from components.trainer.distribution import make_strategy
    from components.trainer.export import ServingModel, export_model
    from components.trainer.settings import TrainSettings
    from components.trainer.train_loop import read_data, train
    from models.checkpoints.classifier import load_classifier
    from models.encoders.families import FAMILIES
    from models.tasks.task import TASKS

    job = prepare_job(NAME, scratch, STEPS * 32, epochs=1)
    checkpoint, labels = Path(job["checkpoint"]), PROJECT_DIR / "data" / NAME / "labels.txt"
    data = DataSettings.model_validate({"path": "data", "schema": "schema.pbtxt", "label_list": str(labels)})
    model = load_classifier(checkpoint, job["labels"])
    transform = transform_graph(data, checkpoint, labels, scratch)
    module = ServingModel(model, transform, data, labels, TASKS["single_label"])
    train_shards, eval_shards = ([str(scratch / f"{split}.gz")] for split in ("train", "eval"))
    settings = TrainSettings(epochs=None, max_steps=STEPS, learning_rate=2e-4, tensorboard=False)
    taken = FAMILIES[model.config.model_type].facts().INPUTS
    inputs = model_inputs(transform.transformed_feature_spec(), taken)
    rows = read_data(
        train_shards, eval_shards, job["labels"], model.config.vocab_size, inputs, TASKS["single_label"]
    )
    train(model, rows, settings, make_strategy("none"), scratch / "state")
    export_model(module, labels, out)
    return checkpoint


def transform_graph(data: DataSettings, checkpoint: Path, labels: Path, scratch: Path) -> Any:
    """Returns the Transform node's graph, which depends on the vocabulary, not on the rows."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    from components.transform.preprocessing import preprocessing_fn

    config = {
        "data": data.model_dump(mode="json", by_alias=True),
        "transform": {"max_length": MAX_LENGTH},
        "checkpoint_dir": str(checkpoint),
        "labels_path": str(labels),
        "task": "single_label",
    }
    spec = {key: tf.io.FixedLenFeature([1], tf.string) for key in ("text", "label")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    rows = [{"text": ["Who?"], "label": [labels.read_text().split()[0]]}]
    graph = scratch / "graph"
    with tft_beam.Context(temp_dir=str(scratch / "tmp"), force_tf_compat_v1=False):
        analyze = tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        (rows, metadata) | analyze | tft_beam.WriteTransformFn(str(graph))
    metadata_io.write_metadata(metadata, str(graph / "metadata"))
    return tft.TFTransformOutput(str(graph))


def main() -> None:
    from components.destinations.hub_files import write_hub_files
    from components.versions import store
    from components.versions.record import PushRecord

    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        checkpoint = train_and_export(scratch / "model", scratch)
        store.publish(scratch / "model", out / "serving", NAME, 3, PushRecord())
        rows = len(read_rows(scratch / "test.jsonl"))
    (out / "transformers").mkdir()
    version, task = out / "serving" / NAME / "1", "single_label"
    write_hub_files(version, checkpoint, NAME, MAX_LENGTH, task, out / "transformers")
    shards = sorted(real_dataset(NAME).glob("test-*"))
    questions = [text for (text,) in read_texts(shards, ("text",))]
    assert len(questions) == rows > 0
    (out / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    print_result({"questions": rows})
    leave(0)


if __name__ == "__main__":
    main()
