"""Converts JSON values to tensors without casts: `["a", {"b64": "Yg=="}]` -> object array `[b"a", b"b"]`."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from components.serving.errors import InvalidRequest, shown

_NUMBERS = {"i": (int,), "u": (int,), "f": (int, float), "b": (bool,)}  # a bool does not count as an int
_KINDS = {"O": "string", "i": "integer", "u": "integer", "f": "number", "b": "boolean"}


def read_values(values: Any, dtype: np.dtype, rank: int, name: str, base64_too: bool) -> np.ndarray:
    """Converts nested lists to an array of `rank` dimensions; texts become bytes.

    Args:
        base64_too: whether `{"b64": "..."}` stands for bytes, as in TF Serving's JSON.

    Raises:
        InvalidRequest: a value has another type, or lists at one level differ in length.
    """
    flat: list[Any] = []
    shape = _flatten(values, dtype, name, rank, flat, base64_too)
    try:
        array = np.empty(len(flat), dtype)
        array[:] = flat
    except (OverflowError, ValueError) as error:
        raise InvalidRequest(f"input {name!r}: {error}") from None
    return array.reshape(shape)


def _flatten(
    values: Any, dtype: np.dtype, name: str, rank: int, flat: list[Any], base64_too: bool
) -> tuple[int, ...]:
    """Appends the leaves to `flat`; returns the shape."""
    if rank == 0:
        flat.append(_leaf(values, dtype, name, base64_too))
        return ()
    if not isinstance(values, list):
        raise InvalidRequest(f"input {name!r}: expected a list, got {shown(values)}")
    if not values:
        return (0,) * rank
    shapes = {_flatten(value, dtype, name, rank - 1, flat, base64_too) for value in values}
    if len(shapes) != 1:
        raise InvalidRequest(f"input {name!r}: lists at one level must have the same length; pad them")
    return (len(values), *shapes.pop())


def _leaf(value: Any, dtype: np.dtype, name: str, base64_too: bool) -> Any:
    if dtype.kind == "O":
        if isinstance(value, str):
            return value.encode()
        if base64_too and isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
            return _decoded(value["b64"], name)
    elif _is_number(value, dtype):
        return value
    kind = _KINDS.get(dtype.kind, dtype.name)
    raise InvalidRequest(f"JSON Value: {shown(value)} is not of expected type: {kind} (input {name!r})")


def _is_number(value: Any, dtype: np.dtype) -> bool:
    """Whether a value is a number of this type without a cast: `2.0` and `true` are not integers, 1e999 is infinite."""
    if type(value) not in _NUMBERS.get(dtype.kind, ()):
        return False
    return type(value) is not float or math.isfinite(value)


def _decoded(coded: str, name: str) -> bytes:
    padding = "" if coded.endswith("=") else "=" * (-len(coded) % 4)  # TF Serving does not require padding
    try:
        return base64.b64decode(coded + padding, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"input {name!r}: {shown(coded)} is not base64") from None
