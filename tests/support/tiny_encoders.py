"""A tiny random encoder of each family, as PyTorch would save it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from models.checkpoints.config import read_encoder
from tests.support import tiny_reference

_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "vocab_size": 98,
}
# model_type -> what makes its config.json small: two layers, a vocabulary of 98, 64 positions.
CONFIGS: dict[str, dict[str, Any]] = {
    "albert": {**_SMALL, "embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2},
    "bert": _SMALL,
    "camembert": _SMALL,
    "deberta-v2": {
        **_SMALL,
        **tiny_reference.DISENTANGLED,
        "position_buckets": 16,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
    },
    "distilbert": {
        "dim": 32,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 64,
        "max_position_embeddings": 64,
        "vocab_size": 98,
    },
    "electra": {**_SMALL, "embedding_size": 16},
    "mpnet": _SMALL,
    "roberta": _SMALL,
    "xlm-roberta": _SMALL,
    **tiny_reference.CONFIGS,
}


def write_encoder(folder: Path, model_type: str, learns: bool = False, **values: Any) -> Path:
    """Writes config.json (CONFIGS, changed by `values`) and model.safetensors with all that the encoder needs.

    `learns`: with values as before pretraining, from which a few steps of training get somewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": model_type, **CONFIGS[model_type], **values}
    (folder / "config.json").write_text(json.dumps(config))
    encoder, rng = read_encoder(folder), np.random.default_rng(0)
    # Layer norms, too, get values that no two of them share.
    tensors = {
        name: _initial(name, shape, rng) if learns else rng.normal(0.0, 0.3, shape).astype(np.float32)
        for name, shape in encoder.facts.tensors(encoder.config, encoder.facts.PARTS)
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _initial(name: str, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Biases are 0, layer norms 1, the others small."""
    if len(shape) > 1:
        return rng.normal(0.0, 0.1, shape).astype(np.float32)
    return np.full(shape, 0.0 if name.endswith("bias") else 1.0, np.float32)


def with_own_config(model: Any, **values: Any) -> Any:
    """An instance of the model's class with its weights, made by transformers' own reading of CONFIGS and `values`."""
    import transformers

    kind = model.config.model_type
    config = transformers.AutoConfig.for_model(
        kind, **{**CONFIGS[kind], **values, "num_labels": model.config.num_labels}
    )
    other = type(model)(config)
    other.build_in_name_scope()
    values_of = {variable.name.partition("/")[2]: variable for variable in model.variables}
    for variable in other.variables:  # in an order of their own where some are not trained
        variable.assign(values_of[variable.name.partition("/")[2]])
    return other


def token_batch(inputs: Sequence[str], rows: int = 6, tokens: int = 9) -> dict[str, Any]:
    """The model's inputs: ids of rows of `tokens` and fewer, padded; int32 [rows, tokens] each."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    lengths = rng.integers(2, tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int32)
    ids = rng.integers(5, 60, (rows, tokens))
    ids[np.arange(rows), lengths - 1] = 2  # BART reads the last one of these
    values = {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "token_type_ids": (np.arange(tokens) > tokens // 2) * mask,
    }
    return {name: tf.constant(values[name], tf.int32) for name in inputs}
