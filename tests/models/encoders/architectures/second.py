"""The second process: loads and serves what the first one exported, and resumes its training.

python -m tests.models.encoders.architectures.second FOLDER MODEL_TYPE...
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.canary.op_set import foreign_ops
from components.serving.models.saved_model import ServedModel
from components.serving.settings import ServeSettings
from components.trainer import progress
from components.trainer.train_loop import read_data, train
from models import features
from models.checkpoints.classifier import load_classifier
from tests.models.encoders.architectures import first
from tests.support.tiny_export import LABELS, PAIR, TEXT, serve

_GONE = ("checkpoint", "graph", "labels.txt")


@dataclass
class Second:
    """Largest differences: of the answers when loaded and served, and of the weights after the resumed training.

    `foreign_ops`: those of the exported graph for which the canary rejects a model.
    """

    reloaded: float
    served: float
    foreign_ops: list[str]
    resumed_at: list[int]
    resumed: float


def measure(model_type: str, folder: Path, pairs: bool) -> Second:
    """Reads what `first.measure` left in `folder`."""
    for name in _GONE:
        (folder / name).rename(folder / f"gone.{name}")
    columns, _ = first.texts_of(6, pairs)
    [expected] = np.load(folder / first.ANSWERS).values()
    texts = dict(zip((TEXT, PAIR), columns, strict=False))
    loaded = serve(folder / first.SAVED_MODEL, features.SERVING_SIGNATURE, **texts)
    reloaded, served = loaded[features.PROBABILITIES], answers_of_the_server(folder, texts)
    for name in _GONE:
        (folder / f"gone.{name}").rename(folder / name)
    at, difference = resume(folder, serve_inputs(folder))
    return Second(
        reloaded=first.largest([(reloaded, expected)]),
        served=first.largest([(served, expected)]),
        foreign_ops=foreign_ops(folder / first.SAVED_MODEL),
        resumed_at=at,
        resumed=difference,
    )


def answers_of_the_server(folder: Path, texts: dict[str, list[str]]) -> np.ndarray:
    """Probabilities by the server's own loading of the model."""
    model = ServedModel(folder / first.SAVED_MODEL, "tiny", 1, ServeSettings(batch_threads=1))
    try:
        asked = {name: np.array([t.encode() for t in column], object) for name, column in texts.items()}
        return model.run(model.signature(""), asked)[features.PROBABILITIES]
    finally:
        model.close()


def serve_inputs(folder: Path) -> tuple[str, ...]:
    """The model's inputs, in the order of the first process."""
    loaded = tf.saved_model.load(str(folder / first.SAVED_MODEL))
    return features.model_inputs(loaded.signatures[features.TOKENS_SIGNATURE].structured_input_signature[1])


def resume(folder: Path, inputs: tuple[str, ...]) -> tuple[list[int], float]:
    """Goes on from the kept state. Returns where, and the largest difference from the weights without a stop."""
    progress.set_sink(lambda report: None)
    model: Any = load_classifier(folder / "checkpoint", LABELS)
    split = [str(folder / "rows.gz")]
    training = read_data(split, split, LABELS, model.config.vocab_size, inputs, first.TASK)
    history = train(model, training, first.SETTINGS, tf.distribute.get_strategy(), folder / first.STATE)
    straight = np.load(folder / first.WEIGHTS).values()
    weights = [variable.numpy() for variable in model.trainable_variables]
    return [*history.resumed_at], first.largest(zip(weights, straight, strict=True))


if __name__ == "__main__":
    [_, where, *kinds] = sys.argv
    for kind in kinds:
        folder = Path(where, kind)
        if not (folder / "first.json").is_file():
            continue
        seen = json.loads((folder / "first.json").read_text())
        (folder / "second.json").write_text(json.dumps(asdict(measure(kind, folder, seen["pairs"]))))
