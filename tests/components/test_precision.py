"""An exported model whose matrix products are computed in bfloat16, as the server and the Evaluator load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.evaluator import eval_model_bfloat16
from components.evaluator.settings import EvaluateSettings
from components.precision import load_in, write_bfloat16
from models import features
from models.tasks.task import TASKS
from pipeline.eval_config import make_eval_config
from tests.components.evaluator.test_metrics import LABELS, SayingModel
from tests.support.model_server import TEXTS, Exported, exported

__all__ = ["exported"]


def answers(model: Any) -> np.ndarray:
    return model.signatures[features.SERVING_SIGNATURE](text=tf.constant(TEXTS))["probabilities"].numpy()


@pytest.fixture(scope="module")
def in_bfloat16(exported: tuple[Exported, Exported]) -> np.ndarray:
    return answers(load_in("bfloat16", exported[0].path, tf.saved_model.load))


def test_products_are_in_bfloat16(exported: tuple[Exported, Exported], in_bfloat16: np.ndarray) -> None:
    difference = np.abs(in_bfloat16 - exported[0].probabilities).max()
    assert 1e-5 < difference < 0.02
    np.testing.assert_allclose(in_bfloat16.sum(axis=1), 1.0, atol=1e-6)  # softmax is in float32


def test_evaluator_loads_what_the_server_computes(
    exported: tuple[Exported, Exported], in_bfloat16: np.ndarray
) -> None:
    evaluate = EvaluateSettings.model_validate({"thresholds": {"accuracy": {"min": 0.5}}})
    config = make_eval_config(TASKS["single_label"], evaluate, "label", LABELS, "bfloat16")
    model = eval_model_bfloat16.custom_eval_shared_model(str(exported[0].path), "candidate", config)
    np.testing.assert_array_equal(answers(model.model_loader.load()), in_bfloat16)


def test_graph_without_a_product_is_the_same(tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    saying = SayingModel(False)
    tf.saved_model.save(saying, str(model), signatures={features.SERVING_SIGNATURE: saying.serve})
    out.mkdir()
    write_bfloat16(model, out)
    assert {path.name for path in out.iterdir()} == {path.name for path in model.iterdir()}
    assert [path.name for path in out.iterdir() if not path.is_symlink()] == ["saved_model.pb"]
    assert (out / "saved_model.pb").stat().st_size == (model / "saved_model.pb").stat().st_size
