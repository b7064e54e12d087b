"""Reads a checkpoint's weights and checks that the tensors of its encoder are complete. Imports no TensorFlow.

Headers are read and compared with config.json before training. A tensor of the encoder that the model would not
use (of an adapter, another attention or a quantization) is refused, as is a missing one.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import importlib.util
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from models.checkpoints.config import Encoder
from models.checkpoints.tensor import FLOATS, Floats, Tensor
from models.checkpoints.tf_weights import H5_FILE, as_pytorch, h5_tensors, is_from_tensorflow
from models.checkpoints.wheel_fetch import file_sha256
from models.encoders.config import CONFIG_FILE
from models.encoders.families import Facts
from models.errors import CheckpointError
from models.files import (
    FromFile,
    checkpoint_file,
    one_line,
    parse_json,
    read_json,
    shown,
    typed,
)

WEIGHTS_FILE = "model.safetensors"
SHARD_INDEX_FILE = "model.safetensors.index.json"
PICKLE_FILE = "pytorch_model.bin"
ADAPTER_FILE = "adapter_config.json"

_LONGEST_HEADER = 100 << 20  # bytes, safetensors' own limit

Bytes = npt.NDArray[np.uint8]


class _Entry(FromFile):
    dtype: str
    shape: list[Annotated[int, Field(ge=0)]]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class _ShardIndex(FromFile):
    weight_map: Annotated[dict[str, str], Field(min_length=1)]


def encoder_tensors(folder: Path, encoder: Encoder, allow_pickle: bool) -> dict[str, Tensor]:
    """The tensors of the encoder, by their current names without the model's prefix.

    `encoder.layer.0.output.LayerNorm.weight`; tensors of an optional part, such as BERT's pooler, if the checkpoint
    has them.

    Raises:
        CheckpointError: a file is missing, malformed or truncated, or is a pickle that is not allowed; a
            tensor is missing, has another shape than config.json says, is not a float, occurs twice, or does
            not belong to this encoder.
    """
    facts = encoder.facts
    stored = _by_name(_stored(folder, allow_pickle), facts)
    wanted = set()
    for name, shape in facts.tensors(encoder.config, stored.keys()):
        if name not in stored:
            raise CheckpointError(
                f"{folder}: the weights lack tensor {name}; {CONFIG_FILE} describes an encoder that has it"
            )
        _check_tensor(stored[name], name, shape)
        wanted.add(name)
    _check_prefix([stored[name] for name in wanted], facts.PREFIX)
    layers = facts.sizes(encoder.config).layers
    for name, tensor in stored.items():
        if name not in wanted and _is_of_encoder(tensor.name, name, facts):
            raise CheckpointError(
                f"{tensor.file}: tensor {one_line(tensor.name)} is not of the encoder that {CONFIG_FILE} describes "
                f"({layers} layers), so it would be left out; give weights and config of one model"
            )
    return {name: stored[name] for name in stored if name in wanted}


def head_tensors(folder: Path, encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """Name -> shape of what the weights have of a head for classification, which is not read."""
    return {
        tensor.name: tensor.shape
        for tensor in _stored(folder, allow_pickle=False)
        if tensor.name.startswith(encoder.facts.HEAD)
    }


def check_no_adapter(folder: Path) -> None:
    """Raises CheckpointError for an adapter's folder: transformers would load the model that it names and add it."""
    path = checkpoint_file(folder, ADAPTER_FILE)
    if path.is_file():
        raise CheckpointError(
            f"{path}: this is the folder of an adapter, which is not added to its model here; merge it into the model "
            "(merge_and_unload of PEFT) and save that, or remove this file if the folder has a whole model"
        )


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Reads all values, 90 MB in about 20 ms.

    Raises:
        CheckpointError: a value is infinite or NaN; the message names the tensor.
    """
    for tensor in tensors.values():
        finite_values(tensor)


def finite_values(tensor: Tensor) -> Floats:
    """The values, float32.

    Raises:
        CheckpointError: a value is infinite or NaN.
    """
    values = tensor.read()
    finite = np.isfinite(values)
    if not finite.all():
        raise CheckpointError(
            f"{tensor.file}: tensor {one_line(tensor.name)}: {finite.size - np.count_nonzero(finite)} of {finite.size} "
            "values are infinite or NaN; the checkpoint is damaged, or its training diverged"
        )
    return values


def checkpoint_digest(folder: Path) -> str:
    """sha256 of config.json and the weights, which changes with the pretrained model."""
    weights = weight_files(folder) if is_no_pickle(folder) else [checkpoint_file(folder, PICKLE_FILE)]
    paths = [path for path in [checkpoint_file(folder, CONFIG_FILE), *weights] if path.is_file()]
    return hashlib.sha256(" ".join(map(file_sha256, paths)).encode()).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The files of weights that are no pickle: one, or the shards that the index of safetensors names.

    Raises:
        CheckpointError: a shard is missing or outside the folder, or the index is malformed.
    """
    whole = checkpoint_file(folder, WEIGHTS_FILE)
    if whole.is_file():
        return [whole]
    if not has_safetensors(folder):
        return [checkpoint_file(folder, H5_FILE)]
    return [checkpoint_file(folder, name) for name in sorted(set(_weight_map(folder).values()))]


