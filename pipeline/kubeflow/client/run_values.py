"""Reads a compiled package, and the values of a run's parameters."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.example_gen.spans import is_dated
from models.errors import UsageError
from pipeline.kubeflow.run_date import RUN_DATE, SPAN, check_run_date, check_span


def _check_folder(value: str, what: str) -> None:
    if not value.startswith("/"):
        raise UsageError(f"{what}: must be a container path on a mounted claim, such as /mnt/models/serving")


_CHECKS: dict[str, Callable[[str, str], None]] = {
    RUN_DATE: check_run_date,
    SPAN: check_span,
    "serving_dir": _check_folder,
}
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Package:
    """A compiled package on this machine.

    Attributes:
        path: the file that is uploaded.
        name: of the pipeline.
        parameters: of the run, name -> definition.
        steps: in topological order.
        digest: sha256 of the content; packages with the same digest are the same version.
        dated: whether its data has a folder or file for each day.
    """

    path: Path
    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    steps: list[str]
    digest: str
    dated: bool


def read_package(path: Path) -> Package:
    """Reads a file written by `compile`.

    Raises:
        UsageError: it cannot be read, or is not a package for Kubeflow Pipelines.
    """
    try:
        content = path.read_bytes()
        spec: Any = next(iter(yaml.safe_load_all(content)), None)
        name = spec["pipelineInfo"]["name"]
        tasks = spec["root"]["dag"]["tasks"]
        parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    except OSError as error:
        raise UsageError(f"--package {path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise UsageError(f"--package {path}: not a package written by `runner_kubeflow.py compile`") from None
    digest = hashlib.sha256(content).hexdigest()
    return Package(path, name, parameters, _in_order(tasks), digest, _is_dated(tasks))


def _is_dated(tasks: Mapping[str, Any]) -> bool:
    constants = (
        source.get("runtimeValue", {}).get("constant")
        for task in tasks.values()
        for source in task.get("inputs", {}).get("parameters", {}).values()
    )
    # These are the patterns of an ExampleGen; other steps read its data from artifacts.
    return any(isinstance(value, str) and "pattern" in value and is_dated(value) for value in constants)


def _in_order(tasks: Mapping[str, Any]) -> list[str]:
    ordered: list[str] = []
    while len(ordered) < len(tasks):
        ready = [
            name
            for name, task in sorted(tasks.items())
            if name not in ordered and set(task.get("dependentTasks", [])) <= set(ordered)
        ]
        ordered += ready or sorted(tasks.keys() - set(ordered))
    return ordered


def parse_values(options: Sequence[str], declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Parses --param: `(["epochs=2"], {"epochs": {"parameterType": "NUMBER_DOUBLE"}}) -> {"epochs": 2.0}`.

    Args:
        options: `name=value`, from --param.
        declared: the package's parameters.

    Raises:
        UsageError: a name is unknown or set twice, or a value has the wrong type.
    """
    values: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {option}: write it as name=value, such as --param epochs=1")
        if name not in declared:
            close = difflib.get_close_matches(name, list(declared), n=1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(declared)) or 'none'}"
            )
            raise UsageError(f"--param {option}: the pipeline has no parameter {name!r}; {hint}")
        if name in values:
            raise UsageError(f"--param {option}: {name} is set twice")
        values[name] = _typed(option, name, text, declared[name]["parameterType"])
    return values


def _typed(option: str, name: str, text: str, kind: str) -> Any:
    try:
        value = _value(text, kind)
    except ValueError as error:
        raise UsageError(f"--param {option}: {name} must be {error}, got {text!r}") from None
    if name in _CHECKS:
        _CHECKS[name](value, f"--param {option}")
    return value


def _value(text: str, kind: str) -> Any:
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        if text.lower() not in _BOOLEANS:
            raise ValueError("true or false")
        return _BOOLEANS[text.lower()]
    if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        return _number(text, whole=kind == "NUMBER_INTEGER")
    wanted: tuple[type, str] = (list, "a JSON list") if kind == "LIST" else (dict, "a JSON object")
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, wanted[0]):
        raise ValueError(wanted[1])
    return value


def _number(text: str, whole: bool) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise ValueError("a whole number" if whole else "a number") from None
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number
