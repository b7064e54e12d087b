"""Weights that transformers saved from TensorFlow, as PyTorch would name and lay them out. Imports no TensorFlow.

They are in tf_model.h5, or in safetensors files whose names end in ":0".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoints.tensor import Floats, Tensor
from models.errors import CheckpointError
from models.files import one_line

H5_FILE = "tf_model.h5"
_SUFFIX = ":0"

# Last part of TensorFlow's name -> PyTorch's.
_LAST = {
    "kernel": "weight",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
    "embeddings": "weight",
    "gamma": "weight",
    "beta": "bias",
}
# Kind of kernel and number of its dimensions -> where PyTorch has them: dense, and convolutions over tokens.
_AXES = {
    ("kernel", 2): (1, 0),
    ("kernel", 3): (2, 1, 0),
    ("depthwise_kernel", 3): (1, 2, 0),
    ("pointwise_kernel", 3): (2, 1, 0),
}
_SEPARABLE_CONVOLUTION = "key_conv_attn_layer"  # ConvBERT's, whose bias is [outputs, 1] in PyTorch


def is_from_tensorflow(name: str) -> bool:
    """Whether a safetensors file has the tensor under TensorFlow's name: `bert/pooler/dense/kernel:0`."""
    return name.endswith(_SUFFIX)


def as_pytorch(tensor: Tensor) -> Tensor:
    """The same tensor with PyTorch's name and shape.

    `bert/encoder/layer_._0/output/dense/kernel:0` [in, out] -> `bert.encoder.layer.0.output.dense.weight` [out, in]
    """
    *path, last = tensor.name.removesuffix(_SUFFIX).replace("_._", "/").split("/")
    name = ".".join([*path, _LAST.get(last, last)])
    axes = _AXES.get((last, len(tensor.shape)))
    if axes is not None:
        shape = tuple(tensor.shape[axis] for axis in axes)
        return replace(tensor, name=name, shape=shape, read=lambda: tensor.read().transpose(axes))
    if last != "bias":
        return replace(tensor, name=name)
    # GPT-2 has biases of [1, outputs].
    size = int(np.prod(tensor.shape))
    shape = (size, 1) if path[-1] == _SEPARABLE_CONVOLUTION else (size,)
    return replace(tensor, name=name, shape=shape, read=lambda: tensor.read().reshape(shape))


def h5_tensors(path: Path) -> Iterator[Tensor]:
    """The tensors of tf_model.h5, with PyTorch's names and shapes.

    Raises:
        CheckpointError: the file is no HDF5, is cut short, lists a tensor that it does not have, or refers to another
            file.
    """
    with _opened(path) as file:
        for layer in _listed(file, "layer_names"):
            group = _inside(file, layer, path)
            for name in _listed(group, "weight_names"):
                yield as_pytorch(_tensor(_inside(group, name, path), name, path))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except CheckpointError:
        raise
    # The library raises OSError, KeyError, RuntimeError and others for what is wrong with a file.
    except Exception as error:
        raise CheckpointError(
            f"{path}: not readable as weights of TensorFlow: {one_line(error)}; fetch it again"
        ) from error


def _listed(group: Any, key: str) -> list[str]:
    """The attribute of that name; Keras cuts a long one into `weight_names0`, `weight_names1` ..."""
    if key in group.attrs:
        values = list(group.attrs[key])
    else:
        pieces = (f"{key}{i}" for i in range(len(group.attrs)))
        values = [value for piece in pieces if piece in group.attrs for value in group.attrs[piece]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _inside(group: Any, name: str, path: Path) -> Any:
    """The member of a group, at any depth.

    Raises:
        CheckpointError: it is linked from elsewhere, or its values are in another file.
    """
    import h5py

    for part in name.split("/"):
        if isinstance(group.get(part, getlink=True), h5py.ExternalLink | h5py.SoftLink):
            raise CheckpointError(f"{path}: {one_line(name)} is a link, which is not followed")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise CheckpointError(
            f"{path}: the values of {one_line(name)} are in another file, which is not read"
        )
    return group


def _tensor(dataset: Any, name: str, path: Path) -> Tensor:
    dtype = {"float16": "F16", "float32": "F32", "float64": "F64"}.get(str(dataset.dtype), str(dataset.dtype))
    # Keras puts the name of the model before all names; safetensors files do not have it.
    inside = name.partition("/")[2]
    read = functools.partial(_values, path, dataset.name)
    return Tensor(path, inside, dtype, tuple(dataset.shape), read)


def _values(path: Path, place: str) -> Floats:
    with _opened(path) as file, np.errstate(over="ignore"):  # what becomes infinite is refused
        return np.asarray(file[place][()], np.float32)
