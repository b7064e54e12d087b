"""The parts of KServe's V2 protocol that REST and gRPC share: tensors and their binary form.

The Open Inference Protocol with Triton's binary extension: https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

from components.serving.decoding import decoded
from components.serving.errors import InvalidRequest, shown
from components.serving.models.request_checks import Declared, Tensors, check_declared
from components.serving.models.saved_model import ServedModel, Signature
from components.serving.observation import note_answer
from components.serving.settings import ServeSettings

SIGNATURE_NAME = "signature_name"  # the parameter that selects a signature
BINARY_SIZE = "binary_data_size"  # the parameter of an input or output in binary form
_LENGTH = struct.Struct("<I")  # before each value of BYTES in binary form


class V2Input(NamedTuple):
    """One input that is not decoded yet.

    Attributes:
        size: (dtype, number of values in the shape) -> bytes of the decoded values; raises InvalidRequest
            if the number of values does not match.
        values: dtype -> the values, in the input's shape.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    size: Callable[[np.dtype, int], int]
    values: Callable[[np.dtype], np.ndarray]

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype; raises InvalidRequest for a datatype that the protocol does not have."""
        found = to_np_dtype(self.datatype.upper())  # KServe accepts lower case too
        if found is None:
            raise InvalidRequest(f"input {self.name!r}: unknown datatype {shown(self.datatype)}")
        return np.dtype(found)

    def declared(self) -> Declared:
        """The declaration of the input, before it is decoded."""
        dtype = self.dtype
        return Declared(dtype, self.shape, lambda: self.size(dtype, math.prod(self.shape)))

    @staticmethod
    def of_raw(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> V2Input:
        """An input with its values in binary form."""
        return V2Input(
            name,
            datatype,
            shape,
            lambda dtype, count: _raw_size(name, raw, dtype, count),
            lambda dtype: _raw_values(raw, shape, dtype),
        )


class V2Output(NamedTuple):
    """One requested output. `binary`: whether in binary form; None: as the request says."""

    name: str
    binary: bool | None = None


class V2Request(NamedTuple):
    """A request in either protocol.

    Attributes:
        inputs: the signature's inputs, each once; empty once they are decoded.
        outputs: the requested outputs; empty: all outputs.
        binary: whether outputs are sent in binary form, unless they say otherwise.
    """

    id: str
    signature: Signature
    inputs: Sequence[V2Input]
    outputs: Sequence[V2Output]
    binary: bool


class V2Answer(NamedTuple):
    """`outputs`: name, values and whether in binary form, in the requested order."""

    id: str
    name: str
    version: str
    outputs: Sequence[tuple[str, np.ndarray, bool]]


def infer(model: ServedModel, read: Callable[[], V2Request]) -> V2Answer:
    """Reads a request and answers it.

    Raises:
        InvalidRequest: the request contradicts itself or the signature, or exceeds the limits.
    """
    request, tensors = decoded(lambda: _with_tensors(read(), model.limits))
    outputs = model.run(request.signature, tensors)
    note_answer(model.version, request.signature.name, tensors)
    wanted = request.outputs or [V2Output(name) for name in request.signature.outputs]
    answered = [
        (name, outputs[name], request.binary if binary is None else binary) for name, binary in wanted
    ]
    return V2Answer(request.id, model.name, str(model.version), answered)


def _with_tensors(request: V2Request, limits: ServeSettings) -> tuple[V2Request, Tensors]:
    declared = {given.name: given.declared() for given in request.inputs}
    check_declared(request.signature, declared, limits)
    tensors = {given.name: given.values(given.dtype) for given in request.inputs}
    return request._replace(
        inputs=()
    ), tensors  # without the encoded inputs, which are freed while the request waits for the model


def datatype_of(values: np.ndarray) -> str:
    """The protocol's name of a dtype: `"BYTES"` for texts, `"FP32"` for float32."""
    return str(from_np_dtype(values.dtype))


def check_parameters(
    where: str, given: Iterable[tuple[str, Any]], known: Mapping[str, type]
) -> dict[str, Any]:
    """Returns the parameters if all are known and have the types in `known`.

    Args:
        where: whose parameters they are, for the error message.
    """
    found = {}
    for key, value in given:
        if key not in known:
            takes = f"it takes {sorted(known)}" if known else "it takes none"
            raise InvalidRequest(f"{where} has the parameter {shown(key)}; {takes}")
        if type(value) is not known[key]:
            kind = {str: "a string", bool: "true or false", int: "an integer"}[known[key]]
            raise InvalidRequest(f"{where}: the parameter {key!r} must be {kind}, got {shown(value)}")
        found[key] = value
    return found


def _raw_size(name: str, raw: bytes, dtype: np.dtype, count: int) -> int:
    """Decoded size of `raw` in bytes; raises InvalidRequest unless it has exactly `count` values."""
    if not dtype.hasobject:
        if len(raw) != count * dtype.itemsize:
            raise InvalidRequest(
                f"input {name!r} has {len(raw)} bytes of data, its shape and datatype {count * dtype.itemsize}"
            )
        return len(raw)
    found = end = 0
    while end + _LENGTH.size <= len(raw) and found <= count:
        end += _LENGTH.size + _LENGTH.unpack_from(raw, end)[0]
        found += 1
    if end != len(raw):
        raise InvalidRequest(
            f"input {name!r}: its {len(raw)} bytes of data are not {count} values, each after 4 bytes with its length"
        )
    if found != count:
        raise InvalidRequest(f"input {name!r} has {found} values, its shape {count}")
    return count + len(raw) - count * _LENGTH.size


def _raw_values(raw: bytes, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The values of data that `_raw_size` has checked."""
    if not dtype.hasobject:
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    texts, start = np.empty(math.prod(shape), object), 0
    for number in range(texts.size):
        start += _LENGTH.size
        end = start + _LENGTH.unpack_from(raw, start - _LENGTH.size)[0]
        texts[number] = raw[start:end]
        start = end
    return texts.reshape(shape)


def raw_bytes(values: np.ndarray) -> bytes:
    """Values in binary form, row by row."""
    if not values.dtype.hasobject:
        return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join(part for text in values.flat for part in (_LENGTH.pack(len(text)), text))
