"""The user's own code, which a config names by a dotted path: `own_parts.cleaning.without_markup`. Imports no TensorFlow.

It is in the package `own_parts` of the project's folder, because that is what Beam's workers and the image of Kubeflow's
steps have, too. docs/decisions/0022-own-parts.md has the contracts.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import traceback
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from models.errors import UsageError

PACKAGE = "own_parts"
_PATH = re.compile(rf"{PACKAGE}(\.[A-Za-z_]\w*){{2,}}", re.ASCII)


def is_own(name: str) -> bool:
    """Whether a name in a config is the dotted path of an own part."""
    return _PATH.fullmatch(name) is not None


def _check_path(path: str) -> str:
    if not is_own(path):
        raise ValueError(
            f"must be the dotted path of your own code, {PACKAGE}.MODULE.NAME, got {path!r} (docs/own_parts.md)"
        )
    return path


OwnPath = Annotated[str, AfterValidator(_check_path)]


def module_of(path: str) -> str:
    """The module of a part, for a code fingerprint: `own_parts.cleaning.without_markup -> own_parts.cleaning`."""
    return path.rpartition(".")[0]


def find_module(path: str) -> Path:
    """The source file of a part's module; nothing of it is imported.

    Raises:
        UsageError: there is no such file, or a folder on its way is not a package.
    """
    root = importlib.util.find_spec(PACKAGE)
    if root is None or root.origin is None:
        raise UsageError(
            f"{path}: there is no package {PACKAGE} (a folder with __init__.py) in the project's folder"
        )
    folder = Path(root.origin).parent
    *packages, module = module_of(path).split(".")[1:]
    for package in packages:
        folder /= package
        if not (folder / "__init__.py").is_file():
            raise UsageError(f"{path}: {folder} is not a package, it has no __init__.py")
    file = folder / f"{module}.py"
    if not file.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")) or "none"
        raise UsageError(f"{path}: no module {file}; the modules there: {there}")
    return file


def load_part(path: str) -> Any:
    """Imports the module of a part and returns what the path names.

    Raises:
        UsageError: it cannot be imported, or has no such name.
    """
    name = path.rpartition(".")[2]
    try:
        module = importlib.import_module(module_of(path))
    except Exception as error:  # the user's code can raise anything
        raise UsageError(f"{path}: {module_of(path)} cannot be imported: {what_failed(error)}") from error
    if not hasattr(module, name):
        there = (
            ", ".join(sorted(n for n, value in vars(module).items() if _is_defined_in(module, value)))
            or "none"
        )
        raise UsageError(f"{path}: {module.__file__} has no {name!r}; it defines {there}")
    return getattr(module, name)


def _is_defined_in(module: Any, value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", "") == module.__name__


def what_failed(error: BaseException) -> str:
    """`ValueError: no such word (own_parts/cleaning.py:12)`, the last line of own code on the way to the error."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if f"/{PACKAGE}/" in frame.filename]
    place = f" ({PACKAGE}/{own[-1].filename.rpartition(f'/{PACKAGE}/')[2]}:{own[-1].lineno})" if own else ""
    said = next(iter(str(getattr(error, "message", error)).strip().splitlines()), "")
    return f"{type(error).__name__}{f': {said[:200]}' if said else ''}{place}"
