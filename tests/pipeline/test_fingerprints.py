"""A code edit changes the fingerprint of the nodes that use it and of no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline import fingerprints
from pipeline.fingerprints import code_fingerprint, content_fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "sample_nodes"
    (root / "a").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "a" / "__init__.py").write_text("")
    (root / "a" / "node.py").write_text("from sample_nodes.shared import value\n")
    (root / "b.py").write_text("import os\n")
    (root / "shared.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    fingerprints._source.cache_clear()
    yield root
    fingerprints._source.cache_clear()
    sys.modules.pop("sample_nodes", None)


def test_edit_of_an_imported_module_changes_only_its_users(package):
    before = {name: code_fingerprint(f"sample_nodes.{name}") for name in ("a.node", "b")}
    (package / "shared.py").write_text("value = 2\n")
    assert code_fingerprint("sample_nodes.a.node") != before["a.node"]
    assert code_fingerprint("sample_nodes.b") == before["b"]


def test_same_sources_give_the_same_fingerprint(package):
    assert code_fingerprint("sample_nodes.a.node") == code_fingerprint("sample_nodes.a.node")


def test_content_fingerprint_follows_bytes_and_names(tmp_path):
    (tmp_path / "x").write_text("one")
    first = content_fingerprint(tmp_path)
    (tmp_path / "x").write_text("two")
    second = content_fingerprint(tmp_path)
    (tmp_path / "x").rename(tmp_path / "y")
    assert len({first, second, content_fingerprint(tmp_path)}) == 3
