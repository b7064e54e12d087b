"""Weights: finite floats for exactly the tensors of the encoder that config.json describes."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.checkpoints.checks import check_checkpoint
from models.checkpoints.config import read_encoder
from models.checkpoints.weights import encoder_tensors, finite_values
from models.errors import CheckpointError
from tests.models.checkpoints.conftest import WORDS, change_weights

KEY = "encoder.layer.0.attention.self.key.weight"
QUERY = "encoder.layer.0.attention.self.query.weight"


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(folder, allow_pickle=False)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{folder}/")


def edit_header(folder: Path, change: Callable[[dict[str, Any]], bytes]) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = change(json.loads(content[8 : 8 + size]))
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])


def relabel(folder: Path, name: str, dtype: str, shape: list[int]) -> None:
    """Changes a tensor's dtype in the header to one that NumPy may not have."""

    def change(header: dict[str, Any]) -> bytes:
        header[name] |= {"dtype": dtype, "shape": shape}
        return json.dumps(header).encode()

    edit_header(folder, change)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.bool_])
def test_integer_weights_are_refused_by_tensor_name(checkpoint: Path, dtype: type) -> None:
    change_weights(checkpoint, lambda tensors: tensors.update({QUERY: tensors[QUERY].astype(dtype)}))
    name = {"bool": "BOOL"}.get(np.dtype(dtype).name, np.dtype(dtype).name.upper())
    name = name.replace("UINT", "U").replace("INT", "I")
    assert refusal(checkpoint) == (
        f"model.safetensors: tensor {QUERY} is '{name}'; weights must be floats, F16, BF16, F32, F64: quantized "
        "ones cannot be trained"
    )


@pytest.mark.parametrize(
    ("dtype", "shape"), [("F8_E4M3", [32, 128]), ("F8_E5M2", [32, 128]), ("F4", [64, 128]), ("C64", [16, 32])]
)
def test_float8_and_other_dtypes_are_refused_by_tensor_name(
    checkpoint: Path, dtype: str, shape: list[int]
) -> None:
    relabel(checkpoint, QUERY, dtype, shape)
    assert refusal(checkpoint).startswith(
        f"model.safetensors: tensor {QUERY} is '{dtype}'; weights must be floats"
    )


def test_scales_beside_the_weights_are_refused(checkpoint: Path) -> None:
    scale = QUERY.replace("weight", "weight_scale")
    change_weights(checkpoint, lambda tensors: tensors.update({scale: np.ones(1, np.float32)}))
    assert refusal(checkpoint).startswith(
        f"model.safetensors: tensor {scale} is not of the encoder that config.json"
    )


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_every_float_is_read_as_float32(checkpoint: Path, dtype: str) -> None:
    values = np.tile(np.array([0.0, -1.5, 2.0**-10, 384.0], np.float32), (32, 8))
    stored = {"F16": np.float16, "F32": np.float32, "F64": np.float64}.get(dtype)
    if stored is not None:
        change_weights(checkpoint, lambda tensors: tensors.update({QUERY: values.astype(stored)}))
    else:
        upper_halves = (values.view(np.uint32) >> 16).astype(np.uint16)
        change_weights(checkpoint, lambda tensors: tensors.update({QUERY: upper_halves.view(np.float16)}))
        relabel(checkpoint, QUERY, "BF16", [32, 32])
    check_checkpoint(checkpoint, allow_pickle=False)
    tensor = encoder_tensors(checkpoint, read_encoder(checkpoint), allow_pickle=False)[QUERY]
    assert tensor.dtype == dtype
    assert finite_values(tensor).dtype == np.float32
    np.testing.assert_array_equal(finite_values(tensor), values)


@pytest.mark.parametrize(("bad", "dtype"), [(np.nan, "f4"), (np.inf, "f4"), (-np.inf, "f2"), (1e300, "f8")])
def test_values_that_are_no_finite_float32_are_refused_by_tensor_name(
    checkpoint: Path, bad: float, dtype: str
) -> None:
    def damage(tensors: dict[str, np.ndarray]) -> None:
        tensors[QUERY] = tensors[QUERY].astype(dtype)
        tensors[QUERY][3, 4] = bad

    change_weights(checkpoint, damage)
    assert refusal(checkpoint) == (
        f"model.safetensors: tensor {QUERY}: 1 of 1024 values are infinite or NaN; the checkpoint is damaged, or "
        "its training diverged"
    )


