"""Weights that transformers saved from TensorFlow give the model that PyTorch's files give."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors import safe_open

from models.checkpoints.checks import check_checkpoint
from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.checkpoints.tensor import Tensor
from models.checkpoints.tf_weights import as_pytorch
from models.checkpoints.weights import checkpoint_digest
from models.encoders.families import FAMILIES
from models.errors import CheckpointError
from tests.support.full import FULL
from tests.support.tiny_encoders import write_encoder

LABELS = ["animal", "number", "place"]
KINDS = ("h5", "safetensors")
QUICK = ["bert", "mpnet"]


def save_from_tensorflow(folder: Path, kind: str, labels: int = 3) -> Path:
    """Replaces model.safetensors by what transformers saves of its TF class."""
    model = load_classifier(folder, [str(i) for i in range(labels)])
    out = folder.parent / "saved"
    model.save_pretrained(str(out), safe_serialization=kind == "safetensors")
    name = "tf_model.h5" if kind == "h5" else "model.safetensors"
    (folder / "model.safetensors").unlink()
    shutil.move(out / name, folder / name)
    return folder / name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model_type", sorted(FAMILIES) if FULL else QUICK)
def test_weights_are_those_of_the_model_that_was_saved(tmp_path: Path, model_type: str, kind: str) -> None:
    folder = write_encoder(tmp_path / "tiny", model_type)
    before = load_classifier(folder, LABELS, seed=7)
    save_from_tensorflow(folder, kind)
    after = load_classifier(folder, LABELS, seed=7)
    for one, other in zip(before.variables, after.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)


@pytest.mark.parametrize("model_type", sorted(FAMILIES))
def test_names_and_shapes_are_those_of_transformers(tmp_path: Path, model_type: str) -> None:
    from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

    folder = write_encoder(tmp_path, model_type)
    shapes = dict(
        read_encoder(folder).facts.tensors(read_encoder(folder).config, FAMILIES[model_type].facts().PARTS)
    )
    for variable in load_classifier(folder, LABELS).variables:
        wanted, _ = convert_tf_weight_name_to_pt_weight_name(variable.name, tf_weight_shape=variable.shape)
        stored = Tensor(folder, variable.name.partition("/")[2], "F32", tuple(variable.shape), variable.numpy)
        tensor = as_pytorch(stored)
        assert tensor.name == wanted
        assert tensor.read().shape == tensor.shape
        inside = wanted.removeprefix(FAMILIES[model_type].facts().PREFIX)
        assert tensor.shape == shapes.get(inside, tensor.shape), wanted


@pytest.mark.parametrize("kind", KINDS)
def test_head_of_the_saved_model_is_told(checkpoint: Path, kind: str) -> None:
    save_from_tensorflow(checkpoint, kind, labels=5)
    [note] = check_checkpoint(checkpoint, allow_pickle=False)
    assert "a head of another training (classifier.weight [5, 32])" in note


def test_safetensors_are_those_of_tensorflow(checkpoint: Path) -> None:
    """What the other tests rely on."""
    with safe_open(save_from_tensorflow(checkpoint, "safetensors"), framework="numpy") as file:
        assert file.metadata() == {"format": "tf"}
        assert "bert/encoder/layer_._0/output/dense/kernel:0" in list(file.keys())


def test_digest_follows_the_file(checkpoint: Path) -> None:
    path = save_from_tensorflow(checkpoint, "h5")
    first = checkpoint_digest(checkpoint)
    with h5py.File(path, "r+") as file:
        file[words(file)][0, 0] = 1.0
    assert checkpoint_digest(checkpoint) != first


# --- what is refused ----------------------------------------------------------------------------------


@pytest.fixture
def h5(checkpoint: Path) -> Path:
    return save_from_tensorflow(checkpoint, "h5")


def words(file: Any) -> str:
    """The path of the word embedding; Keras numbers the model's name within a process."""
    return f"bert/{next(name for name in file['bert'].attrs['weight_names'] if 'word_embeddings' in name)}"


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(path.parent, allow_pickle=False)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path.parent}/")


def test_file_that_is_cut_short_is_refused(h5: Path) -> None:
    h5.write_bytes(h5.read_bytes()[:-5000])
    assert refusal(h5).startswith("tf_model.h5: not readable as weights of TensorFlow: ")


def test_file_that_is_no_hdf5_is_refused(h5: Path) -> None:
    h5.write_bytes(b"<html>404</html>")
    assert refusal(h5).startswith("tf_model.h5: not readable as weights of TensorFlow: ")


def test_tensor_that_is_listed_and_missing_is_refused(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        del file[words(file)]
    assert refusal(h5).startswith("tf_model.h5: not readable as weights of TensorFlow: ")


def test_missing_and_damaged_tensors_have_the_names_of_pytorch(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        file[words(file)][3, 3] = np.nan
    assert "tensor bert.embeddings.word_embeddings.weight: 1 of " in refusal(h5)
    with h5py.File(h5, "r+") as file:
        group = file["bert"]
        names = group.attrs["weight_names"]
        group.attrs["weight_names"] = [name for name in names if "pooler/dense/bias" not in name]
    assert "the weights lack tensor pooler.dense.bias" in refusal(h5)


def test_integers_are_refused(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        name = words(file)
        shape = file[name].shape
        del file[name]
        file[name] = np.ones(shape, np.int8)
    assert "word_embeddings.weight is 'int8'; weights must be floats" in refusal(h5)


@pytest.mark.parametrize("target", [h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/classifier")])
def test_links_are_not_followed(h5: Path, target: Any) -> None:
    with h5py.File(h5, "r+") as file:
        name = words(file)
        del file[name]
        file[name] = target
    assert "is a link, which is not followed" in refusal(h5)


def test_values_in_another_file_are_not_read(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        name = words(file)
        shape = file[name].shape
        del file[name]
        other = [(str(h5.parent / "values.bin"), 0, 4 * int(np.prod(shape)))]
        file.create_dataset(name, shape, np.float32, external=other)
    assert "are in another file, which is not read" in refusal(h5)
