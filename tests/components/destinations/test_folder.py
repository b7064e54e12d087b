"""Pushes to a folder on TensorFlow's file systems: `file://`, and `ram://` as an object store."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import tensorflow as tf

from components.destinations import folder as module
from components.destinations.folder import push_to_folder
from components.versions.record import PushRecord
from components.versions.store import publish
from models.errors import PipelineError
from tests.components.versions.test_store import make_model


@pytest.fixture(params=["file", "ram"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new empty folder."""
    return f"file://{tmp_path}/store" if request.param == "file" else f"ram://{uuid.uuid4()}"


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """`ram://` cannot remove a folder if another one has a similar name."""
    return f"file://{tmp_path}/store"


def version(tmp_path: Path, *contents: str) -> Path:
    """Pushes models of these contents; returns the folder of the last."""
    for content in contents:
        model = make_model(tmp_path / f"model-{content}", content)
        number = publish(model, tmp_path / "serving", "trec", 9, PushRecord())
    return tmp_path / "serving" / "trec" / str(number)


def read(address: str) -> bytes | None:
    """What a file holds; None when there is none. (Listings of `ram://` mix up folders of like names.)"""
    return tf.io.gfile.GFile(address, "rb").read() if tf.io.gfile.exists(address) else None


def test_version_arrives_whole_under_its_number(tmp_path: Path, store: str) -> None:
    pushed = version(tmp_path, "one", "two")
    assert push_to_folder(pushed, store, "trec", 5) == f"{store}/trec/2"
    names = [p.relative_to(pushed).as_posix() for p in pushed.rglob("*") if p.is_file()]
    assert sorted(names)[:2] == ["assets.extra/push.json", "assets/labels.txt"]
    for name in names:
        assert read(f"{store}/trec/2/{name}") == (pushed / name).read_bytes()


def test_version_that_is_there_is_left_as_it_is(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = version(tmp_path, "one")
    push_to_folder(pushed, store, "trec", 5)

    def copy(source: Path, target: str) -> None:
        raise AssertionError(f"{target} is written again")

    monkeypatch.setattr(module, "_copy", copy)
    assert push_to_folder(pushed, store, "trec", 5) == f"{store}/trec/1"


def test_push_that_was_killed_is_not_visible_and_is_made_anew(
    tmp_path: Path, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = version(tmp_path, "one")

    def killed(source: str, target: str, overwrite: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tf.io.gfile, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            push_to_folder(pushed, disk, "trec", 5)
    assert read(f"{disk}/trec/1/saved_model.pb") is None
    assert read(f"{disk}/trec/1/assets/labels.txt") == b"A\nB\n"
    push_to_folder(pushed, disk, "trec", 5)
    assert read(f"{disk}/trec/1/saved_model.pb") == b"one"
    assert read(f"{disk}/trec/1/.part-saved_model.pb") is None


def test_another_model_under_the_number_is_not_overwritten(tmp_path: Path, store: str) -> None:
    push_to_folder(version(tmp_path / "a", "theirs"), store, "trec", 5)
    with pytest.raises(PipelineError, match=r"trec/1 already has another model"):
        push_to_folder(version(tmp_path / "b", "ours"), store, "trec", 5)
    assert read(f"{store}/trec/1/saved_model.pb") == b"theirs"


def test_newest_versions_are_kept(tmp_path: Path, disk: str) -> None:
    for content in ("one", "two", "three"):
        push_to_folder(version(tmp_path, content), disk, "trec", 2)
    assert sorted(entry.rstrip("/") for entry in tf.io.gfile.listdir(f"{disk}/trec")) == ["2", "3"]


def test_scheme_that_tensorflow_does_not_know_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"cannot be written .*nosuch") as caught:
        push_to_folder(version(tmp_path, "one"), "nosuch://bucket/models", "trec", 5)
    assert "\n" not in str(caught.value)


def test_lower_number_than_the_stores_is_refused_and_nothing_there_changes(
    tmp_path: Path, store: str
) -> None:
    for content in ("one", "two", "three"):
        pushed = version(tmp_path / "old", content)
    push_to_folder(pushed, store, "trec", 2)
    restarted = version(tmp_path / "new", "four")  # the serving folder was recreated: version 1
    with pytest.raises(PipelineError, match=r"trec already has version 3, .* instead of 1; use another"):
        push_to_folder(restarted, store, "trec", 2)
    assert read(f"{store}/trec/3/saved_model.pb") == b"three"
    assert read(f"{store}/trec/1/saved_model.pb") is None


def test_version_that_is_there_below_newer_ones_stays(tmp_path: Path, disk: str) -> None:
    first = version(tmp_path, "one")
    push_to_folder(first, disk, "trec", 2)
    push_to_folder(version(tmp_path, "two"), disk, "trec", 2)
    push_to_folder(version(tmp_path, "three"), disk, "trec", 3)
    push_to_folder(first, disk, "trec", 2)
    assert [read(f"{disk}/trec/{number}/saved_model.pb") for number in (1, 2, 3)] == [
        b"one",
        b"two",
        b"three",
    ]


def test_half_a_version_does_not_count_as_kept(tmp_path: Path, disk: str) -> None:
    for content in ("one", "two"):
        push_to_folder(version(tmp_path, content), disk, "trec", 2)
    tf.io.gfile.remove(f"{disk}/trec/2/saved_model.pb")
    push_to_folder(version(tmp_path, "three"), disk, "trec", 2)
    assert sorted(entry.rstrip("/") for entry in tf.io.gfile.listdir(f"{disk}/trec")) == ["1", "3"]