@pytest.mark.parametrize(
    "name",
    [
        "encoder.layer.2.output.dense.weight",  # config.json says 2 layers
        "encoder.layer.0.attention.self.distance_embedding.weight",  # relative positions
        "encoder.layer.1.crossattention.self.query.weight",
        "bert.encoder.layer.0.output.adapters.a.adapter_down.0.weight",
        "bert.invertible_adapters.a.F.0.weight",
    ],
)
def test_tensor_of_the_encoder_that_would_be_left_out_is_refused(checkpoint: Path, name: str) -> None:
    change_weights(checkpoint, lambda tensors: tensors.update({name: np.zeros((2, 2), np.float32)}))
    assert refusal(checkpoint).startswith(f"model.safetensors: tensor {name} is not of the encoder")


def test_heads_of_other_tasks_and_buffers_are_left_out(checkpoint: Path) -> None:
    others = {
        "cls.predictions.bias": np.zeros(3, np.float32),
        "classifier.weight": np.full((2, 2), np.nan, np.float32),
        "embeddings.position_ids": np.zeros((1, 64), np.int64),
    }
    change_weights(checkpoint, lambda tensors: tensors.update(others))
    [note] = check_checkpoint(checkpoint, allow_pickle=False)
    assert "have a head of another training (classifier.weight [2, 2]), which is dropped" in note


def test_tensor_that_lacks_is_named_before_training(checkpoint: Path) -> None:
    change_weights(checkpoint, lambda tensors: tensors.pop(QUERY))
    with pytest.raises(CheckpointError, match=f"the weights lack tensor {QUERY}; config.json describes"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_tensor_that_is_there_under_two_names_is_refused(checkpoint: Path) -> None:
    change_weights(checkpoint, lambda tensors: tensors.update({f"bert.{WORDS}": tensors[WORDS] + 1}))
    assert "is there twice, also as " in refusal(checkpoint)


def test_tensor_without_the_prefix_that_the_others_have_is_refused(checkpoint: Path) -> None:
    """transformers would leave it out, and start that part of the model at random."""

    def rename(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if name != QUERY]:
            tensors[f"bert.{name}"] = tensors.pop(name)

    change_weights(checkpoint, rename)
    assert refusal(checkpoint) == (
        f"model.safetensors: tensor {QUERY} has no 'bert.' before its name, others have; save the weights again"
    )


def test_adapter_is_not_taken_for_a_model(checkpoint: Path) -> None:
    (checkpoint / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "base_model_name_or_path": "bert"}'
    )
    assert refusal(checkpoint).startswith("adapter_config.json: this is the folder of an adapter, ")
    (checkpoint / "config.json").unlink()  # as PEFT saves it
    assert refusal(checkpoint).startswith("adapter_config.json: this is the folder of an adapter, ")


def test_pooler_is_whole_or_absent(checkpoint: Path) -> None:
    change_weights(checkpoint, lambda tensors: tensors.pop("pooler.dense.bias"))
    with pytest.raises(CheckpointError, match=r"the weights lack tensor pooler\.dense\.bias"):
        check_checkpoint(checkpoint, allow_pickle=False)
    change_weights(checkpoint, lambda tensors: tensors.pop("pooler.dense.weight"))
    assert check_checkpoint(checkpoint, allow_pickle=False) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [32, 31], "data_offsets": [0, 4096]},
        {"dtype": "F32", "shape": [32, 32], "data_offsets": [4096, 0]},
        {"dtype": "F16", "shape": [32, 32], "data_offsets": [0, 4096]},
    ],
)
def test_header_whose_sizes_contradict_is_refused(checkpoint: Path, entry: dict[str, Any]) -> None:
    text = json.dumps({WORDS: entry}).encode()
    (checkpoint / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4096))
    assert "which is another size; fetch it again" in refusal(checkpoint)


