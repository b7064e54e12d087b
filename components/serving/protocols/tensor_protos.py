"""Reads clients' TensorProtos: first the declaration, then the values.

As in TensorFlow, the last value is repeated for all missing ones (`tensor_shape [3]`, `int64_val [1]` are three ones).
All other contradictions are rejected: no values, more values than the shape has, bytes of another length, and
values in fields of other types than the dtype's.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from components.serving.errors import InvalidRequest
from components.serving.models.request_checks import Declared

# The field with the values of each dtype.
_FIELDS = {
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
}
_CONTENT = "tensor_content"
_DESCRIBING = {"dtype", "tensor_shape", "version_number"}


def declared(key: str, proto: tensor_pb2.TensorProto) -> Declared:
    """The declaration of a tensor, without decoding its values.

    Raises:
        InvalidRequest: the dtype is not allowed in requests, or the shape has no rank.
    """
    if proto.dtype not in _FIELDS:
        names = types_pb2.DataType.DESCRIPTOR.values_by_number
        name = names[proto.dtype].name if proto.dtype in names else str(proto.dtype)
        raise InvalidRequest(f"input {key!r} has the dtype {name}, which no request can have")
    if proto.tensor_shape.unknown_rank:
        raise InvalidRequest(f"input {key!r} has a tensor_shape of unknown rank")
    dtype = np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    return Declared(dtype, shape, functools.partial(_size, key, proto, dtype, math.prod(shape)))


def _size(key: str, proto: tensor_pb2.TensorProto, dtype: np.dtype, count: int) -> int:
    field = _FIELDS[proto.dtype]
    present = {descriptor.name for descriptor, _ in proto.ListFields()} - _DESCRIBING
    if present - {field, _CONTENT} or len(present) > 1:
        raise InvalidRequest(f"input {key!r} must have its values in {field} alone, got {sorted(present)}")
    if _CONTENT in present:
        return _content_size(key, len(proto.tensor_content), dtype, count)
    values = getattr(proto, field)
    if not values or len(values) > count:
        raise InvalidRequest(
            f"input {key!r} has {len(values)} values in {field} for the {count} of its shape"
        )
    if not dtype.hasobject:
        return count * dtype.itemsize
    return count + sum(map(len, values)) + (count - len(values)) * len(values[-1])


def _content_size(key: str, size: int, dtype: np.dtype, count: int) -> int:
    if dtype.hasobject:
        raise InvalidRequest(f"input {key!r} must have its texts in string_val, not in {_CONTENT}")
    if size != count * dtype.itemsize:
        raise InvalidRequest(
            f"input {key!r} has {size} bytes in {_CONTENT} for {count} values of {dtype.itemsize} bytes"
        )
    return size


def decode(key: str, proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The values of a tensor whose declaration was checked.

    Raises:
        InvalidRequest: a value does not fit the dtype, such as 300 for a uint8.
    """
    try:
        return np.asarray(tf.make_ndarray(proto))
    except (ValueError, OverflowError, TypeError) as error:
        raise InvalidRequest(f"input {key!r} is not a valid TensorProto: {error}") from None
