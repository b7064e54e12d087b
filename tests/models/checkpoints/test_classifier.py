"""A checkpoint is loaded as the TF model that transformers would make of it, without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.checkpoints.classifier import load_classifier
from models.encoders.families import forward_of
from models.errors import CheckpointError
from tests.support.tiny_encoders import token_batch

LABELS = ["animal", "number", "place"]


def logits(folder: Path) -> np.ndarray:
    model = load_classifier(folder, LABELS)
    return forward_of(model).classify(model, token_batch(("input_ids", "attention_mask"))).numpy()


def test_pytorch_weights_arrive_transposed_where_tensorflow_wants_it(checkpoint: Path) -> None:
    model, tensors = load_classifier(checkpoint, LABELS), load_file(checkpoint / "model.safetensors")
    layer = model.bert.encoder.layer[1]
    np.testing.assert_array_equal(
        model.bert.embeddings.weight.numpy(), tensors["embeddings.word_embeddings.weight"]
    )
    np.testing.assert_array_equal(
        layer.intermediate.dense.kernel.numpy(), tensors["encoder.layer.1.intermediate.dense.weight"].T
    )
    np.testing.assert_array_equal(
        layer.attention.self_attention.key.kernel.numpy(),
        tensors["encoder.layer.1.attention.self.key.weight"].T,
    )


def test_prefixed_names_of_an_older_checkpoint_load_alike(original: Path, tmp_path: Path) -> None:
    for path in original.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(original / "model.safetensors")
    rng = np.random.default_rng(1)
    for name in tensors:
        if "LayerNorm" in name:
            tensors[name] = rng.normal(size=tensors[name].shape).astype(np.float32)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    expected = logits(tmp_path)
    old = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in tensors.items()
    }
    old["classifier.weight"] = np.ones((7, 32), np.float32)  # another task's head is not taken over
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(logits(tmp_path), expected)


def test_shards_load_like_one_file(original: Path, tmp_path: Path) -> None:
    tensors = load_file(original / "model.safetensors")
    for path in original.iterdir():
        if path.name != "model.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    names = sorted(tensors)
    shards = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for shard, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, tmp_path / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, inside in shards.items() for name in inside}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    expected = logits(original)
    np.testing.assert_array_equal(logits(tmp_path), expected)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "encoder.layer.1.output.dense.weight",
            None,
            r"the weights lack tensor encoder\.layer\.1\.output\.dense",
        ),
        ("encoder.layer.0.output.dense.weight", (16, 16), r"has shape \[16, 16\], config\.json asks for"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_named(
    original: Path, tmp_path: Path, name: str, change: tuple[int, int] | None, message: str
) -> None:
    for path in original.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(original / "model.safetensors")
    del tensors[name]
    if change:
        tensors[name] = np.zeros(change, np.float32)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        load_classifier(tmp_path, LABELS)


def test_head_is_fresh_and_the_same_for_the_same_seed(checkpoint: Path) -> None:
    first, again, other = (
        load_classifier(checkpoint, LABELS, seed=s).classifier.kernel.numpy() for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.001
    assert np.abs(first).max() <= 0.04 + 1e-6  # two standard deviations of initializer_range 0.02


def test_dropout_setting_replaces_the_checkpoints(checkpoint: Path) -> None:
    assert load_classifier(checkpoint, LABELS).config.classifier_dropout is None
    assert load_classifier(checkpoint, LABELS, dropout=0.4).config.classifier_dropout == 0.4


def test_values_that_are_no_finite_number_do_not_reach_the_model(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["pooler.dense.bias"][0] = np.nan
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"tensor pooler\.dense\.bias: 1 of 32 values are infinite or NaN"
    ):
        load_classifier(checkpoint, LABELS)
