"""Every architecture that is trained through its own class: facts, logits, dropout, decay and freezing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import transformers

from models import features
from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.encoders.families import FAMILIES, Facts, forward_of
from models.errors import CheckpointError
from tests.models.encoders import test_contract
from tests.models.encoders.reference.decayed import DECAYED
from tests.models.encoders.test_contract import (  # noqa: F401  # the same tests for other families
    test_every_key_of_transformers_config_is_read_refused_or_known_to_be_harmless,
    test_inputs_begin_with_ids_and_mask,
    test_names_and_shapes_of_tensors_are_those_of_the_class,
    test_sizes_are_those_of_the_class,
)
from tests.support.full import FULL
from tests.support.layer_rates import assert_rates_fall_towards_the_embeddings
from tests.support.tiny_encoders import token_batch, write_encoder

BY_REFERENCE = [name for name in sorted(FAMILIES) if not FAMILIES[name].has_own_forward]
# In `make test` one as it is, and those of which something is changed.
CALLED = BY_REFERENCE if FULL else ["bart", "convbert", "gpt2", "mobilebert", "xlnet"]
COMPILED = BY_REFERENCE if FULL else ["gpt2"]
DECODERS = ["gpt2", "gptj", "mistral", "openai-gpt"]


@pytest.fixture(params=BY_REFERENCE)
def model_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def facts(model_type: str) -> Facts:
    return FAMILIES[model_type].facts()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reference")
    return {name: write_encoder(root / name, name) for name in BY_REFERENCE}


@pytest.fixture(scope="session")
def built(folders: dict[str, Path]) -> Callable[[str], Any]:
    models: dict[str, Any] = {}

    def model_of(name: str) -> Any:
        if name not in models:
            models[name] = load_classifier(folders[name], test_contract.LABELS)
        return models[name]

    return model_of


@pytest.fixture
def model(built: Callable[[str], Any], model_type: str) -> Any:
    return built(model_type)


@pytest.fixture
def batch(facts: Facts) -> dict[str, tf.Tensor]:
    return token_batch(facts.INPUTS)


# --- facts ----------------------------------------------------------------------------------------


def test_what_config_json_leaves_out_has_the_defaults_of_transformers(
    model_type: str, tmp_path: Path
) -> None:
    needed = {"pad_token_id": 0} if model_type == "openai-gpt" else {}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, **needed}))
    ours, theirs = read_encoder(tmp_path).config.model_dump(), transformers.AutoConfig.for_model(model_type)
    if model_type in DECODERS:
        assert theirs.pad_token_id is None
        assert ours.pop("pad_token_id") == (0 if model_type == "openai-gpt" else theirs.eos_token_id)
    # Some keys of DeBERTa's are read, and have no default in its config class.
    assert ours == {key: getattr(theirs, key, ours[key]) for key in ours}


def test_decoder_without_padding_ids_gets_that_of_its_last_token_or_is_refused(tmp_path: Path) -> None:
    def padding(**values: Any) -> int:
        (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 50, **values}))
        return int(read_encoder(tmp_path).config.pad_token_id)

    assert padding(model_type="gpt2", eos_token_id=49) == 49
    assert padding(model_type="gpt2", eos_token_id=49, pad_token_id=7) == 7
    assert padding(model_type="mistral") == 2
    with pytest.raises(CheckpointError, match="pad_token_id 50256 has no row in the embedding of 50"):
        padding(model_type="gpt2")
    with pytest.raises(CheckpointError, match="pad_token_id is missing, by which the class finds the last"):
        padding(model_type="openai-gpt")


# --- forward pass ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", CALLED)
def test_row_in_a_batch_has_the_logits_that_its_class_gives_it_alone(
    model: Any, batch: dict[str, tf.Tensor], model_type: str
) -> None:
    # Another instance, which no forward pass of ours has touched.
    plain = type(model)(model.config)
    plain.build_in_name_scope()
    for variable, value in zip(plain.variables, model.variables, strict=True):
        variable.assign(value)
    alone = []
    for i, length in enumerate(batch[features.ATTENTION_MASK].numpy().sum(axis=1)):
        row = {name: values[i : i + 1, :length] for name, values in batch.items()}
        alone.append(plain(**row, training=False).logits[0])
    logits = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(logits, alone, atol=1e-6)
    wide = {name: tf.pad(values, [[0, 0], [0, 5]]) for name, values in batch.items()}
    wide[features.INPUT_IDS] = tf.pad(batch[features.INPUT_IDS], [[0, 0], [0, 5]], constant_values=3)
    np.testing.assert_allclose(forward_of(model).classify(model, wide), logits, atol=1e-6)


@pytest.mark.parametrize("model_type", CALLED)
def test_every_input_matters(model: Any, batch: dict[str, tf.Tensor], facts: Facts) -> None:
    classify = forward_of(model).classify
    logits = classify(model, batch).numpy()
    for name in facts.INPUTS:
        other = {**batch, name: tf.zeros_like(batch[name])}
        assert np.abs(classify(model, other) - logits).max() > 1e-4 * np.abs(logits).max(), name


@pytest.mark.parametrize("model_type", COMPILED)
def test_dropout_follows_its_seed_alone(model: Any, batch: dict[str, tf.Tensor]) -> None:
    tokens = {name: tf.TensorSpec([None, None], tf.int32) for name in batch}

    @tf.function(input_signature=[tokens, tf.TensorSpec([2], tf.int64)])
    def compiled(inputs: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        return forward_of(model).classify(model, inputs, seed)

    first, again, other = (compiled(batch, tf.constant([5, n], tf.int64)).numpy() for n in (0, 0, 4096))
    np.testing.assert_array_equal(first, again)
    # Mistral and GPT-J have no dropout by default.
    kinds = {o.type for o in compiled.get_concrete_function().graph.get_operations()}
    assert (np.abs(first - other).max() > 0.0) == ("StatelessRandomUniformV2" in kinds)
    # Keras' own numbers depend on what the process did before.
    assert {kind for kind in kinds if "Random" in kind} <= {
        "StatelessRandomGetKeyCounter",
        "StatelessRandomUniformV2",
    }


@pytest.mark.parametrize("model_type", ["gptj", "mistral"])
def test_dropout_that_is_not_the_default_is_applied(tmp_path: Path, model_type: str) -> None:
    values = {"resid_pdrop": 0.5} if model_type == "gptj" else {"attention_dropout": 0.5}
    model = load_classifier(write_encoder(tmp_path, model_type, **values), test_contract.LABELS)
    batch, classify = token_batch(FAMILIES[model_type].facts().INPUTS), forward_of(model).classify
    seed = tf.constant([5, 0], tf.int64)
    assert np.abs(classify(model, batch, seed) - classify(model, batch)).max() > 1e-3
    np.testing.assert_array_equal(classify(model, batch, seed), classify(model, batch, seed))


def test_other_precision_than_that_of_the_class_is_no_forward_pass_of_it(
    built: Callable[[str], Any],
) -> None:
    model = built("gpt2")
    batch = token_batch(FAMILIES["gpt2"].facts().INPUTS)
    with pytest.raises(ValueError, match="compute in float32, not bfloat16"):
        forward_of(model).classify(model, batch, dtype=tf.bfloat16)


def test_bart_reads_the_last_end_of_a_text_that_has_one_inside(built: Callable[[str], Any]) -> None:
    model, classify = built("bart"), forward_of(built("bart")).classify
    ids = tf.constant([[0, 2, 40, 2], [0, 41, 42, 2]], tf.int32)
    inputs = {features.INPUT_IDS: ids, features.ATTENTION_MASK: tf.ones_like(ids)}
    alone = [classify(model, {name: v[i : i + 1] for name, v in inputs.items()})[0] for i in range(2)]
    np.testing.assert_allclose(classify(model, inputs), alone, atol=1e-6)


# --- what training asks -----------------------------------------------------------------------------


def test_exactly_these_variables_are_decayed(model: Any, model_type: str, facts: Facts) -> None:
    is_decayed = forward_of(model).is_decayed
    decayed = {shown(v) for v in model.trainable_variables if is_decayed(v)}
    assert sorted(decayed) == sorted(DECAYED[model_type])
    norms = [
        layer for layer in model.submodules if type(layer).__name__.endswith(("Norm", "LayerNormalization"))
    ]
    assert norms
    assert not any(is_decayed(variable) for layer in norms for variable in layer.variables)


def shown(variable: Any) -> str:
    """`tf_bart.../model/encoder/layers.1/fc1/kernel:0` -> `model/encoder/layers.N/fc1/kernel`"""
    name = variable.name.removesuffix(":0").partition("/")[2]
    return re.sub(r"(?<=[._])\d+(?=[/._])", "N", name)


def test_embeddings_and_layers_are_separate_parts_of_the_model(model: Any, facts: Facts) -> None:
    forward, config = forward_of(model), model.config
    parts = [forward.embeddings(model), *forward.layers(model)]
    layers = 4 if config.model_type == "bart" else 2
    assert len(parts) == 1 + layers
    inside = [variable.ref() for part in parts for variable in part.trainable_variables]
    assert len(inside) == len(set(inside))
    rest = {shown(v) for v in model.trainable_variables if v.ref() not in set(inside)}
    assert {name for name in rest if name.startswith(facts.PREFIX.replace(".", "/"))} == LEFT_OUT.get(
        config.model_type, set()
    )


def test_learning_rates_decay_from_the_head_to_the_embeddings(model: Any) -> None:
    assert_rates_fall_towards_the_embeddings(model, 4 if model.config.model_type == "bart" else 2)


# Of the encoder, what follows its layers and is read by the head, and what nothing reads.
LEFT_OUT: dict[str, set[str]] = {
    "gpt2": {"transformer/ln_f/beta", "transformer/ln_f/gamma"},
    "gptj": {"transformer/ln_f/beta", "transformer/ln_f/gamma"},
    "layoutlm": {"layoutlm/pooler/dense/kernel", "layoutlm/pooler/dense/bias"},
    "mistral": {"model/norm/weight"},
    "mobilebert": {"mobilebert/pooler/dense/kernel", "mobilebert/pooler/dense/bias"},
    "rembert": {
        "rembert/pooler/dense/kernel",
        "rembert/pooler/dense/bias",
    },
    "roberta-prelayernorm": {
        "roberta_prelayernorm/LayerNorm/beta",
        "roberta_prelayernorm/LayerNorm/gamma",
    },
    "xlnet": {"transformer/mask_emb"},
}


@pytest.mark.parametrize("model_type", CALLED)
def test_every_variable_that_is_trained_has_a_gradient(model: Any, batch: dict[str, tf.Tensor]) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(forward_of(model).classify(model, batch) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    without = {shown(v) for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None}
    # Of XLNet: what stands for a word to guess.
    assert without == ({"transformer/mask_emb"} if model.config.model_type == "xlnet" else set())
