"""KServe's V2 protocol over REST: JSON, optionally followed by binary data.

`{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["How far is the moon?"]}]}` ->
`{"id": "", "model_name": "trec", "model_version": "1", "outputs": [{"name": "label", "shape": [1], ...}]}`

The header Inference-Header-Content-Length is the length of the JSON in bytes; the data of the inputs with a
`binary_data_size` follow it, in the order of the inputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson

from components.serving.errors import InvalidRequest, shown
from components.serving.models.request_checks import check_names, check_outputs
from components.serving.models.saved_model import ServedModel
from components.serving.protocols import strict_json
from components.serving.protocols.json_values import read_values
from components.serving.protocols.v2_request import (
    BINARY_SIZE,
    SIGNATURE_NAME,
    V2Answer,
    V2Input,
    V2Output,
    V2Request,
    check_parameters,
    datatype_of,
    infer,
    raw_bytes,
)

T = TypeVar("T")

_NAME, _SHAPE, _DATATYPE, _DATA, _PARAMETERS = "name", "shape", "datatype", "data", "parameters"
_BODY = "the body"
_INPUT_KEYS = (_NAME, _SHAPE, _DATATYPE, _PARAMETERS, _DATA)
_OUTPUT_KEYS = (_NAME, _PARAMETERS)
_BODY_KEYS = ("id", "model_name", _PARAMETERS, "inputs", "outputs")  # KServe's client also writes the name


class JsonAnswer(NamedTuple):
    """`json_bytes`: the length of the JSON if binary data follow it."""

    body: bytes
    json_bytes: int | None


def answer(model: ServedModel, body: bytes, json_bytes: str | None) -> JsonAnswer:
    """Answers the body of `infer`.

    Args:
        json_bytes: the header Inference-Header-Content-Length, if the request has one.

    Raises:
        InvalidRequest: see `components.serving.protocols.v2_request.infer`.
    """
    return _written(infer(model, lambda: _request(model, body, json_bytes)))


def _request(model: ServedModel, body: bytes, json_bytes: str | None) -> V2Request:
    length = _json_length(json_bytes, len(body))
    content = _object(_BODY, strict_json.parse(body[:length], model.limits.max_request_rows), _BODY_KEYS)
    if _get(_BODY, content, "model_name", str, model.name) != model.name:
        raise InvalidRequest(
            f"the body has the model_name {shown(content['model_name'])}, its path {model.name!r}"
        )
    parameters = check_parameters(
        "the request",
        _get(_BODY, content, _PARAMETERS, dict, {}).items(),
        {SIGNATURE_NAME: str, "binary_data_output": bool},
    )
    signature = model.signature(parameters.get(SIGNATURE_NAME, ""))
    inputs, outputs = _get(_BODY, content, "inputs", list, None), _get(_BODY, content, "outputs", list, [])
    check_names(signature, (_name("an input", entry, _INPUT_KEYS) for entry in inputs))
    check_outputs(signature, (_name("an output", entry, _OUTPUT_KEYS) for entry in outputs))
    return V2Request(
        _get(_BODY, content, "id", str, ""),
        signature,
        _inputs(inputs, None if json_bytes is None else body[length:]),
        [_output(entry) for entry in outputs],
        parameters.get("binary_data_output", False),
    )


def _json_length(header: str | None, size: int) -> int:
    if header is None:
        return size
    if not (header.isascii() and header.isdigit() and len(header) < 19 and int(header) <= size):
        raise InvalidRequest(
            f"Inference-Header-Content-Length must be a number up to the body's {size} bytes, got {shown(header)}"
        )
    return int(header)


def _name(where: str, entry: Any, keys: tuple[str, ...]) -> str:
    return _get(where, _object(where, entry, keys), _NAME, str, None)


def _inputs(entries: list[dict[str, Any]], data: bytes | None) -> list[V2Input]:
    """Reads all inputs. `data`: the bytes after the JSON; None: the request has no such bytes."""
    inputs, start = [], 0
    for one in entries:
        found, size = _input(one, data, start)
        inputs.append(found)
        start += size
    if data is not None and start != len(data):
        raise InvalidRequest(f"{len(data)} bytes follow the JSON, the inputs have a {BINARY_SIZE} of {start}")
    return inputs


def _input(entry: dict[str, Any], data: bytes | None, start: int) -> tuple[V2Input, int]:
    """Returns the input and how many bytes of the data belong to it."""
    name = entry[_NAME]
    where = f"input {name!r}"
    shape = _get(where, entry, _SHAPE, list, None)
    if any(type(size) is not int or size < 0 for size in shape):
        raise InvalidRequest(f"{where}: 'shape' must be a list of numbers from 0 on, got {shown(shape)}")
    parameters = check_parameters(
        where, _get(where, entry, _PARAMETERS, dict, {}).items(), {BINARY_SIZE: int}
    )
    head = (name, _get(where, entry, _DATATYPE, str, None), tuple(shape))
    size = parameters.get(BINARY_SIZE)
    if (size is None) == (entry.get(_DATA) is None):
        raise InvalidRequest(f"{where} must have either 'data' or the parameter {BINARY_SIZE!r}")
    if size is None:
        return _from_json(*head, _get(where, entry, _DATA, list, None)), 0
    if data is None:
        raise InvalidRequest(f"{where} has a {BINARY_SIZE}, the request no Inference-Header-Content-Length")
    if not 0 <= size <= len(data) - start:
        raise InvalidRequest(
            f"{where} has the {BINARY_SIZE} {size}, {len(data) - start} bytes are left for it"
        )
    return V2Input.of_raw(*head, data[start : start + size]), size


def _from_json(name: str, datatype: str, shape: tuple[int, ...], data: list[Any]) -> V2Input:
    """An input with `data` in one list, or nested according to the shape."""

    def size(dtype: np.dtype, count: int) -> int:
        if dtype == np.float16:
            raise InvalidRequest(f"input {name!r}: FP16 has no JSON form; send it as binary data")
        if not _is_nested(shape, data) and len(data) != count:
            raise InvalidRequest(f"input {name!r} has {len(data)} values, its shape {count}")
        return count * dtype.itemsize if not dtype.hasobject else count

    def values(dtype: np.dtype) -> np.ndarray:
        rank = len(shape) if _is_nested(shape, data) else 1
        found = read_values(data, dtype, rank, name, base64_too=False)
        if rank > 1 and found.shape != shape:
            raise InvalidRequest(
                f"input {name!r} has data of shape {list(found.shape)}, its shape is {list(shape)}"
            )
        return found.reshape(shape)

    return V2Input(name, datatype, shape, size, values)


def _is_nested(shape: tuple[int, ...], data: list[Any]) -> bool:
    return len(shape) > 1 and bool(data) and isinstance(data[0], list)


def _output(entry: dict[str, Any]) -> V2Output:
    where = f"output {entry[_NAME]!r}"
    parameters = _get(where, entry, _PARAMETERS, dict, {}).items()
    return V2Output(
        entry[_NAME], check_parameters(where, parameters, {"binary_data": bool}).get("binary_data")
    )


def _object(where: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{where} must be a JSON object, got {shown(value)}")
    for key in value:
        if key not in keys:
            raise InvalidRequest(f"{where} has the key {shown(key)}; it takes {list(keys)}")
    return value


def _get(where: str, content: dict[str, Any], key: str, kind: type[T], default: T | None) -> T:
    """A value of an object; as in KServe, `null` counts as missing. Without a default, the value is required."""
    value = content.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind):
        wanted = {"str": "a string", "list": "a list", "dict": "an object"}[kind.__name__]
        raise InvalidRequest(
            f"{where}: {key!r} must be {wanted}, got {'nothing' if value is None else shown(value)}"
        )
    return value


def _written(found: V2Answer) -> JsonAnswer:
    outputs: list[dict[str, Any]] = []
    data = []
    for name, values, binary in found.outputs:
        output = {_NAME: name, _SHAPE: list(values.shape), _DATATYPE: datatype_of(values)}
        if binary:
            data.append(raw_bytes(values))
            outputs.append(output | {_PARAMETERS: {BINARY_SIZE: len(data[-1])}})
        else:
            outputs.append(output | {_DATA: _json_values(name, values)})
    content = {"model_name": found.name, "model_version": found.version, "id": found.id, "outputs": outputs}
    written = orjson.dumps(content)
    return JsonAnswer(b"".join([written, *data]), len(written) if data else None)


def _json_values(name: str, values: np.ndarray) -> list[Any]:
    flat: list[Any] = values.ravel().tolist()
    if not values.dtype.hasobject:
        return flat  # NaN becomes null
    try:
        return [text.decode() for text in flat]
    except UnicodeDecodeError:
        raise InvalidRequest(f"output {name!r} is not UTF-8: ask for it with binary_data") from None
