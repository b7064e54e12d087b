"""The user's own parts of a config: which nodes use them, whether they fit, and their trial before a run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.fingerprints import code_fingerprint
from models.errors import UsageError
from models.own_parts import find_module, is_own, module_of
from models.tasks.task import TASKS
from pipeline.paths import CACHE_DIR

if TYPE_CHECKING:
    from pipeline.config import Config

TEXT, LOSS = "transform.text", "train.loss"
_TRIED_DIR = CACHE_DIR / "own_parts"  # an empty file for each request that passed
_NOISE = re.compile(r"WARNING: All log messages|[IW]\d{4} ")  # of TensorFlow's import
# What ships a program or weights without these parts.
_NOT_SHIPPED = (TEXT,)


def own_parts(config: Config) -> dict[str, str]:
    """Key of the config -> dotted path, of the keys that are set."""
    loss = config.train.loss
    named = {TEXT: config.transform.text, LOSS: loss if loss is not None and is_own(loss) else None}
    return {key: path for key, path in named.items() if path is not None}


def text_modules(config: Config) -> tuple[str, ...]:
    """Modules of own parts that Transform uses, for its code fingerprint."""
    return () if config.transform.text is None else (module_of(config.transform.text),)


def training_modules(config: Config) -> tuple[str, ...]:
    """The same of the Trainer."""
    return tuple(module_of(path) for key, path in own_parts(config).items() if key in (LOSS,))


def check_fit(config: Config) -> None:
    """Raises ValueError for an own part that the task does not take, or that something which is shipped would lack."""
    parts, task = own_parts(config), TASKS[config.task]
    for key, path in parts.items():
        if key not in task.facts().OWN_PARTS:
            raise ValueError(f"{key}: task {task.name!r} takes no own part here, got {path!r}; remove it")
    for key in _NOT_SHIPPED:
        if key not in parts:
            continue
        for format_name in config.export.chosen():
            raise ValueError(
                f"export.{format_name}: the exported program tokenizes and answers without {key} ({parts[key]}), so it would "
                f"answer otherwise than the served model; remove export.{format_name} or {key}"
            )
        for number, destination in enumerate(config.push.destinations):
            if destination.hub is not None:
                raise ValueError(
                    f"push.destinations.{number}.hub: who loads the model from the hub does not have {key} "
                    f"({parts[key]}), so it would answer otherwise than the served model; remove it, or push to a folder"
                )


def check_own_parts(config: Config, labels: list[str]) -> None:
    """Tries the own parts of a config, unless this version of their code has passed before.

    Raises:
        UsageError: one cannot be loaded or breaks its contract.
    """
    parts = own_parts(config)
    if not parts:
        return
    for key, path in parts.items():
        try:
            find_module(path)
        except UsageError as error:
            raise UsageError(f"{key}: {error}") from None
    request = {"parts": parts, "task": config.task, "outputs": len(labels)}
    passed = _TRIED_DIR / _mark(request, parts)
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


def _mark(request: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    task = TASKS[request["task"]].modules("facts", "labels", "head", "figures")
    modules = (*map(module_of, parts.values()), *task)
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
        keys = ", ".join(f"{key} ({path})" for key, path in request["parts"].items())
        return f"{keys}: the process that tries it ended with exit code {done.returncode}: {(said or ['no output'])[-1][:200]}"
