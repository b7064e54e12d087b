"""Checks a request by what it declares, before any of its values is decoded.

A few bytes can stand for gigabytes, because a TensorProto repeats its last value to fill its shape. So names, types,
shapes, rows and the decoded size are first compared with the signature and the limits; the values, whose number is
then known to be small, are checked afterwards.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from components.serving.errors import InvalidRequest, shown
from components.serving.settings import ServeSettings
from models import features

if TYPE_CHECKING:
    from components.serving.models.saved_model import Signature

Tensors = dict[str, np.ndarray]


class Declared(NamedTuple):
    """What a request declares about one tensor.

    Attributes:
        dtype: object for texts.
        shape: any numbers, as the client wrote them.
        size: returns the bytes of the decoded values. Called only if the shape fits; raises InvalidRequest
            if the number of values does not match the shape.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    size: Callable[[], int]


class Spec:
    """Type and shape of one input or output; None stands for any size."""

    def __init__(self, key: str, dtype: tf.DType, shape: list[int | None]) -> None:
        self.key, self.shape = key, shape
        self.dtype, self._name = np.dtype(dtype.as_numpy_dtype), dtype.name

    def check(self, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """Raises InvalidRequest if such a tensor cannot be fed."""
        if dtype != self.dtype:
            raise InvalidRequest(f"input {self.key!r} must be {self._name}, got {_type_name(dtype)}")
        fits = len(shape) == len(self.shape) and all(
            have >= 0 and want in (None, have) for want, have in zip(self.shape, shape, strict=True)
        )
        if not fits:
            wanted = [-1 if size is None else size for size in self.shape]
            raise InvalidRequest(f"input {self.key!r} must have shape {wanted}, got {shown(list(shape))}")


def _type_name(dtype: np.dtype) -> str:
    return "string" if dtype.hasobject else dtype.name


def check_names(signature: Signature, names: Iterable[str]) -> None:
    """Raises InvalidRequest unless the names are the signature's inputs, each once."""
    first = sorted(
        itertools.islice(names, len(signature.inputs) + 1)
    )  # if there are more, one of these is wrong
    if len(set(first)) != len(first):
        raise InvalidRequest(f"an input is given twice: {shown(first)}")
    if first != sorted(signature.inputs):
        raise InvalidRequest(
            f"signature {signature.name!r} takes the inputs {sorted(signature.inputs)}, got {shown(first)}"
        )


def check_outputs(signature: Signature, names: Iterable[str]) -> None:
    """Raises InvalidRequest unless the names are outputs of the signature, each at most once."""
    first = list(itertools.islice(names, len(signature.outputs) + 1))
    unknown = [name for name in first if name not in signature.outputs]
    if unknown:
        raise InvalidRequest(f"signature {signature.name!r} has no output {shown(unknown[0])}")
    if len(set(first)) != len(first):
        raise InvalidRequest(f"an output is asked for twice: {shown(first)}")


def check_declared(
    signature: Signature, declared: Mapping[str, Declared], limits: ServeSettings | None
) -> int:
    """Checks the declared tensors; returns the number of rows.

    Args:
        declared: the declared tensors by input name.
        limits: limits of one request; None: no limits.

    Raises:
        InvalidRequest: the tensors do not match the signature, or exceed the limits.
    """
    check_names(signature, declared)
    for key, spec in signature.inputs.items():
        spec.check(declared[key].dtype, declared[key].shape)
    lengths = {one.shape[0] for one in declared.values()}
    if len(lengths) != 1:
        raise InvalidRequest(f"inputs must have the same number of rows, got {sorted(lengths)}")
    (rows,) = lengths
    if rows == 0:
        raise InvalidRequest("a request has at least 1 row, got 0")
    if limits is not None:
        check_rows(rows, limits)
    shapes = {key: list(one.shape) for key, one in sorted(declared.items())}
    # The graph would broadcast them, which the client did not intend.
    if signature.name == features.TOKENS_SIGNATURE and len(set(map(tuple, shapes.values()))) != 1:
        raise InvalidRequest(f"inputs must have equal shapes, got {shapes}")
    if limits is not None:
        _check_bytes(declared, limits.max_tensor_bytes)
    return rows


def check_rows(rows: int, limits: ServeSettings) -> None:
    """Raises InvalidRequest if a request has too many rows."""
    if rows > limits.max_request_rows:
        raise InvalidRequest(f"a request has 1 to {limits.max_request_rows} rows, got {rows}")


def _check_bytes(declared: Mapping[str, Declared], limit: int) -> None:
    # First by the shapes alone, because counting texts takes time.
    least = sum(math.prod(one.shape) * _least_bytes(one.dtype) for one in declared.values())
    if least > limit or (least := sum(one.size() for one in declared.values())) > limit:
        raise InvalidRequest(f"the inputs {sorted(declared)} hold {least} bytes, at most {limit} are allowed")


def _least_bytes(dtype: np.dtype) -> int:
    return 1 if dtype.hasobject else dtype.itemsize


def bytes_of(values: np.ndarray) -> int:
    """Bytes of decoded values; a text counts as at least 1."""
    return values.size + sum(map(len, values.flat)) if values.dtype.hasobject else values.nbytes


def declared_by(values: np.ndarray) -> Declared:
    """The declaration of a tensor that is already decoded."""
    return Declared(values.dtype, values.shape, lambda: bytes_of(values))


def check_values(signature: Signature, tensors: Tensors, columns: list[str], limits: ServeSettings) -> None:
    """Raises InvalidRequest for values that the graph would interpret differently from what was sent.

    Args:
        tensors: tensors that `check_declared` has accepted.
        columns: the text columns of the model, which serialized tf.Examples must have.
    """
    for key, values in tensors.items():
        if values.dtype.hasobject:
            _check_lengths(key, values, limits.max_text_bytes)
    if signature.name == features.SERVING_SIGNATURE:
        for key, values in tensors.items():
            if values.dtype.hasobject:
                _check_texts(key, values)
    elif signature.name == features.EXAMPLES_SIGNATURE:
        for key, values in tensors.items():
            _check_examples(key, values, columns)
    elif signature.name == features.TOKENS_SIGNATURE:
        _check_tokens(tensors)


def _check_lengths(key: str, values: np.ndarray, limit: int) -> None:
    longest = max(map(len, values.flat), default=0)
    if longest > limit:
        raise InvalidRequest(f"input {key!r} has a text of {longest} bytes, at most {limit} are allowed")


def _check_texts(key: str, values: np.ndarray) -> None:
    """Rejects bytes that are not UTF-8: the graph drops them, and would answer for another text."""
    for row, text in enumerate(values.flat):
        if (wrong := _wrong_byte(text)) is not None:
            raise InvalidRequest(f"input {key!r}, row {row} is not UTF-8 at byte {wrong}")


def _wrong_byte(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _check_examples(key: str, values: np.ndarray, columns: list[str]) -> None:
    """Rejects examples without a text, which the graph would treat as having an empty text."""
    for row, serialized in enumerate(values.flat):
        what = f"input {key!r}, row {row}"
        try:
            example = tf.train.Example.FromString(serialized)
        except DecodeError:
            raise InvalidRequest(f"{what} is not a serialized tf.Example") from None
        for column in columns:
            texts = example.features.feature[column].bytes_list.value
            if len(texts) != 1:
                raise InvalidRequest(f"{what}: the feature {column!r} must hold 1 text, got {len(texts)}")
            if (wrong := _wrong_byte(texts[0])) is not None:
                raise InvalidRequest(f"{what}: the feature {column!r} is not UTF-8 at byte {wrong}")


def _check_tokens(tensors: Tensors) -> None:
    """Rejects values that do not fit int32, with which the graph computes."""
    for key, values in tensors.items():
        largest = 1 if key == features.ATTENTION_MASK else np.iinfo(np.int32).max
        wrong = values[(values < 0) | (values > largest)]
        if wrong.size:
            raise InvalidRequest(f"input {key!r} has the value {wrong[0]}; it takes 0 to {largest}")
