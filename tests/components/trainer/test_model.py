"""The loss and what training changes: literal values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tensorflow as tf

from components.trainer.model import learning_rate_shares, trained_variables
from components.trainer.settings import FreezeSettings
from models.checkpoints.classifier import load_classifier
from models.errors import PipelineError
from models.tasks.objective import Objective
from models.tasks.single_label.head import row_losses
from tests.components.trainer.conftest import LABELS


def test_label_smoothing_literal() -> None:
    logits = tf.constant([[math.log(3.0), 0.0]])  # probabilities 0.75, 0.25
    plain = row_losses(logits, {"label_id": tf.constant([0])}).numpy()
    smooth = row_losses(logits, {"label_id": tf.constant([0])}, objective=Objective(smoothing=0.1)).numpy()
    assert plain == pytest.approx([-math.log(0.75)], abs=1e-6)
    assert smooth == pytest.approx([-(0.95 * math.log(0.75) + 0.05 * math.log(0.25))], abs=1e-6)


def test_freezing_more_layers_than_there_are_is_refused(checkpoint: Path) -> None:
    with pytest.raises(PipelineError, match=r"train\.freeze\.layers 3 is more than the 2 layers"):
        trained_variables(load_classifier(checkpoint, LABELS), FreezeSettings(layers=3))


def test_learning_rate_decays_layer_by_layer_from_the_head(checkpoint: Path) -> None:
    model = load_classifier(checkpoint, LABELS)
    shares = learning_rate_shares(model, model.trainable_variables, 0.5)
    by_part = {
        part: {
            share for v, share in zip(model.trainable_variables, shares, strict=True) if f"/{part}/" in v.name
        }
        for part in ("embeddings", "layer_._0", "layer_._1", "pooler", "classifier")
    }
    assert by_part == {
        "embeddings": {0.125},
        "layer_._0": {0.25},
        "layer_._1": {0.5},
        "pooler": {1.0},
        "classifier": {1.0},
    }
    assert set(learning_rate_shares(model, model.trainable_variables, 1.0)) == {1.0}
