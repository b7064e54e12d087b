"""A package `own_parts` of a test, in place of the project's."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from components import fingerprints
from models.tasks import own_metric


def write_own_parts(folder: Path, sources: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes `<folder>/own_parts/<name>.py` for each source and puts the folder first on Python's path."""
    package = folder / "own_parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source, encoding="utf-8")
    for module in [name for name in sys.modules if name.partition(".")[0] == "own_parts"]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("own_parts", *(f"own_parts.{name}" for name in sources)):
        # What the test imports under these names goes when it ends.
        monkeypatch.setitem(sys.modules, module, None)
        del sys.modules[module]
    monkeypatch.syspath_prepend(str(folder))
    forget(monkeypatch)
    for cached in (own_metric.properties, own_metric.made):
        cached.cache_clear()
    return package


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drops what is remembered of sources, until the test ends."""
    for cached in (fingerprints._source, fingerprints._imports):
        cached.cache_clear()
        monkeypatch.setattr(fingerprints, cached.__name__, functools.cache(cached.__wrapped__))
