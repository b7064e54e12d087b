"""The user's own parts of a config: which nodes use them, whether they fit, and their trial before a run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from components.fingerprints import code_fingerprint
from models.errors import UsageError
from models.own_parts import find_module, is_own, module_of
from models.tasks.task import TASKS
from pipeline.paths import CACHE_DIR

if TYPE_CHECKING:
    from pipeline.config import Config

TEXT, HEAD, LOSS, METRICS = "transform.text", "model.head", "train.loss", "train.metrics"
_TRIED_DIR = CACHE_DIR / "own_parts"  # an empty file for each request that passed
_NOISE = re.compile(r"WARNING: All log messages|[IW]\d{4} ")  # of TensorFlow's import
# What ships a program or weights without these parts.
_NOT_SHIPPED = (TEXT, HEAD)


class OwnPart(NamedTuple):
    """Where a config names a part. `kind`: the key that says what it is; metrics are named in other places, too."""

    key: str
    kind: str
    path: str


def own_parts(config: Config) -> list[OwnPart]:
    """The parts that a config names; a metric once, however often it is named."""
    train, evaluate = config.train, config.evaluate
    single = ((TEXT, config.transform.text), (HEAD, config.model.head), (LOSS, train.loss))
    metrics = [("train.metrics", name) for name in train.metrics]
    metrics += [("train.metric_for_best_model", train.metric_for_best_model)]
    metrics += [("evaluate", name) for name in evaluate.names()]
    places = {name: key for key, name in reversed(metrics) if is_own(name)}
    return [
        *(OwnPart(key, key, path) for key, path in single if path is not None and is_own(path)),
        *(OwnPart(key, METRICS, name) for name, key in reversed(places.items())),
    ]


def text_modules(config: Config) -> tuple[str, ...]:
    """Modules of own parts that Transform uses, for its code fingerprint."""
    return () if config.transform.text is None else (module_of(config.transform.text),)


def training_modules(config: Config) -> tuple[str, ...]:
    """The same of the Trainer."""
    trained = [part.path for part in own_parts(config) if part.kind in (HEAD, LOSS)]
    return tuple(dict.fromkeys(map(module_of, (*trained, *config.train.own_metrics))))


def check_fit(config: Config) -> None:
    """Raises ValueError for an own part that the task does not take, or that something which is shipped would lack."""
    parts, task = own_parts(config), TASKS[config.task]
    for part in parts:
        if part.kind not in task.facts().OWN_PARTS:
            raise ValueError(
                f"{part.key}: task {task.name!r} takes no own part here, got {part.path!r}; remove it"
            )
    for key, _, path in (part for part in parts if part.kind in _NOT_SHIPPED):
        for format_name in config.export.chosen():
            raise ValueError(
                f"export.{format_name}: the exported program tokenizes and answers without {key} ({path}), so it would "
                f"answer otherwise than the served model; remove export.{format_name} or {key}"
            )
        for number, destination in enumerate(config.push.destinations):
            if destination.hub is not None:
                raise ValueError(
                    f"push.destinations.{number}.hub: who loads the model from the hub does not have {key} "
                    f"({path}), so it would answer otherwise than the served model; remove it, or push to a folder"
                )


def check_own_parts(config: Config, labels: list[str]) -> None:
    """Tries the own parts of a config, unless this version of their code has passed before.

    Raises:
        UsageError: one cannot be loaded or breaks its contract.
    """
    parts = own_parts(config)
    if not parts:
        return
    for key, _, path in parts:
        try:
            find_module(path)
        except UsageError as error:
            raise UsageError(f"{key}: {error}") from None
    request = {"parts": parts, "task": config.task, "labels": labels}
    passed = _TRIED_DIR / _mark(request)
    if passed.exists():
        return
    problem = _try(request)
    if problem:
        raise UsageError(problem)
    try:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    except OSError:
        return  # the project's folder can be read-only; then parts are tried each time


def _mark(request: Mapping[str, Any]) -> str:
    task = TASKS[request["task"]].modules("facts", "labels", "head", "figures")
    modules = (*(module_of(path) for _, _, path in request["parts"]), *task)
    try:
        code = code_fingerprint("components.own_parts.trial", *modules)
    except SyntaxError as error:
        raise UsageError(f"{error.filename}:{error.lineno}: not valid Python: {error.msg}") from None
    return hashlib.sha256((json.dumps(request, sort_keys=True) + code).encode()).hexdigest()[:32]


def _try(request: Mapping[str, Any]) -> str:
    # The same path, so that the same modules are found; -P: the current folder is not added to it.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "components.own_parts.trial"],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return str(json.loads(done.stdout.splitlines()[-1])["error"])
    except (IndexError, ValueError, KeyError, TypeError):
        said = [line for line in done.stderr.splitlines() if line.strip() and not _NOISE.match(line)]
        keys = ", ".join(f"{key} ({path})" for key, _, path in request["parts"])
        return f"{keys}: the process that tries it ended with exit code {done.returncode}: {(said or ['no output'])[-1][:200]}"
