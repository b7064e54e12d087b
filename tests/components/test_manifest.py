"""Which changes of an artifact's files a manifest detects, and which need no reading."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.manifest import damage, manifest_path, record


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "model" / "7"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "assets" / "vocab.txt").write_bytes(b"a\nb\n")
    (folder / "empty").touch()
    record(folder)
    return folder


def rewrite(path: Path, content: bytes) -> None:
    """In place, with the time of before."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def accept_stamp(artifact: Path, name: str) -> None:
    """Changes a file's bytes as a disk error would: `stat` shows no difference."""
    manifest = manifest_path(artifact)
    content = json.loads(manifest.read_text())
    status = (artifact / name).stat()
    content["files"][name]["stamp"] = [
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    ]
    manifest.write_text(json.dumps(content))


def test_unchanged_artifact_has_no_damage(artifact: Path) -> None:
    assert (damage(artifact), damage(artifact, thorough=True)) == ("", "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: rewrite(a / "saved_model.pb", b"grapH"), "saved_model.pb is damaged (sha256 differs)"),
        (lambda a: rewrite(a / "saved_model.pb", b""), "saved_model.pb is damaged (0 bytes, 5 were written)"),
        (lambda a: (a / "assets/vocab.txt").unlink(), "assets/vocab.txt is gone"),
        (lambda a: (a / "assets/new.txt").touch(), "assets/new.txt is damaged (it was not there before)"),
        (lambda a: (a / "empty").unlink(), "empty is gone"),
    ],
    ids=["one byte", "truncated", "file gone", "file added", "marker gone"],
)
def test_damage_names_the_file(artifact: Path, change: Callable[[Path], object], told: str) -> None:
    change(artifact)
    assert damage(artifact) == f"{artifact}/{told}"


def test_artifact_that_is_gone_is_named_also_when_it_had_no_files_or_its_record_went_with_it(
    tmp_path: Path, artifact: Path
) -> None:
    (tmp_path / "page/8").mkdir(parents=True)
    record(tmp_path / "page/8")
    (tmp_path / "page/8").rmdir()
    assert damage(tmp_path / "page/8") == f"{tmp_path}/page/8 is gone"
    shutil.rmtree(artifact)
    manifest_path(artifact).unlink()
    assert damage(artifact) == f"{artifact} is gone"


def test_link_that_leads_nowhere_is_damage(artifact: Path) -> None:
    (artifact / "saved_model.pb").unlink()
    (artifact / "saved_model.pb").symlink_to("nowhere")
    assert damage(artifact) == f"{artifact}/saved_model.pb cannot be read (No such file or directory)"


def test_bytes_that_changed_without_a_trace_are_found_by_reading(artifact: Path) -> None:
    rewrite(artifact / "saved_model.pb", b"grapH")
    accept_stamp(artifact, "saved_model.pb")
    assert damage(artifact) == ""
    assert damage(artifact, thorough=True) == f"{artifact}/saved_model.pb is damaged (sha256 differs)"


def test_restored_copy_is_whole_and_the_next_look_reads_nothing(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(artifact, artifact.with_name("copy"))
    shutil.rmtree(artifact)
    artifact.with_name("copy").rename(artifact)
    assert damage(artifact) == ""
    monkeypatch.setattr("components.manifest.sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert damage(artifact) == ""


def test_artifact_that_is_one_file(tmp_path: Path) -> None:
    value = tmp_path / "value"
    value.write_text("0.5")
    record(value)
    assert damage(value) == ""
    rewrite(value, b"0.6")
    assert damage(value) == f"{value} is damaged (sha256 differs)"
    value.unlink()
    assert damage(value) == f"{value} is gone"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"files": []}', '{"files": {"saved_model.pb": 1}}', "\0"]
)
def test_damaged_manifest_is_damage(artifact: Path, content: str) -> None:
    manifest_path(artifact).write_text(content)
    found = damage(artifact)
    assert found.startswith(
        (f"{artifact.parents[1]}/.system/manifests/model-7.json is damaged (", f"{artifact}/")
    )


def test_artifact_without_a_manifest_cannot_be_trusted(artifact: Path) -> None:
    manifest_path(artifact).unlink()
    assert damage(artifact) == f"{artifact} has no record of its digests"
