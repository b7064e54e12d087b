"""What every family of encoders holds: its facts are those of transformers, its forward pass is that of its class."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import transformers
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

from models import features
from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.encoders.families import FAMILIES, REFERENCE, Facts, Forward, forward_of
from models.encoders.reference import forward as reference
from tests.support.full import FULL
from tests.support.layer_rates import assert_rates_fall_towards_the_embeddings
from tests.support.tiny_encoders import CONFIGS, token_batch, write_encoder

LABELS = ["animal", "number", "place"]
LAYERS = 2  # of the tiny encoders


# The others: tests/models/encoders/reference/test_contract.py
OWN = [name for name in sorted(FAMILIES) if FAMILIES[name].has_own_forward]


@pytest.fixture(params=OWN)
def model_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def facts(model_type: str) -> Facts:
    return FAMILIES[model_type].facts()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    # A head of so large weights makes logits that differ.
    return {
        model_type: write_encoder(root / model_type, model_type, initializer_range=0.3) for model_type in OWN
    }


@pytest.fixture(scope="session")
def built(folders: dict[str, Path]) -> dict[str, Any]:
    """One of each; a test that changes a model makes its own."""
    return {model_type: load_classifier(folder, LABELS) for model_type, folder in folders.items()}


@pytest.fixture
def model(built: dict[str, Any], model_type: str) -> Any:
    return built[model_type]


@pytest.fixture
def batch(facts: Facts) -> dict[str, tf.Tensor]:
    return token_batch(facts.INPUTS)


def test_every_family_has_a_tiny_encoder() -> None:
    assert CONFIGS.keys() == FAMILIES.keys()
    assert sorted(DECAYED) == OWN


# --- facts ----------------------------------------------------------------------------------------


def test_both_modules_have_what_the_contract_lists(model_type: str) -> None:
    family = FAMILIES[model_type]
    for module, contract in ((family.facts(), Facts), (family.forward(), Forward)):
        functions = {name for name in vars(contract) if inspect.isfunction(vars(contract)[name])}
        names = {name for name in functions | contract.__annotations__.keys() if not name.startswith("_")}
        assert names
        assert names <= vars(module).keys()


def test_inputs_begin_with_ids_and_mask(facts: Facts) -> None:
    assert features.model_inputs(facts.INPUTS) == facts.INPUTS


def test_what_config_json_leaves_out_has_the_defaults_of_transformers(
    model_type: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    ours, theirs = read_encoder(tmp_path).config.model_dump(), transformers.AutoConfig.for_model(model_type)
    # Some keys of DeBERTa-v2 are read, and have no default in its config class.
    assert ours == {key: getattr(theirs, key, ours[key]) for key in ours}


def test_every_key_of_transformers_config_is_read_refused_or_known_to_be_harmless(
    model_type: str, facts: Facts
) -> None:
    config, general = transformers.AutoConfig.for_model(model_type), transformers.PretrainedConfig
    names = {*config.to_dict(), *config.to_diff_dict()}
    for function in (type(config).__init__, general.__init__):
        names |= inspect.signature(function).parameters.keys()
    names |= general._get_global_generation_defaults().keys()
    names = {name for name in names if not name.startswith("_")} - {"self", "kwargs"}
    assert names - {*facts.HARMLESS, *facts.REFUSED, *facts.Config.model_fields} == set()


def test_names_and_shapes_of_tensors_are_those_of_the_class(
    model: Any, folders: dict[str, Path], model_type: str, facts: Facts
) -> None:
    named = {}
    for variable in model.variables:
        name, _ = convert_tf_weight_name_to_pt_weight_name(variable.name, tf_weight_shape=variable.shape)
        if name.startswith(facts.PREFIX):
            named[name.removeprefix(facts.PREFIX)] = dimensions(variable.shape)
    needed = dict(facts.tensors(read_encoder(folders[model_type]).config, facts.PARTS))
    assert {name: dimensions(shape) for name, shape in needed.items()} == named
    assert all(name.startswith(facts.PARTS) for name in needed)


def dimensions(shape: Iterable[int]) -> list[int]:
    """Kernels are transposed, and GPT-2's biases are [1, outputs]."""
    return sorted(size for size in shape if size != 1)


def test_sizes_are_those_of_the_class(model: Any, folders: dict[str, Path], model_type: str) -> None:
    encoder = read_encoder(folders[model_type])
    sizes = encoder.facts.sizes(encoder.config)
    assert (sizes.vocabulary, sizes.layers) == (model.config.vocab_size, len(forward_of(model).layers(model)))
    tokens = min(sizes.positions, 64)
    full = {name: tf.zeros([1, tokens], tf.int32) for name in encoder.facts.INPUTS}
    full[features.ATTENTION_MASK] = tf.ones([1, tokens], tf.int32)
    assert np.isfinite(forward_of(model).classify(model, full)).all()


