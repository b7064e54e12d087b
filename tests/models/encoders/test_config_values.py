"""Logits equal those of transformers' class, whatever the config.json of a family says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.checkpoints.classifier import load_classifier
from models.encoders.families import FAMILIES, forward_of
from models.encoders.reference import forward as reference
from models.errors import CheckpointError
from tests.support.tiny_encoders import token_batch, with_own_config, write_encoder

LABELS = ["animal", "number", "place"]
# BERT's are in bert/test_forward.py.
READ: list[tuple[str, dict[str, Any]]] = [
    ("albert", {"hidden_act": "relu", "layer_norm_eps": 0.1, "num_attention_heads": 8}),
    ("albert", {"num_hidden_groups": 1, "num_hidden_layers": 3}),
    ("albert", {"num_hidden_groups": 2, "num_hidden_layers": 5}),
    ("albert", {"num_hidden_groups": 2, "num_hidden_layers": 4, "inner_group_num": 2}),
    ("albert", {"embedding_size": 32, "hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}),
    ("camembert", {"type_vocab_size": 1}),
    ("distilbert", {"activation": "relu", "n_heads": 8, "dropout": 0.5, "attention_dropout": 0.5}),
    ("distilbert", {"sinusoidal_pos_embds": True, "seq_classif_dropout": 0.0, "qa_dropout": 0.9}),
    ("electra", {"embedding_size": 32, "hidden_act": "relu", "num_attention_heads": 8}),
    ("electra", {"summary_type": "mean", "summary_use_proj": False, "summary_activation": "tanh"}),
    ("mpnet", {"relative_attention_num_buckets": 8, "hidden_act": "relu", "num_attention_heads": 8}),
    ("mpnet", {"relative_attention_num_buckets": 5, "layer_norm_eps": 0.1, "pad_token_id": 0}),
    ("roberta", {"hidden_act": "relu", "layer_norm_eps": 0.1, "num_attention_heads": 8}),
    ("roberta", {"type_vocab_size": 1, "classifier_dropout": 0.5}),
    ("xlm-roberta", {"type_vocab_size": 1}),
]


@pytest.mark.parametrize(("model_type", "values"), READ, ids=str)
def test_logits_equal_the_class_whatever_the_config_says(
    tmp_path: Path, model_type: str, values: dict[str, Any]
) -> None:
    model = load_classifier(write_encoder(tmp_path, model_type, **values), LABELS)
    inputs = FAMILIES[model_type].facts().INPUTS
    batch = token_batch(inputs if values.get("type_vocab_size") != 1 else inputs[:2], tokens=60)
    theirs = with_own_config(model, **values)
    ours = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(ours, reference.classify(theirs, batch), atol=5e-6)


@pytest.mark.parametrize(
    ("model_type", "values", "message"),
    [
        ("albert", {"num_hidden_groups": 5}, "num_hidden_layers 4 is less than num_hidden_groups 5 times"),
        ("albert", {"inner_group_num": 3}, "num_hidden_groups 2 times inner_group_num 3, which transformers"),
        ("albert", {"num_attention_heads": 5}, "hidden_size 32 is no multiple of num_attention_heads 5"),
        ("camembert", {"pad_token_id": 0}, "pad_token_id is 0; positions are counted from it"),
        ("distilbert", {"n_heads": 5}, "dim 32 is no multiple of n_heads 5"),
        ("distilbert", {"activation": "glu"}, "activation is 'glu'; only gelu, "),
        ("distilbert", {"hidden_size": 32}, "hidden_size is 32; DistilBERT's config.json calls it dim"),
        ("electra", {"position_embedding_type": "relative_key"}, "'relative_key'; only 'absolute'"),
        ("mpnet", {"relative_attention_num_buckets": 3}, "buckets is 3; it should be greater than or equal"),
        ("mpnet", {"max_position_embeddings": 2}, "max_position_embeddings is 2; it should be greater than"),
        ("roberta", {"is_decoder": True}, "is_decoder is True; only encoders are trained"),
        ("roberta", {"max_position_embeddings": 2}, "max_position_embeddings is 2; it should be greater"),
        ("xlm-roberta", {"pad_token_id": 2}, "pad_token_id is 2; positions are counted from it"),
    ],
    ids=str,
)
def test_key_that_makes_another_model_is_refused_by_name(
    tmp_path: Path, model_type: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError) as error:
        write_encoder(tmp_path, model_type, **values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
