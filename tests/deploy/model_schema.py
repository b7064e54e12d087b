"""Checks a manifest against the generated models of an API, from the `kserve` and `kubernetes` packages.

KServe publishes no JSON schema on the package index; its Python models are generated from the same OpenAPI
document as its resource definition, and name every field with its type. Strict: an unknown field, a value of
another type and a missing required field are problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import kserve.models
import kubernetes.client
from kubernetes.utils.quantity import parse_quantity

_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}
_LIST = re.compile(r"list\[(.*)\]")
_DICT = re.compile(r"dict\(str, (.*)\)")


def problems(value: Any, kind: str, where: str = "") -> Iterator[str]:
    """Yields what of `value` is not as the type says: "spec.predictor.modle: unknown field".

    Args:
        value: as loaded from YAML.
        kind: type as the models write it: `V1beta1InferenceService`, `list[V1Container]`, `str`.
        where: path of the value in the manifest.
    """
    if kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
            yield f"{where}: {value!r} is no {kind}"
    elif kind == "object":  # an int or a string: ports, quantities
        if not isinstance(value, int | str):
            yield f"{where}: {value!r} is neither number nor text"
    elif kind == "ResourceQuantity":
        yield from _quantity_problems(value, where)
    elif found := _LIST.fullmatch(kind):
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from problems(item, found[1], f"{where}[{index}]")
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
    elif found := _DICT.fullmatch(kind):
        for key, item in (value if isinstance(value, dict) else {}).items():
            quantity = where.endswith(("limits", "requests"))
            yield from problems(item, "ResourceQuantity" if quantity else found[1], f"{where}.{key}")
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
    else:
        yield from _model_problems(value, kind, where)


def _quantity_problems(value: Any, where: str) -> Iterator[str]:
    try:
        parse_quantity(value)
    except ValueError as error:
        yield f"{where}: {error}"


def _model_problems(value: Any, kind: str, where: str) -> Iterator[str]:
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind)
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no {kind}"
        return
    attributes = {json_name: name for name, json_name in model.attribute_map.items()}
    for key, item in value.items():
        if key not in attributes:
            yield f"{where}.{key}: unknown field of {kind}".lstrip(".")
        else:
            yield from problems(item, model.openapi_types[attributes[key]], f"{where}.{key}".lstrip("."))
    try:
        # The models check required fields and enumerations themselves.
        model(**{attributes[key]: item for key, item in value.items() if key in attributes})
    except ValueError as error:
        yield f"{where}: {error}"
