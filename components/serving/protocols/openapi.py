"""The server's OpenAPI document: FastAPI's, completed with what FastAPI cannot derive from the handlers.

FastAPI does not know the body of TF Serving's predict call, the errors, or that the model is served under only
one name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from kserve.protocol.rest.v2_datamodels import InferenceResponse

BINARY = "application/octet-stream"
_BINARY = {BINARY: {"schema": {"type": "string", "format": "binary"}}}
_ERROR = {
    "application/json": {
        "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    }
}

# For every operation. With 4XX, FastAPI omits its own 422, which is never sent.
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "The request cannot be answered: it is malformed or over a limit (400), forbidden (403), "
        "names an unknown model, version or path (404), is too slow (408) or too large (413).",
        "content": _ERROR,
    },
    503: {
        "description": "Too many requests are waiting, or no version is loaded yet. Nothing was computed.",
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
        "content": _ERROR,
    },
}

PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "signature_name": {"type": "string", "default": "serving_default"},
                        "instances": {
                            "type": "array",
                            "minItems": 1,
                            "description": "Rows: one value each if the signature has one input, otherwise an object "
                            'with a key per input. {"b64": "..."} stands for bytes.',
                        },
                        "inputs": {"description": "Columns: an object, or the values of the only input."},
                    },
                    "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
                    "additionalProperties": False,
                },
                "examples": {
                    "rows": {"value": {"instances": ["How far is the moon?", "Who wrote Hamlet?"]}},
                    "columns": {"value": {"inputs": {"text": ["How far is the moon?"]}}},
                },
            }
        },
    }
}
PREDICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`predictions` for `instances`, `outputs` for `inputs`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "model_version": {"type": "string"},
                        "predictions": {"type": "array"},
                        "outputs": {},
                    },
                    "required": ["model_version"],
                    "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
                }
            }
        },
    }
}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _parameters(**known: Any) -> dict[str, Any]:
    return _closed(known, [])


_STRING, _BOOLEAN = {"type": "string"}, {"type": "boolean"}
_SIZE = {"type": "integer", "minimum": 0}
INFER_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _closed(
                    {
                        "id": _STRING,
                        "model_name": {**_STRING, "description": "As in the path."},
                        "parameters": _parameters(signature_name=_STRING, binary_data_output=_BOOLEAN),
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "items": _closed(
                                {
                                    "name": _STRING,
                                    "shape": {"type": "array", "items": _SIZE},
                                    "datatype": _STRING,
                                    "parameters": _parameters(binary_data_size=_SIZE),
                                    "data": {
                                        "type": "array",
                                        "items": {},
                                        "description": "Values in one list, or nested according to the shape. Or instead: "
                                        "binary_data_size, and the bytes after the JSON.",
                                    },
                                },
                                ["name", "shape", "datatype"],
                            ),
                        },
                        "outputs": {
                            "type": "array",
                            "items": _closed(
                                {"name": _STRING, "parameters": _parameters(binary_data=_BOOLEAN)}, ["name"]
                            ),
                        },
                    },
                    ["inputs"],
                ),
                "examples": {
                    "texts": {
                        "value": {
                            "inputs": [
                                {
                                    "name": "text",
                                    "shape": [2],
                                    "datatype": "BYTES",
                                    "data": ["How far is the moon?", "Who wrote Hamlet?"],
                                }
                            ]
                        }
                    }
                },
            },
            **_BINARY,
        },
    }
}
INFER_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Binary if the request asks for binary outputs.",
        "model": InferenceResponse,
        "content": _BINARY,
    }
}


def document(app: FastAPI, name: str) -> dict[str, Any]:
    """The OpenAPI document of the server that serves the model `name`."""
    described = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for path, operation in _operations(described["paths"]):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in ("name", "model_name"):
                parameter["schema"] = {"type": "string", "enum": [name]}
        if path.startswith("/v2/repository/"):
            del operation["responses"]["200"]  # clients may not load or unload models
    return described


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in paths.items():
        for operation in operations.values():
            yield path, operation