def test_dropout_before_the_head_is_the_key_that_the_facts_name(
    folders: dict[str, Path], model_type: str, facts: Facts
) -> None:
    model = load_classifier(folders[model_type], LABELS, dropout=0.4)
    assert getattr(model.config, facts.HEAD_DROPOUT) == 0.4


# --- forward pass ---------------------------------------------------------------------------------


def with_gradients(classify: Any, model: Any, batch: dict[str, tf.Tensor]) -> tuple[Any, list[Any]]:
    with tf.GradientTape() as tape:
        logits = classify(model, batch)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(len(logits)) % 3, logits)
        loss = tf.reduce_sum(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    return logits.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("bare", [False, True], ids=["all inputs", "ids and mask"])
def test_logits_and_gradients_equal_the_hugging_face_class(
    model: Any, batch: dict[str, tf.Tensor], bare: bool
) -> None:
    given = {name: batch[name] for name in (features.INPUT_IDS, features.ATTENTION_MASK)} if bare else batch
    ours, mine = with_gradients(forward_of(model).classify, model, given)
    theirs, others = with_gradients(reference.classify, model, given)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert len(mine) == len(model.trainable_variables)
    for gradient, other, variable in zip(mine, others, model.trainable_variables, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=1e-5, err_msg=variable.name)


def test_every_input_matters(model: Any, batch: dict[str, tf.Tensor], facts: Facts) -> None:
    classify = forward_of(model).classify
    for name in facts.INPUTS:
        other = {**batch, name: tf.zeros_like(batch[name])}
        assert np.abs(classify(model, other) - classify(model, batch)).max() > 1e-4, name


def test_names_that_are_no_inputs_are_not_looked_at(model: Any, batch: dict[str, tf.Tensor]) -> None:
    classify = forward_of(model).classify
    more = {**batch, features.LABEL_ID: tf.zeros([6], tf.int32)}
    np.testing.assert_array_equal(classify(model, more), classify(model, batch))


def test_padding_changes_nothing(model: Any, batch: dict[str, tf.Tensor]) -> None:
    classify = forward_of(model).classify
    padded = {name: tf.pad(values, [[0, 0], [0, 5]]) for name, values in batch.items()}
    np.testing.assert_allclose(classify(model, padded), classify(model, batch), atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_half_precision_stays_near_float32(model: Any, batch: dict[str, tf.Tensor], dtype: tf.DType) -> None:
    classify = forward_of(model).classify
    half = classify(model, batch, dtype=dtype)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, classify(model, batch), atol=0.02)


def test_dropout_follows_its_seed(model: Any, batch: dict[str, tf.Tensor]) -> None:
    def logits(*seed: int) -> np.ndarray:
        return forward_of(model).classify(model, batch, tf.constant(seed, tf.int64)).numpy()

    np.testing.assert_array_equal(logits(5, 0), logits(5, 0))
    assert np.abs(logits(5, 0) - logits(5, 4096)).max() > 1e-4
    assert np.abs(logits(5, 0) - forward_of(model).classify(model, batch)).max() > 1e-4


# --- what training asks -----------------------------------------------------------------------------


# What weight decay applies to, without the layers' numbers and the head; a layer norm or bias must not be here.
_ATTENTION = ["attention/self/query", "attention/self/key", "attention/self/value", "attention/output/dense"]
_BERT_LAYER = [
    f"encoder/layer_._N/{name}/kernel" for name in (*_ATTENTION, "intermediate/dense", "output/dense")
]
_EMBEDDINGS = [
    f"embeddings/{name}"
    for name in (
        "word_embeddings/weight",
        "token_type_embeddings/embeddings",
        "position_embeddings/embeddings",
    )
]
_TWO_LAYERS = ["classifier/dense/kernel", "classifier/out_proj/kernel"]
DECAYED = {
    "albert": [
        *_EMBEDDINGS,
        "encoder/embedding_hidden_mapping_in/kernel",
        *(
            f"encoder/albert_layer_groups_._N/albert_layers_._N/{name}/kernel"
            for name in (
                "attention/query",
                "attention/key",
                "attention/value",
                "attention/dense",
                "ffn",
                "ffn_output",
            )
        ),
        "pooler/kernel",
        "classifier/kernel",
    ],
    "bert": [*_BERT_LAYER, "pooler/dense/kernel", *_EMBEDDINGS, "classifier/kernel"],
    "camembert": [*_BERT_LAYER, *_EMBEDDINGS, *_TWO_LAYERS],
    "deberta-v2": [
        "embeddings/word_embeddings/weight",
        "embeddings/token_type_embeddings/embeddings",
        "encoder/rel_embeddings.weight",
        *(
            f"encoder/layer_._N/{name}/kernel"
            for name in (
                "attention/self/query_proj",
                "attention/self/key_proj",
                "attention/self/value_proj",
                "attention/output/dense",
                "intermediate/dense",
                "output/dense",
            )
        ),
        "pooler/dense/kernel",
        "classifier/kernel",
    ],
    "distilbert": [
        "embeddings/word_embeddings/weight",
        "embeddings/position_embeddings/embeddings",
        *(
            f"transformer/layer_._N/{name}/kernel"
            for name in (
                "attention/q_lin",
                "attention/k_lin",
                "attention/v_lin",
                "attention/out_lin",
                "ffn/lin1",
                "ffn/lin2",
            )
        ),
        "pre_classifier/kernel",
        "classifier/kernel",
    ],
    "electra": [*_EMBEDDINGS, "embeddings_project/kernel", *_BERT_LAYER, *_TWO_LAYERS],
    # Not its biases by distance, encoder/relative_attention_bias.
    "mpnet": [
        *(
            f"encoder/layer_._N/{name}/kernel"
            for name in (
                "attention/attn/q",
                "attention/attn/k",
                "attention/attn/v",
                "attention/attn/o",
                "intermediate/dense",
                "output/dense",
            )
        ),
        "embeddings/word_embeddings/weight",
        "embeddings/position_embeddings/embeddings",
        *_TWO_LAYERS,
    ],
    "roberta": [*_BERT_LAYER, *_EMBEDDINGS, *_TWO_LAYERS],
    "xlm-roberta": [*_BERT_LAYER, *_EMBEDDINGS, *_TWO_LAYERS],
}


def test_exactly_these_variables_are_decayed(model: Any, model_type: str, facts: Facts) -> None:
    decayed = [v for v in model.trainable_variables if forward_of(model).is_decayed(v)]
    names = [re.sub(r"_\._\d+/", "_._N/", v.name.removesuffix(":0").partition("/")[2]) for v in decayed]
    shown = [name.removeprefix(facts.PREFIX.replace(".", "/")) for name in names]
    assert sorted(set(shown)) == sorted(DECAYED[model_type])
    assert all(v.shape.rank == 2 for v in decayed)


def test_embeddings_and_layers_are_separate_parts_of_the_model(model: Any) -> None:
    forward = forward_of(model)
    parts = [forward.embeddings(model), *forward.layers(model)]
    assert len(parts) == 1 + LAYERS
    inside = [variable.ref() for part in parts for variable in part.trainable_variables]
    assert len(inside) == len(set(inside))
    assert set(inside) < {variable.ref() for variable in model.trainable_variables}
    rest = [v.name for v in model.trainable_variables if v.ref() not in set(inside)]
    assert all("classifier" in name or "pooler" in name for name in rest), rest


def test_learning_rates_decay_from_the_head_to_the_embeddings(model: Any) -> None:
    assert_rates_fall_towards_the_embeddings(model, LAYERS)


# --- the reference way ------------------------------------------------------------------------------


@pytest.fixture
def by_reference(folders: dict[str, Path], model_type: str) -> Any:
    return load_classifier(folders[model_type], LABELS, forward=REFERENCE)


@pytest.mark.parametrize("model_type", OWN if FULL else ["bert", "distilbert"])
def test_reference_way_gives_a_row_the_logits_that_its_class_gives_it_alone(
    by_reference: Any, batch: dict[str, tf.Tensor]
) -> None:
    lengths = batch[features.ATTENTION_MASK].numpy().sum(axis=1)
    alone = [
        by_reference(**{name: values[i : i + 1, :length] for name, values in batch.items()}).logits[0]
        for i, length in enumerate(lengths)
    ]
    np.testing.assert_allclose(forward_of(by_reference).classify(by_reference, batch), alone, atol=2e-6)


@pytest.mark.parametrize("model_type", OWN if FULL else ["bert"])
def test_dropout_of_the_reference_way_follows_its_seed_alone(
    by_reference: Any, batch: dict[str, tf.Tensor]
) -> None:
    @tf.function
    def compiled(seed: tf.Tensor) -> tf.Tensor:
        return forward_of(by_reference).classify(by_reference, batch, seed)

    first, again, other = (compiled(tf.constant([5, n], tf.int64)).numpy() for n in (0, 0, 4096))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    # In another process it would count its calls, not follow the seed.
    stateful = {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "StatefulUniform"}
    operations = compiled.get_concrete_function(tf.TensorSpec([2], tf.int64)).graph.get_operations()
    assert {operation.type for operation in operations} & stateful == set()


def test_reference_way_decays_and_freezes_what_the_own_forward_pass_does(
    model: Any, by_reference: Any
) -> None:
    own, reference_way = forward_of(model), forward_of(by_reference)
    for variable, other in zip(model.variables, by_reference.variables, strict=True):
        assert own.is_decayed(variable) == reference_way.is_decayed(other), variable.name
    for part, other in zip(
        [own.embeddings(model), *own.layers(model)],
        [reference_way.embeddings(by_reference), *reference_way.layers(by_reference)],
        strict=True,
    ):
        assert {name_in_model(v) for v in part.variables} == {name_in_model(v) for v in other.variables}


def name_in_model(variable: Any) -> str:
    """Without the name of the model, which Keras numbers."""
    return str(variable.name.partition("/")[2])