def has_safetensors(folder: Path) -> bool:
    """Whether there are weights in safetensors format."""
    return any(checkpoint_file(folder, name).is_file() for name in (WEIGHTS_FILE, SHARD_INDEX_FILE))


def is_no_pickle(folder: Path) -> bool:
    """Whether there are weights that can be read without running code: safetensors, or HDF5 of TensorFlow."""
    return has_safetensors(folder) or checkpoint_file(folder, H5_FILE).is_file()


def has_weights(folder: Path) -> bool:
    """Whether there are weights in any format that can be read."""
    return is_no_pickle(folder) or checkpoint_file(folder, PICKLE_FILE).is_file()


def _weight_map(folder: Path) -> dict[str, str]:
    index = checkpoint_file(folder, SHARD_INDEX_FILE)
    weight_map = typed(_ShardIndex, index, read_json(index)).weight_map
    missing = [
        name for name in sorted(set(weight_map.values())) if not checkpoint_file(folder, name).is_file()
    ]
    if missing:
        raise CheckpointError(f"{index}: weights missing: {shown(missing)}")
    return weight_map


# --- the names and shapes -----------------------------------------------------------------------------


def _check_tensor(tensor: Tensor, name: str, shape: tuple[int, ...]) -> None:
    if tensor.dtype not in FLOATS:
        raise CheckpointError(
            f"{tensor.file}: tensor {one_line(tensor.name)} is {shown(tensor.dtype)}; weights must be floats, "
            f"{', '.join(FLOATS)}: quantized ones cannot be trained"
        )
    if tensor.shape != shape:
        raise CheckpointError(
            f"{tensor.file}: tensor {name} has shape {shown(list(tensor.shape))}, {CONFIG_FILE} asks for {list(shape)}"
        )


def _check_prefix(tensors: Sequence[Tensor], prefix: str) -> None:
    """Checks that all names have the prefix or none has: of a mixture, transformers ignores those without it."""
    plain = [tensor for tensor in tensors if not tensor.name.startswith(prefix)]
    if plain and len(plain) < len(tensors):
        first = min(plain, key=lambda tensor: tensor.name)
        raise CheckpointError(
            f"{first.file}: tensor {one_line(first.name)} has no {prefix!r} before its name, others have; "
            "save the weights again"
        )


def _is_of_encoder(stored: str, name: str, facts: Facts) -> bool:
    inside = stored.startswith(facts.PREFIX) or name.startswith(facts.PARTS)
    return inside and not any(fnmatch.fnmatchcase(name, pattern) for pattern in facts.WITHOUT_WEIGHTS)


def _by_name(stored: Iterator[Tensor], facts: Facts) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for tensor in stored:
        name = _plain(tensor.name, facts)
        if name in tensors:
            other = tensors[name]
            raise CheckpointError(
                f"{tensor.file}: tensor {one_line(tensor.name)} is there twice, also as {one_line(other.name)} in "
                f"{other.file.name}; keep one"
            )
        tensors[name] = tensor
    return tensors


def _plain(name: str, facts: Facts) -> str:
    """bert.encoder.layer.0.output.LayerNorm.gamma -> encoder.layer.0.output.LayerNorm.weight"""
    name = name.removeprefix(facts.PREFIX)
    for old, today in facts.OLD_NAMES.items():
        name = name.replace(old, today)
    return name


# --- safetensors --------------------------------------------------------------------------------------


def _stored(folder: Path, allow_pickle: bool) -> Iterator[Tensor]:
    """All tensors, with PyTorch's names and shapes."""
    if has_safetensors(folder):
        tensors = _safetensors(folder)
        yield from (as_pytorch(t) if is_from_tensorflow(t.name) else t for t in tensors)
    elif is_no_pickle(folder):
        yield from h5_tensors(checkpoint_file(folder, H5_FILE))
    else:
        yield from _pickled(folder, allow_pickle)


