"""Checks that apply to every format whose runtime works in this process."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from components.exports.opened import Opened
from tests.components.exports.conftest import batch, served
from tests.components.exports.process_state import process_state
from tests.support.tiny_export import TinyExport

SHAPES = ((1, 5), (32, 16), (2, 2), (1, 16), (1, 16))


def check_answers(opened: Opened, model: TinyExport, largest_difference: float) -> None:
    """Batches of any shape are answered as the served signature answers them."""
    for seed, (rows, tokens) in enumerate(SHAPES):
        asked = batch(rows, tokens, seed=seed)
        got = opened.predict(asked)
        assert (got.dtype, got.shape) == (np.float32, (rows, 3))
        assert np.abs(got - served(model, asked)).max() < largest_difference
    assert len(opened.seconds(asked, 3)) == 3


def check_answers_to_pairs(opened: Opened, model: TinyExport) -> None:
    """Token types are taken, and make a difference."""
    asked = batch(4, 9, text_pairs=True)
    got = opened.predict(asked)
    other = opened.predict({**asked, "token_type_ids": np.zeros_like(asked["token_type_ids"])})
    np.testing.assert_allclose(got, served(model, asked), atol=1e-5)
    assert np.abs(other - got).max() > 1e-3


def check_process_is_left_alone(kind: ModuleType, model: TinyExport, folder: Path) -> None:
    """A conversion and an answer change nothing that the nodes after an Exporter rely on."""
    before = process_state()
    kind.convert(model.saved_model, "int8", folder)
    with kind.opened(folder, "int8") as opened:
        opened.predict(batch(2, 3))
    assert process_state() == before
