"""The first process: trains four steps, exports, converts.

python -m tests.models.encoders.architectures.first FOLDER MODEL_TYPE...
"""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.destinations.hub_files import write_hub_files
from components.exports.onnx import export as onnx
from components.exports.tflite import export as tflite
from components.settings import DataSettings
from components.trainer import progress
from components.trainer.dataset import model_inputs
from components.trainer.export import ServingModel, export_model
from components.trainer.settings import TrainSettings
from components.trainer.train_loop import TrainingData, read_data, train
from models import features
from models.checkpoints.checks import check_checkpoint
from models.checkpoints.classifier import load_classifier
from models.encoders.families import FAMILIES, forward_of
from models.errors import PipelineError
from models.tasks.task import TASKS
from models.tokenizers.family import family_of
from tests.models.encoders.architectures.checkpoints import has_pairs, write_checkpoint
from tests.support import tokenizers
from tests.support.tiny_encoders import token_batch
from tests.support.tiny_export import LABELS, MAX_LENGTH, PAIR, TEXT, serve, write_transform_graph
from tests.support.tiny_model import rows

TASK = TASKS["single_label"]
ROWS, RESUMED_AT = 32, 2
# All rows are one batch, so that the losses of the four steps are of the same rows.
SETTINGS = TrainSettings(
    epochs=4,
    batch_size=ROWS,
    learning_rate=2e-3,
    lr_scheduler_type="constant_with_warmup",
    warmup_ratio=0.0,
    metric_for_best_model="loss",
    tensorboard=False,
)
SHAPES = ((1, 5), (8, 16), (2, 3))
# Files of the folder that the second process reads.
STATE, WEIGHTS, ANSWERS, SAVED_MODEL = "state", "weights.npz", "answers.npz", "saved_model"


@dataclass
class First:
    """What the first process saw. `tflite`, `onnx`: largest difference of probabilities, or why it failed."""

    tokenizer: str
    refused_tokenizer: str
    own_forward: bool
    pairs: bool
    losses: list[float]
    hub: float
    tflite: float | str
    onnx: float | str


def measure(model_type: str, folder: Path) -> First:
    """Fills `folder`, which does not exist."""
    checkpoint, labels = folder / "checkpoint", folder / "labels.txt"
    refused = write_checkpoint(checkpoint, model_type)
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    pairs = has_pairs(checkpoint, model_type)
    check_checkpoint(checkpoint, allow_pickle=False, max_length=MAX_LENGTH, text_pair=pairs)
    data, columns = settings_of(pairs)
    transform = write_transform_graph(folder, checkpoint, labels, data, columns)
    model = load_classifier(checkpoint, LABELS)
    split = write_split(folder, checkpoint, pairs)
    inputs = model_inputs(transform.transformed_feature_spec(), FAMILIES[model_type].facts().INPUTS)
    training = read_data([split], [split], LABELS, model.config.vocab_size, inputs, TASK)
    losses = train_and_keep_a_state(model, training, folder)
    make_decided(model, tokens_of_texts(checkpoint, pairs))
    saved = folder / SAVED_MODEL
    export_model(
        ServingModel(model, transform, DataSettings.model_validate(data), labels, TASK), labels, saved
    )
    write_answers(model, checkpoint, pairs, folder)
    return First(
        tokenizer=family_of(checkpoint).title,
        refused_tokenizer=refused,
        own_forward=FAMILIES[model_type].has_own_forward,
        pairs=pairs,
        losses=losses,
        hub=hub_difference(model, saved, checkpoint, folder / "hub"),
        tflite=conversion(tflite, saved, inputs, model.config.vocab_size),
        onnx=conversion(onnx, saved, inputs, model.config.vocab_size),
    )


def settings_of(pairs: bool) -> tuple[dict[str, str], list[str]]:
    """The config's `data` section, and the text columns."""
    data = {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt", "text": TEXT}
    return (data | {"text_pair": PAIR}, [TEXT, PAIR]) if pairs else (data, [TEXT])


def texts_of(count: int, pairs: bool) -> tuple[list[list[str]], list[str]]:
    """Columns of texts, and labels; the second text of a pair is that of the row before."""
    texts, labels = map(list, zip(*rows(count, seed=3), strict=True))
    columns = [texts, [*texts[-1:], *texts[:-1]]] if pairs else [texts]
    return columns, labels


def tokens_of(checkpoint: Path, columns: list[list[str]]) -> dict[str, list[list[int]]]:
    """What Transform makes of the columns."""
    return tokenizers.model_inputs(checkpoint, columns, MAX_LENGTH)


def write_split(folder: Path, checkpoint: Path, pairs: bool) -> str:
    """Writes the transformed examples; returns the path of their file."""
    columns, labels = texts_of(ROWS, pairs)
    tokens = tokens_of(checkpoint, columns)
    path = folder / "rows.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for i, label in enumerate(labels):
            values = {name: row[i] for name, row in tokens.items()}
            values[features.LABEL_ID] = [LABELS.index(label)]
            writer.write(example(values).SerializeToString())
    return str(path)


def example(values: dict[str, list[int]]) -> tf.train.Example:
    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=ids)) for name, ids in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def train_and_keep_a_state(model: Any, training: TrainingData, folder: Path) -> list[float]:
    """Trains four steps, and keeps the state after the second. Returns the loss of each step."""
    kept = folder / STATE

    def keep(report: progress.TrainProgress) -> None:
        if report.step == RESUMED_AT + 1 and not kept.exists():
            shutil.copytree(folder / "straight", kept)

    progress.set_sink(keep)
    history = train(model, training, SETTINGS, tf.distribute.get_strategy(), folder / "straight")
    np.savez(folder / WEIGHTS, *(variable.numpy() for variable in model.trainable_variables))
    return [float(evaluation["train_loss"]) for evaluation in history.evaluations]


