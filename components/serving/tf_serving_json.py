"""TF Serving's JSON: a predict body to tensors, outputs to an answer.

`{"instances": ["How far is the moon?"]}` -> `{"text": [b"How far is the moon?"]}` ->
`{"predictions": [{"label": "LOC", "probabilities": [...], "all_classes": [...], "scores": {...}}]}`
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from components import features
from components.serving.errors import InvalidRequest
from components.serving.saved_model import ServedModel, Signature, Tensors

INSTANCES, INPUTS = "instances", "inputs"
SCORES = "scores"  # label -> probability: what TF Serving's answer does not have
_NUMBERS = {"i": (int,), "u": (int,), "f": (int, float), "b": (bool,)}  # a bool is no int here
_KINDS = {"O": "string", "i": "integer", "u": "integer", "f": "number", "b": "boolean"}


class PredictBody(NamedTuple):
    """A parsed request; `by_row` is whether it came as `instances`."""

    signature: Signature
    tensors: Tensors
    by_row: bool


def parse_predict(body: bytes, model: ServedModel) -> PredictBody:
    """Reads the body of `:predict`.

    Raises:
      InvalidRequest: not JSON, or not what the signature takes.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise InvalidRequest("the body must be a JSON object with 'instances' or 'inputs'")
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidRequest("'signature_name' key must be a string value.")
    signature = model.signature(name)
    given = [key for key in (INSTANCES, INPUTS) if key in content]
    if len(given) != 1:
        raise InvalidRequest(
            "give only one of 'inputs' and 'instances'" if given else "Missing 'inputs' or 'instances' key"
        )
    if given == [INSTANCES]:
        return PredictBody(signature, _from_rows(content[INSTANCES], signature), True)
    return PredictBody(signature, _from_columns(content[INPUTS], signature), False)


def _from_rows(rows: Any, signature: Signature) -> Tensors:
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("'instances' must be a list with at least one element")
    names = list(signature.inputs)
    if len(names) == 1 and not all(isinstance(row, dict) and set(row) == {names[0]} for row in rows):
        return {names[0]: _tensor(rows, signature, names[0])}
    wrong = [row for row in rows if not isinstance(row, dict) or set(row) != set(names)]
    if wrong:
        raise InvalidRequest(
            f"every instance must be an object with the keys {names}, got {_shown(wrong[0])}"
        )
    return {name: _tensor([row[name] for row in rows], signature, name) for name in names}


def _from_columns(columns: Any, signature: Signature) -> Tensors:
    names = list(signature.inputs)
    if len(names) == 1 and not (isinstance(columns, dict) and set(columns) == {names[0]}):
        return {names[0]: _tensor(columns, signature, names[0])}
    if not isinstance(columns, dict) or set(columns) != set(names):
        raise InvalidRequest(f"'inputs' must be an object with the keys {names}, got {_shown(columns)}")
    return {name: _tensor(columns[name], signature, name) for name in names}


def _tensor(values: Any, signature: Signature, name: str) -> np.ndarray:
    spec = signature.inputs[name]
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    flat: list[Any] = []
    shape = _flatten(values, dtype, name, len(spec.shape), flat)
    try:
        array = np.empty(len(flat), dtype)
        array[:] = flat
    except (OverflowError, ValueError) as error:
        raise InvalidRequest(f"input {name!r}: {error}") from None
    return array.reshape(shape)


def _flatten(values: Any, dtype: np.dtype, name: str, rank: int, flat: list[Any]) -> tuple[int, ...]:
    """Appends the leaves to `flat`; returns the shape."""
    if rank == 0:
        flat.append(_leaf(values, dtype, name))
        return ()
    if not isinstance(values, list):
        raise InvalidRequest(f"input {name!r}: expected a list, got {_shown(values)}")
    if not values:
        return (0,) * rank
    shapes = {_flatten(value, dtype, name, rank - 1, flat) for value in values}
    if len(shapes) != 1:
        raise InvalidRequest(f"input {name!r}: lists at one level must have one length; pad them")
    return (len(values), *shapes.pop())


def _leaf(value: Any, dtype: np.dtype, name: str) -> Any:
    if dtype.kind == "O":
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
            coded = value["b64"]
            padding = "" if coded.endswith("=") else "=" * (-len(coded) % 4)  # TF Serving needs none
            try:
                return base64.b64decode(coded + padding, validate=True)
            except (binascii.Error, ValueError):
                raise InvalidRequest(f"input {name!r}: {_shown(value['b64'])} is not base64") from None
    elif is_number(value, dtype):
        return value
    raise not_of_type(value, dtype, name)


def is_number(value: Any, dtype: np.dtype) -> bool:
    """Whether a JSON value is a number of this type as it stands: `2.0` and `true` are no integers."""
    return type(value) in _NUMBERS.get(dtype.kind, ())


def not_of_type(value: Any, dtype: np.dtype, name: str) -> InvalidRequest:
    """TF Serving's words for a leaf of another type."""
    kind = _KINDS.get(dtype.kind, dtype.name)
    return InvalidRequest(f"JSON Value: {_shown(value)} is not of expected type: {kind} (input {name!r})")


def answer(model: ServedModel, request: PredictBody, outputs: Tensors) -> bytes:
    """The JSON body of a successful `:predict`, in the form of the request."""
    columns = {key: _json_values(values) for key, values in outputs.items()}
    content: dict[str, Any] = {"model_version": str(model.version)}
    if not request.by_row:
        content["outputs"] = columns if len(columns) > 1 else next(iter(columns.values()))
    elif len(columns) == 1:
        content["predictions"] = next(iter(columns.values()))
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if {features.PROBABILITIES, features.CLASSES} <= set(columns):
            for row in rows:
                row[SCORES] = dict(zip(row[features.CLASSES], row[features.PROBABILITIES], strict=True))
        content["predictions"] = rows
    return orjson.dumps(content)


def _json_values(values: np.ndarray) -> Any:
    if values.dtype == object:
        return _texts(values.tolist())
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return _nulls(values.tolist())
    return values.tolist()


def _texts(values: Any) -> Any:
    if isinstance(values, list):
        return [_texts(value) for value in values]
    try:
        return values.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(values).decode()}


def _nulls(values: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(values, list):
        return [_nulls(value) for value in values]
    return values if math.isfinite(values) else None


def metadata(model: ServedModel) -> dict[str, Any]:
    """The body of `GET /v1/models/NAME/metadata`."""
    signatures = json_format.MessageToDict(
        signature_map(model.signatures),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": signatures},
    }


def signature_map(signatures: Mapping[str, Signature]) -> get_model_metadata_pb2.SignatureDefMap:
    """TF Serving's message with every signature."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in signatures.items():
        message.signature_def[key].CopyFrom(signature.definition)
    return message


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
