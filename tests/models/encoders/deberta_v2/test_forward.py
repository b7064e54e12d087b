"""What the DeBERTas have and BERT lacks: scores by distance, and the parts that config.json may switch on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.encoders.families import FAMILIES, forward_of
from models.encoders.reference import forward as reference
from models.errors import CheckpointError
from tests.models.encoders.test_contract import LABELS, with_gradients
from tests.support.tiny_encoders import token_batch, write_encoder

INPUTS = FAMILIES["deberta-v2"].facts().INPUTS


def compared(folder: Path, tokens: int = 9, **values: Any) -> None:
    """Checks logits and gradients of a model whose config.json has `values` against the class."""
    model = load_classifier(write_encoder(folder, "deberta-v2", initializer_range=0.3, **values), LABELS)
    batch = token_batch(INPUTS, tokens=tokens)
    ours, mine = with_gradients(forward_of(model).classify, model, batch)
    theirs, others = with_gradients(reference.classify, model, batch)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert np.ptp(ours, axis=0).max() > 0.02
    for gradient, other, variable in zip(mine, others, model.trainable_variables, strict=True):
        tolerance = 1e-5 * max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(gradient, other, atol=tolerance, err_msg=variable.name)


@pytest.mark.parametrize(
    "values",
    [
        {"pos_att_type": ["c2p"]},
        {"pos_att_type": "p2c"},
        {"pos_att_type": "c2p|c2p"},
        {"position_buckets": -1, "max_relative_positions": 5},  # rows have larger distances
        {"conv_kernel_size": 3, "conv_act": "gelu"},
        {"conv_kernel_size": 5, "num_hidden_layers": 1},
        {"position_biased_input": True, "type_vocab_size": 0, "norm_rel_ebd": "none"},
    ],
)
def test_parts_that_the_config_switches_are_those_of_the_class(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    compared(tmp_path, **values)


def test_large_distances_share_their_buckets_as_in_the_class(tmp_path: Path) -> None:
    compared(tmp_path, tokens=60, position_buckets=8)


@pytest.mark.parametrize("kinds", [None, ["c2p", "p2c"], ["c2p"]])
def test_attention_without_distances_is_that_of_the_class(tmp_path: Path, kinds: list[str] | None) -> None:
    values = {"relative_attention": False, "norm_rel_ebd": "none", "position_biased_input": True}
    model = load_classifier(write_encoder(tmp_path, "deberta-v2", pos_att_type=kinds, **values), LABELS)
    batch = token_batch(INPUTS)
    logits = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(logits, reference.classify(model, batch), atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 2])
def test_shortest_rows_have_the_logits_of_the_class(tmp_path: Path, tokens: int) -> None:
    model = load_classifier(write_encoder(tmp_path, "deberta-v2"), LABELS)
    ids = tf.constant([[7] * tokens, [9] * tokens], tf.int32)
    batch = {"input_ids": ids, "attention_mask": tf.ones_like(ids)}
    logits = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(logits, reference.classify(model, batch), atol=1e-5)


def test_convolution_of_even_width_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, "deberta-v2")
    (folder / "config.json").write_text('{"model_type": "deberta-v2", "conv_kernel_size": 4}')
    with pytest.raises(CheckpointError, match="conv_kernel_size is 4; the class has odd ones only"):
        read_encoder(folder)
