"""Logits for each token: those of the class for token classification, whatever the forward pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import transformers
from safetensors.numpy import load_file, save_file
from transformers.models.auto.modeling_tf_auto import TF_MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES

from models import features
from models.checkpoints.classifier import load_classifier
from models.encoders.families import FAMILIES, forward_of, logits_of, token_class
from models.errors import CheckpointError
from tests.models.encoders.test_contract import with_gradients
from tests.support.full import FULL
from tests.support.tiny_encoders import token_batch, write_encoder

TAGS = ["O", "B-PER", "I-PER"]
LABELLING = [name for name in sorted(FAMILIES) if FAMILIES[name].labels_tokens]
OWN = [name for name in LABELLING if FAMILIES[name].has_own_forward]
# In `make test` one as it is, and those that are called in a way of their own or have parts that no token needs.
BY_REFERENCE = (
    [name for name in LABELLING if name not in OWN]
    if FULL
    else ["convbert", "layoutlm", "mobilebert", "xlnet"]
)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("encoders")

    def written(model_type: str) -> Path:
        folder = root / model_type
        return folder if folder.exists() else write_encoder(folder, model_type, **_WIDE.get(model_type, {}))

    return written


# Weights so large that the logits of tokens differ.
_WIDE = {name: {"initializer_range": 0.3} for name in OWN}


def test_families_label_tokens_where_transformers_has_a_class_for_it() -> None:
    classes = TF_MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES
    assert sorted(set(FAMILIES) & set(classes)) == LABELLING
    assert [token_class(FAMILIES[name].facts()) for name in LABELLING] == [
        classes[name] for name in LABELLING
    ]
    assert len(LABELLING) == 17


@pytest.mark.parametrize("model_type", OWN)
def test_logits_and_gradients_of_tokens_equal_the_hugging_face_class(
    model_type: str, folder_of: Callable[[str], Path]
) -> None:
    model, batch = (
        load_classifier(folder_of(model_type), TAGS, labels_tokens=True),
        token_batch(FAMILIES[model_type].facts().INPUTS),
    )
    real = batch[features.ATTENTION_MASK].numpy() == 1

    def of_class(model: Any, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.boolean_mask(model(**batch, training=False).logits, real)

    def of_ours(model: Any, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.boolean_mask(logits_of(model)(model, batch), real)

    ours, mine = with_gradients(of_ours, model, batch)
    theirs, others = with_gradients(of_class, model, batch)
    assert ours.shape == (real.sum(), 3)
    assert np.abs(ours[0] - ours[1]).max() > 1e-4  # ten times the tolerance
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert len(mine) == len(model.trainable_variables)
    for gradient, other, variable in zip(mine, others, model.trainable_variables, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=1e-5, err_msg=variable.name)


@pytest.mark.parametrize("model_type", OWN)
def test_the_users_head_gets_the_hidden_states_and_the_mask(
    model_type: str, folder_of: Callable[[str], Path]
) -> None:
    model = load_classifier(folder_of(model_type), TAGS, labels_tokens=True)
    batch = token_batch(FAMILIES[model_type].facts().INPUTS)
    mask = batch[features.ATTENTION_MASK]

    def of_rows(hidden: tf.Tensor, mask: tf.Tensor, dropout: Any) -> tf.Tensor:
        del dropout
        return model.classifier(tf.reduce_sum(hidden * tf.cast(mask, tf.float32)[..., tf.newaxis], 1))

    of_tokens = model(**batch, training=False).logits - model.classifier.bias
    expected = (
        tf.reduce_sum(of_tokens * tf.cast(mask, tf.float32)[..., tf.newaxis], 1) + model.classifier.bias
    )
    model.own_head = of_rows
    np.testing.assert_allclose(logits_of(model)(model, batch), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model_type", BY_REFERENCE)
def test_row_in_a_batch_has_the_token_logits_that_its_class_gives_it_alone(
    model_type: str, folder_of: Callable[[str], Path]
) -> None:
    model = load_classifier(folder_of(model_type), TAGS, labels_tokens=True)
    plain = type(model)(model.config)  # which no forward pass of ours has touched
    plain.build_in_name_scope()
    for variable, value in zip(plain.variables, _in_order(model, plain), strict=True):
        variable.assign(value)
    batch = token_batch(FAMILIES[model_type].facts().INPUTS)
    logits = logits_of(model)(model, batch).numpy()
    assert logits.shape == (6, 9, 3)
    for i, length in enumerate(batch[features.ATTENTION_MASK].numpy().sum(axis=1)):
        row = {name: values[i : i + 1, :length] for name, values in batch.items()}
        np.testing.assert_allclose(logits[i, :length], plain(**row, training=False).logits[0], atol=2e-6)


def _in_order(model: Any, other: Any) -> list[Any]:
    values = {variable.name.partition("/")[2]: variable for variable in model.variables}
    return [values[variable.name.partition("/")[2]] for variable in other.variables]


@pytest.mark.parametrize("model_type", BY_REFERENCE)
def test_every_variable_that_is_trained_has_a_gradient(
    model_type: str, folder_of: Callable[[str], Path]
) -> None:
    model = load_classifier(folder_of(model_type), TAGS, labels_tokens=True)
    with tf.GradientTape() as tape:
        batch = token_batch(FAMILIES[model_type].facts().INPUTS)
        loss = tf.reduce_sum(logits_of(model)(model, batch) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [v.name for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert [name for name in without if "mask_emb" not in name] == []


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "convbert"])
def test_dropout_before_the_head_for_tokens_is_the_one_of_the_config(
    model_type: str, folder_of: Callable[[str], Path]
) -> None:
    folder = folder_of(model_type)
    model = load_classifier(folder, TAGS, labels_tokens=True)
    assert model.dropout.rate == 0.1  # of the encoder
    model = load_classifier(folder, TAGS, labels_tokens=True, dropout=0.4)
    assert model.dropout.rate == 0.4
    batch, seed = token_batch(FAMILIES[model_type].facts().INPUTS), tf.constant([5, 0], tf.int64)
    labelled = logits_of(model)
    np.testing.assert_array_equal(labelled(model, batch, seed), labelled(model, batch, seed))
    assert np.abs(labelled(model, batch, seed) - labelled(model, batch)).max() > 1e-4


def test_half_precision_stays_near_float32(folder_of: Callable[[str], Path]) -> None:
    model = load_classifier(folder_of("bert"), TAGS, labels_tokens=True)
    batch = token_batch(FAMILIES["bert"].facts().INPUTS)
    half = forward_of(model).label_tokens(model, batch, dtype=tf.bfloat16)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, forward_of(model).label_tokens(model, batch), atol=0.05)


def test_head_of_a_fine_tuned_checkpoint_is_dropped(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "fine_tuned", "bert")
    tensors = load_file(folder / "model.safetensors")
    headed = {
        f"bert.{name}": values for name, values in tensors.items() if not name.startswith("bert.")
    } or tensors
    head = {
        "classifier.weight": np.full((2, 32), 9, np.float32),
        "classifier.bias": np.full(2, 9, np.float32),
    }
    save_file(headed | head, folder / "model.safetensors")
    model = load_classifier(folder, TAGS, labels_tokens=True)
    assert model.classifier.kernel.shape == (32, 3)
    assert np.abs(model.classifier.kernel.numpy()).max() < 0.1
    np.testing.assert_array_equal(model.classifier.bias.numpy(), [0, 0, 0])


def test_architectures_without_a_class_for_tokens_are_refused(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(
        CheckpointError, match=r"no class in TensorFlow that labels tokens for gpt2; give .* bert, "
    ):
        load_classifier(folder_of("gpt2"), TAGS, labels_tokens=True)
    with pytest.raises(
        CheckpointError, match=r"the head for tokens of xlnet has no dropout; remove model.dropout \(0.2\)"
    ):
        load_classifier(folder_of("xlnet"), TAGS, labels_tokens=True, dropout=0.2)


def test_a_model_for_rows_is_classified_as_before(folder_of: Callable[[str], Path]) -> None:
    model = load_classifier(folder_of("bert"), TAGS)
    batch = token_batch(FAMILIES["bert"].facts().INPUTS)
    assert logits_of(model)(model, batch).shape == (6, 3)
    assert isinstance(model, transformers.TFBertForSequenceClassification)
    assert json.loads((folder_of("bert") / "config.json").read_text())["model_type"] == "bert"