def test_two_tensors_of_the_same_bytes_are_refused(checkpoint: Path) -> None:
    def share(header: dict[str, Any]) -> bytes:
        header[QUERY]["data_offsets"] = header[KEY]["data_offsets"]
        return json.dumps(header).encode()

    edit_header(checkpoint, share)
    assert re.fullmatch(
        r"model\.safetensors: tensor \S+ begins at byte \d+, the one before it ends at \d+; fetch it again",
        refusal(checkpoint),
    )
    with pytest.raises(SafetensorError, match="invalid offset"):
        load_file(checkpoint / "model.safetensors")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_header_in_another_encoding_is_refused(checkpoint: Path, encoding: str) -> None:
    edit_header(checkpoint, lambda header: json.dumps(header).encode(encoding))
    assert refusal(checkpoint) == "model.safetensors: not a safetensors file (its header cannot be read)"


# --- shards, and where they may be --------------------------------------------------------------------


def shard(folder: Path, names: dict[str, str]) -> None:
    """Splits the weights into two files with the given names."""
    tensors = load_file(folder / "model.safetensors")
    keys = sorted(tensors)
    halves = {"first": keys[:20], "second": keys[20:]}
    for half, inside in halves.items():
        path = folder / names[half]
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: tensors[key] for key in inside}, path, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    weight_map = {key: names[half] for half, inside in halves.items() for key in inside}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_in_the_folder_and_below_it_are_read(checkpoint: Path) -> None:
    shard(checkpoint, {"first": "a.safetensors", "second": "shards/b.safetensors"})
    assert check_checkpoint(checkpoint, allow_pickle=False) == []


def test_shard_outside_the_folder_is_not_read(checkpoint: Path, tmp_path: Path) -> None:
    shard(checkpoint, {"first": "a.safetensors", "second": "../outside.safetensors"})
    assert (tmp_path / "outside.safetensors").is_file()
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(checkpoint, allow_pickle=False)
    assert str(error.value) == (
        f"{checkpoint}: '../outside.safetensors' leads out of the checkpoint's folder; nothing there is read"
    )


def test_shard_with_an_absolute_path_is_not_read(checkpoint: Path, tmp_path: Path) -> None:
    outside = str(tmp_path / "outside.safetensors")
    shard(checkpoint, {"first": "a.safetensors", "second": outside})
    with pytest.raises(CheckpointError, match="leads out of the checkpoint's folder; nothing there is read"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_tensor_that_is_not_in_the_shard_that_the_index_names_is_refused(checkpoint: Path) -> None:
    shard(checkpoint, {"first": "a.safetensors", "second": "b.safetensors"})
    path = checkpoint / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][WORDS] = "b.safetensors"
    path.write_text(json.dumps(index))
    assert refusal(checkpoint) == (
        f"model.safetensors.index.json: tensor {WORDS} is not in b.safetensors, as it says"
    )


def test_tensor_that_the_index_leaves_out_is_not_read(checkpoint: Path) -> None:
    """transformers would start it at random."""
    shard(checkpoint, {"first": "a.safetensors", "second": "b.safetensors"})
    path = checkpoint / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    del index["weight_map"][WORDS]
    path.write_text(json.dumps(index))
    assert f"the weights lack tensor {WORDS}; " in refusal(checkpoint)


# --- pickles ------------------------------------------------------------------------------------------


def test_tensors_of_a_pickle_are_checked_alike(checkpoint: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(t) for name, t in load_file(checkpoint / "model.safetensors").items()}
    (checkpoint / "model.safetensors").unlink()
    config = read_encoder(checkpoint)

    def read() -> dict[str, np.ndarray]:
        torch.save(state, checkpoint / "pytorch_model.bin")
        return {
            n: finite_values(t) for n, t in encoder_tensors(checkpoint, config, allow_pickle=True).items()
        }

    state[QUERY] = state[QUERY].bfloat16()
    np.testing.assert_array_equal(read()[QUERY], state[QUERY].float().numpy())
    state[QUERY] = state[QUERY].to(torch.int8)
    with pytest.raises(CheckpointError, match=rf"tensor {QUERY} is 'torch\.int8'; weights must be floats"):
        read()
    state[QUERY] = torch.full((32, 32), torch.nan)
    with pytest.raises(CheckpointError, match=f"tensor {QUERY}: 1024 of 1024 values are infinite or NaN"):
        read()
    (checkpoint / "pytorch_model.bin").write_bytes(b"not a pickle")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: PyTorch cannot load it"):
        encoder_tensors(checkpoint, config, allow_pickle=True)