def write_answers(model: Any, checkpoint: Path, pairs: bool, folder: Path) -> None:
    """Writes the probabilities that the forward pass gives to the tokens of some texts."""
    np.savez(folder / ANSWERS, probabilities(model, tokens_of_texts(checkpoint, pairs)))


def tokens_of_texts(checkpoint: Path, pairs: bool) -> dict[str, tf.Tensor]:
    """The model's inputs of six texts, padded: int32 [6, tokens] each."""
    columns, _ = texts_of(6, pairs)
    tokens = {name: tf.ragged.constant(values) for name, values in tokens_of(checkpoint, columns).items()}
    tokens[features.ATTENTION_MASK] = tf.ones_like(tokens[features.INPUT_IDS])
    return {name: tf.cast(values.to_tensor(), tf.int32) for name, values in tokens.items()}


def probabilities(model: Any, inputs: dict[str, tf.Tensor]) -> np.ndarray:
    return tf.nn.softmax(forward_of(model).classify(model, inputs)).numpy()


def make_decided(model: Any, inputs: dict[str, tf.Tensor]) -> None:
    """Makes the head's weights so large that rows get different probabilities: equal ones would prove little.

    Raises:
        ValueError: they do not.
    """
    head = [v for v in model.trainable_variables if v.shape[-1] == len(LABELS)]
    kernel = [v for v in head if v.shape.rank == 2][-1]
    biases = [v for v in head if v.shape.rank == 1][-1:]
    trained = kernel.numpy()
    for factor in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0):
        kernel.assign(trained * factor)
        for bias in biases:  # no class is the most probable for all
            bias.assign(tf.zeros_like(bias))
            bias.assign(-tf.reduce_mean(forward_of(model).classify(model, inputs), axis=0))
        if np.ptp(probabilities(model, inputs), axis=0).max() > 0.05:
            return
    raise ValueError(f"{model.config.model_type} gives all texts the same probabilities")


def hub_difference(model: Any, saved: Path, checkpoint: Path, out: Path) -> float:
    """The largest difference of the encoder's weights after `push.hub` wrote them and the next run read them."""
    out.mkdir()
    write_hub_files(saved, checkpoint, "tiny", MAX_LENGTH, TASK.name, out)
    again = load_classifier(out, LABELS)
    prefix = FAMILIES[model.config.model_type].facts().PREFIX.replace(".", "/")
    ours, theirs = ({in_model(v): v for v in m.variables} for m in (model, again))
    names = [name for name in ours if name.startswith(prefix)]
    assert names
    return largest((ours[name].numpy(), theirs[name].numpy()) for name in names)


def in_model(variable: Any) -> str:
    """The variable's name without that of the model, which Keras numbers."""
    return str(variable.name.partition("/")[2])


def conversion(kind: Any, saved: Path, inputs: Iterable[str], vocabulary: int) -> float | str:
    """The largest difference from the answers of the SavedModel, or why there are no answers."""
    out = saved.parent / kind.__name__
    out.mkdir()
    try:
        kind.convert(saved, "float32", out)
        with kind.opened(out, "float32") as opened:
            batches = [token_batch(list(inputs), *shape) for shape in SHAPES]
            return largest(differing(opened, saved, batch, vocabulary) for batch in batches)
    except PipelineError as error:
        return str(error).replace(str(saved), "the model")
    except Exception as error:  # noqa: BLE001 - runtimes raise any exception; the table says which
        return f"it does not run: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def differing(
    opened: Any, saved: Path, tokens: dict[str, Any], vocabulary: int
) -> tuple[np.ndarray, np.ndarray]:
    """The answers of an export and of the SavedModel."""
    asked = {name: values.numpy() for name, values in tokens.items()}
    asked[features.INPUT_IDS] %= vocabulary
    wide = {name: values.astype(np.int64) for name, values in asked.items()}
    return opened.predict(asked), serve(saved, features.TOKENS_SIGNATURE, **wide)[features.PROBABILITIES]


def largest(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    return max(float(np.abs(np.asarray(a) - b).max()) for a, b in pairs)


if __name__ == "__main__":
    [_, where, *kinds] = sys.argv
    for kind in kinds:
        try:
            result = measure(kind, Path(where, kind))
        except Exception:  # noqa: BLE001 - the others are measured nevertheless
            traceback.print_exc()
        else:
            Path(where, kind, "first.json").write_text(json.dumps(asdict(result)))
