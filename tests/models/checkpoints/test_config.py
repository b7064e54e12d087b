"""config.json: every key that changes the forward pass is read, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.checks import check_checkpoint
from models.errors import CheckpointError
from tests.models.checkpoints.conftest import change_config


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(folder, allow_pickle=False)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("key", "value", "quoted"),
    [
        ("is_decoder", True, "True"),
        ("is_decoder", "false", "'false'"),  # a text, which is true
        ("add_cross_attention", True, "True"),
        ("is_encoder_decoder", True, "True"),
        ("tie_encoder_decoder", True, "True"),
        ("cross_attention_hidden_size", 32, "32"),
        ("pruned_heads", {"0": [1]}, "{'0': [1]}"),
        ("quantization_config", {"quant_method": "fp8"}, "{'quant_method': 'fp8'}"),
        ("compression_config", {"format": "int8"}, "{'format': 'int8'}"),
        ("configuration_files", ["config.4.0.0.json"], "['config.4.0.0.json']"),
        ("transformers_weights", "other.safetensors", "'other.safetensors'"),
        ("auto_map", {"AutoModel": "own.Model"}, "{'AutoModel': 'own.Model'}"),
    ],
)
def test_key_that_makes_another_model_is_refused_by_name(
    checkpoint: Path, key: str, value: Any, quoted: str
) -> None:
    change_config(checkpoint, **{key: value})
    assert refusal(checkpoint).startswith(f"config.json: {key} is {quoted}; ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"position_embedding_type": "relative_key_query"},
            "position_embedding_type is 'relative_key_query'; only",
        ),
        ({"position_embedding_type": None}, "position_embedding_type is None; it should be a valid string"),
        ({"hidden_act": "gelu_python"}, "hidden_act is 'gelu_python'; only gelu, gelu_10, "),
        ({"hidden_act": "glu"}, "hidden_act is 'glu'; only gelu, "),
        ({"hidden_act": ["gelu"]}, "hidden_act is ['gelu']; it should be a valid string"),
        ({"num_attention_heads": 5}, "hidden_size 32 is no multiple of num_attention_heads 5"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; it should be greater than or equal to 1"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it should be greater than or equal to 1"),
        ({"vocab_size": "98"}, "vocab_size is '98'; it should be a valid integer"),
        ({"vocab_size": None}, "vocab_size is None; it should be a valid integer"),
        ({"hidden_size": True}, "hidden_size is True; it should be a valid integer"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12'; it should be a valid number"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan; it should be"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps is -1.0; it should be greater than or equal to 0"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0; it should be less than 1"),
        ({"classifier_dropout": -0.1}, "classifier_dropout is -0.1; it should be greater than or equal to 0"),
        ({"model_type": ["bert"]}, "model_type ['bert'] is not one of ['albert', 'bart', 'bert', "),
        ({"model_type": None}, "model_type None is not one of ['albert', 'bart', 'bert', "),
    ],
)
def test_value_that_bert_cannot_have_is_quoted(
    checkpoint: Path, values: dict[str, Any], message: str
) -> None:
    change_config(checkpoint, **values)
    assert message in refusal(checkpoint)


def test_key_that_is_there_twice_is_refused(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(path.read_text().replace("{", '{"is_decoder": true, "is_decoder": false, ', 1))
    assert refusal(checkpoint) == (
        "config.json: not readable as JSON: the key 'is_decoder' occurs twice in one object"
    )


def test_activations_are_those_of_transformers_for_tensorflow() -> None:
    from transformers.activations_tf import ACT2FN

    from models.encoders.config import ACTIVATIONS

    assert {*ACTIVATIONS, "glu"} == ACT2FN.keys()


def test_keys_that_nobody_reads_are_told_and_change_nothing(checkpoint: Path) -> None:
    change_config(checkpoint, use_cache=False, _name_or_path="bert", rotary_base=10000, alibi=True)
    notes = check_checkpoint(checkpoint, allow_pickle=False)
    assert notes == [
        f"{checkpoint / 'config.json'}: BERT does not read ['alibi', 'rotary_base'], here as in transformers"
    ]
