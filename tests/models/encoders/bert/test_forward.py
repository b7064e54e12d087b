"""BERT's logits equal those of transformers' class, whatever its config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.checkpoints.classifier import load_classifier
from models.encoders.bert.facts import INPUTS
from models.encoders.config import ACTIVATIONS
from models.encoders.families import forward_of
from models.encoders.reference import forward as reference
from tests.support.tiny_encoders import token_batch, with_own_config, write_encoder

LABELS = ["animal", "number", "place"]
ALL_ACTIVATIONS = [{"hidden_act": name} for name in ACTIVATIONS]
READ = [
    *(
        {"layer_norm_eps": 0.1},
        {"num_attention_heads": 8},
        {"num_attention_heads": 1},
        {"classifier_dropout": 0.3},
    ),
    {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "initializer_range": 0.5},
]
# What BERT returns beside the logits, its loss, and what other models or another framework read.
WITHOUT_EFFECT = [
    *(
        {"output_attentions": True},
        {"output_hidden_states": True},
        {"use_cache": False},
        {"torchscript": True},
    ),
    *(
        {"return_dict": False},
        {"chunk_size_feed_forward": 3},
        {"tie_word_embeddings": False},
        {"pad_token_id": 7},
    ),
    *(
        {"problem_type": "regression"},
        {"problem_type": "nonsense"},
        {"torch_dtype": "float16"},
        {"dtype": "int4"},
    ),
    *(
        {"id2label": {"x": 1}, "num_labels": 9},
        {"architectures": ["BertLMHeadModel"]},
        {"rotary_base": 10000},
    ),
]


@pytest.mark.parametrize("values", [*ALL_ACTIVATIONS, *READ, *WITHOUT_EFFECT], ids=str)
def test_logits_equal_the_hugging_face_class_whatever_the_config_says(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    model, batch = load_classifier(write_encoder(tmp_path, "bert", **values), LABELS), token_batch(INPUTS)
    # Its own class, with its own reading of the file; of these two it would make an error, not another model.
    own = {key: value for key, value in values.items() if value not in ("nonsense", {"x": 1})}
    theirs = with_own_config(model, **own)
    ours = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(ours, reference.classify(theirs, batch), atol=5e-6)


def test_checkpoint_without_a_pooler_gets_one_with_the_seed(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = write_encoder(tmp_path, "bert") / "model.safetensors"
    tensors = {name: t for name, t in load_file(path).items() if not name.startswith("pooler.")}
    save_file(tensors, path, metadata={"format": "pt"})
    first, again, other = (
        load_classifier(tmp_path, LABELS, seed=seed).bert.pooler.dense.kernel.numpy() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.001
