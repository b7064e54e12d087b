"""TF Serving's JSON: converts a predict body to tensors, and outputs to an answer.

`{"instances": ["How far is the moon?"]}` -> `{"text": [b"How far is the moon?"]}` ->
`{"predictions": [{"label": "LOC", "probabilities": [...], "all_classes": [...], "scores": {...}}]}`
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from components.serving.errors import InvalidRequest, shown
from components.serving.models.request_checks import Tensors, check_rows
from components.serving.models.saved_model import ServedModel, Signature
from components.serving.protocols import strict_json
from components.serving.protocols.json_values import read_values
from components.serving.settings import ServeSettings
from models import features

INSTANCES, INPUTS = "instances", "inputs"
SCORES = "scores"  # label -> probability, in addition to TF Serving's answer
SIGNATURE_NAME = "signature_name"


class PredictBody(NamedTuple):
    """A parsed request; `by_row` is true if it has `instances`."""

    signature: Signature
    tensors: Tensors
    by_row: bool


def parse_predict(body: bytes, model: ServedModel) -> PredictBody:
    """Reads the body of `:predict`.

    Raises:
        InvalidRequest: the body is not JSON, or does not fit the signature.
    """
    content = strict_json.parse(body, model.limits.max_request_rows)
    if not isinstance(content, dict):
        raise InvalidRequest("the body must be a JSON object with 'instances' or 'inputs'")
    unknown = sorted(set(content) - {INSTANCES, INPUTS, SIGNATURE_NAME})
    if unknown:
        raise InvalidRequest(
            f"the body has the key {shown(unknown[0])}; it takes 'instances' or 'inputs', and 'signature_name'"
        )
    name = content.get(SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise InvalidRequest("'signature_name' key must be a string value.")
    signature = model.signature(name)
    forms = [key for key in (INSTANCES, INPUTS) if key in content]
    if len(forms) != 1:
        raise InvalidRequest(
            "give only one of 'inputs' and 'instances'" if forms else "Missing 'inputs' or 'instances' key"
        )
    if forms == [INSTANCES]:
        return PredictBody(signature, _from_rows(content[INSTANCES], signature, model.limits), True)
    return PredictBody(signature, _from_columns(content[INPUTS], signature, model.limits), False)


def _from_rows(rows: Any, signature: Signature, limits: ServeSettings) -> Tensors:
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("'instances' must be a list with at least one element")
    check_rows(len(rows), limits)
    names = list(signature.inputs)
    if len(names) == 1 and not all(isinstance(row, dict) and set(row) == {names[0]} for row in rows):
        return {names[0]: _tensor(rows, signature, names[0])}
    wrong = [row for row in rows if not isinstance(row, dict) or set(row) != set(names)]
    if wrong:
        raise InvalidRequest(f"every instance must be an object with the keys {names}, got {shown(wrong[0])}")
    return {name: _tensor([row[name] for row in rows], signature, name) for name in names}


def _from_columns(columns: Any, signature: Signature, limits: ServeSettings) -> Tensors:
    names = list(signature.inputs)
    if len(names) == 1 and not isinstance(columns, dict):
        columns = {names[0]: columns}
    if not isinstance(columns, dict) or set(columns) != set(names):
        raise InvalidRequest(f"'inputs' must be an object with the keys {names}, got {shown(columns)}")
    for values in columns.values():
        if isinstance(values, list):
            check_rows(len(values), limits)
    return {name: _tensor(columns[name], signature, name) for name in names}


def _tensor(values: Any, signature: Signature, name: str) -> np.ndarray:
    spec = signature.inputs[name]
    return read_values(values, spec.dtype, len(spec.shape), name, base64_too=True)


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
        for group in features.FILLED_UP:
            for row in rows if columns.keys() >= {*group} else ():
                count = sum(value != "" for value in row[group[0]])
                row.update((name, row[name][:count]) for name in group)
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
    """Replaces NaN, which JSON does not have, by null."""
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