def _safetensors(folder: Path) -> Iterator[Tensor]:
    files = {path: _header(path) for path in weight_files(folder)}
    if checkpoint_file(folder, WEIGHTS_FILE).is_file():
        yield from files[folder / WEIGHTS_FILE].values()
        return
    weight_map = _weight_map(folder)
    for name, shard in weight_map.items():
        if name not in files[checkpoint_file(folder, shard)]:
            raise CheckpointError(
                f"{folder / SHARD_INDEX_FILE}: tensor {one_line(name)} is not in {one_line(shard)}, as it says"
            )
    for tensors in files.values():  # transformers does not load tensors that the index does not list
        yield from (tensor for name, tensor in tensors.items() if name in weight_map)


def _header(path: Path) -> dict[str, Tensor]:
    """The tensors of one file, from its header; also detects a truncated file."""
    try:
        with path.open("rb") as file:
            prefix = file.read(8)
            size = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            text = file.read(min(size, _LONGEST_HEADER))
        actual = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        header = parse_json(path, text.decode("utf-8"))
    except (UnicodeDecodeError, CheckpointError) as error:
        raise CheckpointError(f"{path}: not a safetensors file (its header cannot be read)") from error
    header.pop("__metadata__", None)
    entries = {name: _entry(path, name, value) for name, value in header.items()}
    expected = 8 + size + _end(path, entries)
    if actual != expected:
        raise CheckpointError(f"{path}: {actual} bytes, its header says {expected}; fetch it again")
    content = functools.cache(lambda: np.memmap(path, np.uint8, "r"))
    return {name: _tensor(path, name, entry, 8 + size, content) for name, entry in entries.items()}


def _end(path: Path, entries: Mapping[str, _Entry]) -> int:
    """Returns where the last tensor ends; like safetensors, refuses a file with a gap or an overlap."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, after = entry.data_offsets
        if begin != end:
            raise CheckpointError(
                f"{path}: tensor {one_line(name)} begins at byte {begin}, the one before it ends at {end}; "
                "fetch it again"
            )
        end = after
    return end


def _entry(path: Path, name: str, value: Any) -> _Entry:
    entry = typed(_Entry, path, value, one_line(name))
    begin, end = entry.data_offsets
    bytes_each = FLOATS[entry.dtype].itemsize if entry.dtype in FLOATS else None
    if end < begin or (bytes_each is not None and end - begin != bytes_each * math.prod(entry.shape)):
        raise CheckpointError(
            f"{path}: tensor {one_line(name)} of {shown(entry.shape)} {entry.dtype} has the bytes {begin} to {end}, "
            "which is another size; fetch it again"
        )
    return entry


def _tensor(path: Path, name: str, entry: _Entry, start: int, content: Callable[[], Bytes]) -> Tensor:
    shape = tuple(entry.shape)
    begin, end = entry.data_offsets

    def read() -> Floats:
        raw = content()[start + begin : start + end].view(FLOATS[entry.dtype]).reshape(shape)
        if entry.dtype == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # values beyond float32 become infinite, and are refused
            return np.asarray(raw, np.float32)

    return Tensor(path, name, entry.dtype, shape, read)


# --- pickles ------------------------------------------------------------------------------------------


def check_pickle(folder: Path, allow_pickle: bool) -> None:
    """Raises CheckpointError if there are no weights, or only a pickle that may not or cannot be loaded."""
    pickle = checkpoint_file(folder, PICKLE_FILE)
    if not pickle.is_file():
        raise CheckpointError(
            f"{folder}: no weights; expected {WEIGHTS_FILE} (or {SHARD_INDEX_FILE}, or {H5_FILE})"
        )
    if not allow_pickle:
        raise CheckpointError(
            f"{pickle}: a pickle can run code when it is loaded; convert it to {WEIGHTS_FILE}, or set "
            "model.checkpoint.allow_pickle: true if you trust its author"
        )
    if importlib.util.find_spec("torch") is None:
        raise CheckpointError(
            f"{pickle}: reading a pickle requires PyTorch, which is not installed; install torch, or "
            f"convert the weights to {WEIGHTS_FILE}"
        )


def _pickled(folder: Path, allow_pickle: bool) -> Iterator[Tensor]:
    check_pickle(folder, allow_pickle)
    import torch  # type: ignore[import-not-found, unused-ignore]  # optional: pickles only

    path = folder / PICKLE_FILE
    names = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path}: PyTorch cannot load it: {one_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: expected a state dict of tensors; save it with save_pretrained")
    for name, value in state.items():
        dtype = names.get(value.dtype, str(value.dtype))
        yield Tensor(path, str(name), dtype, tuple(value.shape), functools.partial(_from_torch, value))


def _from_torch(tensor: Any) -> Floats:
    return np.asarray(tensor.float().numpy(), np.float32)
