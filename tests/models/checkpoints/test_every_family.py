"""For every family of encoders: weights in each format, and keys and tensors that are refused by name before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.checkpoints.config import read_encoder, unread_keys
from models.checkpoints.weights import check_finite, encoder_tensors, finite_values, head_tensors
from models.encoders.families import FAMILIES, Facts
from models.errors import CheckpointError
from tests.models.checkpoints.conftest import change_config, change_weights
from tests.support.tiny_encoders import write_encoder


@pytest.fixture(params=sorted(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny encoder of the family, as PyTorch saves it."""
    return write_encoder(tmp_path / request.param, request.param)


@pytest.fixture
def facts(folder: Path) -> Facts:
    return read_encoder(folder).facts


def read(folder: Path) -> dict[str, np.ndarray]:
    tensors = encoder_tensors(folder, read_encoder(folder), allow_pickle=False)
    check_finite(tensors)
    return {name: finite_values(tensor) for name, tensor in tensors.items()}


def last_matrix(folder: Path) -> str:
    return [name for name, values in load_file(folder / "model.safetensors").items() if values.ndim > 1][-1]


def write_sharded(folder: Path, change: Callable[[str, np.ndarray], tuple[str, np.ndarray]]) -> None:
    """Puts every second tensor into another shard, each as `change` makes it."""
    path = folder / "model.safetensors"
    tensors = dict(change(name, values) for name, values in load_file(path).items())
    path.unlink()
    weight_map = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for shard in set(weight_map.values()):
        own = {name: values for name, values in tensors.items() if weight_map[name] == shard}
        save_file(own, folder / shard, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_of_half_precision_with_the_prefix_are_read_as_float32(folder: Path, facts: Facts) -> None:
    before = read(folder)
    write_sharded(folder, lambda name, values: (facts.PREFIX + name, values.astype(np.float16)))
    after = read(folder)
    assert after.keys() == before.keys()
    for name, values in after.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, before[name].astype(np.float16), err_msg=name)


def test_missing_tensor_is_named(folder: Path) -> None:
    name = last_matrix(folder)
    change_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointError, match=f"the weights lack tensor {name}; "):
        read(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((), np.int8), "is 'I8'; weights must be floats, F16, BF16, F32, F64: quantized ones"),
        (np.array(np.nan, np.float32), r"\d+ of \d+ values are infinite or NaN"),
    ],
    ids=["integers", "NaN"],
)
def test_tensor_that_is_no_finite_float_is_named(folder: Path, values: np.ndarray, message: str) -> None:
    name = last_matrix(folder)
    change_weights(folder, lambda tensors: tensors.update({name: np.full(tensors[name].shape, values)}))
    with pytest.raises(CheckpointError, match=f"tensor {name}:? {message}"):
        read(folder)


def test_head_is_told_and_not_read(folder: Path, facts: Facts) -> None:
    before = read(folder)
    head = f"{facts.HEAD[-1]}weight"
    prefixed = {facts.PREFIX + name: values for name, values in before.items()}
    save_file({**prefixed, head: np.ones((7, 32), np.float32)}, folder / "model.safetensors")
    assert head_tensors(folder, read_encoder(folder)) == {head: (7, 32)}
    assert read(folder).keys() == before.keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"bits": 4}),
        ("auto_map", {"AutoModel": "code.Model"}),
        ("transformers_weights", "other.safetensors"),
    ],
)
def test_key_that_makes_another_model_is_refused(folder: Path, key: str, value: object) -> None:
    change_config(folder, **{key: value})
    with pytest.raises(CheckpointError, match=rf"config\.json: {key} is "):
        read_encoder(folder)


# Of the others neither class, of PyTorch or TensorFlow, has code that reads the key.
READ_POSITIONS = {"albert", "bert", "camembert", "electra", "roberta", "roberta-prelayernorm", "xlm-roberta"}


def test_relative_positions_are_refused_where_a_class_reads_the_key_and_told_elsewhere(folder: Path) -> None:
    change_config(folder, position_embedding_type="relative_key")
    if folder.name in READ_POSITIONS:
        with pytest.raises(
            CheckpointError, match="position_embedding_type is 'relative_key'; only 'absolute'"
        ):
            read_encoder(folder)
    else:
        assert unread_keys(folder, read_encoder(folder).facts) == ["position_embedding_type"]


def test_adapters_in_the_encoder_are_refused(folder: Path, facts: Facts) -> None:
    name = f"{facts.PREFIX}{facts.PARTS[-1]}adapters.a.down.weight"
    change_weights(folder, lambda tensors: tensors.update({name: np.ones((2, 2), np.float32)}))
    with pytest.raises(CheckpointError, match=f"tensor {name} is not of the encoder"):
        read(folder)
