from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.model_files import file_digests, model_digest
from components.versions import staging, store
from components.versions.record import PushRecord, record_of
from models.errors import PipelineError, UsageError


def make_model(folder: Path, content: str, size: int = 1000) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").write_text(content)
    (folder / "assets" / "labels.txt").write_text("A\nB\n")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content.encode() * size)
    return folder


def contents(serving: Path) -> dict[int, str]:
    """number -> content of its saved_model.pb, for every version that a model server would see."""
    folders = (
        [p for p in (serving / "trec").iterdir() if p.name.isdigit()] if (serving / "trec").is_dir() else []
    )
    return {int(p.name): (p / "saved_model.pb").read_text() for p in folders}


def push(model: Path, serving: Path, keep: int = 5, **info: object) -> int:
    return store.publish(model, serving, "trec", keep, record_of(info))


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def three(tmp_path: Path, serving: Path) -> Path:
    """A serving folder with versions 1, 2, 3 of the contents one, two, three."""
    for content in ("one", "two", "three"):
        push(make_model(tmp_path / content, content), serving)
    return serving


def test_first_version_is_1_and_the_next_grow_by_1_within_one_second(three: Path) -> None:
    assert contents(three) == {1: "one", 2: "two", 3: "three"}


def test_push_json_holds_the_given_facts_and_the_models_digest(tmp_path: Path, serving: Path) -> None:
    model = make_model(tmp_path / "m", "one")
    push(model, serving, accuracy=0.95)
    info = json.loads((serving / "trec/1/assets.extra/push.json").read_text())
    digest = model_digest(file_digests(model))
    assert (info["version"], info["accuracy"], info["model_sha256"], info["restored_from"]) == (
        1,
        0.95,
        digest,
        None,
    )
    assert store.versions(serving, "trec")[0].record.as_json() == info


def test_every_file_of_the_model_is_in_the_version_and_others_may_read_it(
    tmp_path: Path, serving: Path
) -> None:
    model = make_model(tmp_path / "m", "one")
    push(model, serving)
    assert file_digests(serving / "trec/1") == file_digests(model)
    umask = os.umask(0)
    os.umask(umask)
    assert (serving / "trec/1").stat().st_mode & 0o777 == 0o777 & ~umask


def test_same_content_as_the_newest_is_not_pushed_twice(tmp_path: Path, serving: Path) -> None:
    assert push(make_model(tmp_path / "a", "one"), serving) == 1
    assert push(make_model(tmp_path / "b", "one"), serving) == 1
    assert contents(serving) == {1: "one"}


def test_content_of_an_older_version_is_pushed_again(tmp_path: Path, three: Path) -> None:
    assert push(tmp_path / "one", three) == 4
    assert contents(three)[4] == "one"


def test_only_the_newest_are_kept(tmp_path: Path, serving: Path) -> None:
    for content in "abcde":
        push(make_model(tmp_path / content, content), serving, keep=2)
    assert contents(serving) == {4: "d", 5: "e"}


def test_numbers_removed_by_hand_never_come_back(tmp_path: Path, three: Path) -> None:
    shutil.rmtree(three / "trec/3")
    shutil.rmtree(three / "trec/2")
    assert push(make_model(tmp_path / "new", "new"), three) == 4
    assert contents(three) == {1: "one", 4: "new"}


def test_a_number_taken_without_our_lock_is_passed_over(tmp_path: Path, three: Path) -> None:
    make_model(three / "trec/4", "copied by hand")
    (three / "trec/5").write_text("a file")
    assert push(make_model(tmp_path / "new", "new"), three) == 6


def test_prune_removes_the_oldest_and_returns_their_numbers(three: Path) -> None:
    assert store.prune(three, "trec", 1) == [1, 2]
    assert contents(three) == {3: "three"}


def test_prune_to_nothing_is_refused(three: Path) -> None:
    with pytest.raises(UsageError, match="keep must be at least 1, got 0"):
        store.prune(three, "trec", 0)


def test_rollback_puts_the_previous_content_on_top(three: Path) -> None:
    assert store.rollback(three, "trec") == 4
    assert contents(three) == {1: "one", 2: "two", 3: "three", 4: "two"}
    assert store.versions(three, "trec")[-1].origin == 2


def test_second_rollback_goes_one_further_back(three: Path) -> None:
    store.rollback(three, "trec")
    assert store.rollback(three, "trec") == 5
    assert contents(three)[5] == "one"


def test_rollback_past_the_first_version_is_refused_and_changes_nothing(three: Path) -> None:
    store.rollback(three, "trec")
    store.rollback(three, "trec")
    with pytest.raises(UsageError, match=r"nothing to roll back to.*served now: 1, 2, 3, 4, 5"):
        store.rollback(three, "trec")
    assert sorted(contents(three)) == [1, 2, 3, 4, 5]


def test_rollback_after_a_push_on_top_of_a_rollback_returns_to_what_was_served(
    tmp_path: Path, three: Path
) -> None:
    store.rollback(three, "trec")  # 4 = two
    push(make_model(tmp_path / "new", "new"), three, keep=9)
    assert store.rollback(three, "trec") == 6
    assert contents(three)[6] == "two"


def test_rollback_of_nothing_says_so(serving: Path) -> None:
    with pytest.raises(UsageError, match="served now: none"):
        store.rollback(serving, "trec")


def test_rollback_passes_over_a_version_that_lost_a_file(three: Path) -> None:
    (three / "trec/2/variables/variables.data-00000-of-00001").unlink()
    assert store.rollback(three, "trec") == 4
    assert contents(three) == {1: "one", 2: "two", 3: "three", 4: "one"}
    assert store.versions(three, "trec")[-1].origin == 1


def test_rollback_to_damaged_versions_only_names_them_and_changes_nothing(three: Path) -> None:
    (three / "trec/1/saved_model.pb").unlink()
    (three / "trec/2/assets/labels.txt").write_text("A\n")
    with pytest.raises(PipelineError) as caught:
        store.rollback(three, "trec")
    assert str(caught.value) == (
        f"{three}/trec: nothing was rolled back, every earlier version is damaged: "
        "2 (assets/labels.txt has 2 bytes, 4 were pushed), 1 (no saved_model.pb); "
        "push a model again"
    )
    assert sorted(p.name for p in (three / "trec").iterdir()) == [".highest", ".lock", "1", "2", "3"]


def test_rollback_takes_a_model_copied_by_hand_that_has_no_record(tmp_path: Path, serving: Path) -> None:
    make_model(serving / "trec/1", "by hand")
    push(make_model(tmp_path / "m", "two"), serving)
    assert store.rollback(serving, "trec") == 3
    assert contents(serving) == {1: "by hand", 2: "two", 3: "by hand"}


def test_rollback_keeps_the_newest_only(three: Path) -> None:
    assert store.rollback(three, "trec", keep=3) == 4
    assert contents(three) == {2: "two", 3: "three", 4: "two"}


def test_rollback_that_keeps_nothing_is_refused(three: Path) -> None:
    with pytest.raises(UsageError, match="keep must be at least 1, got 0"):
        store.rollback(three, "trec", keep=0)
    assert contents(three) == {1: "one", 2: "two", 3: "three"}


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_same_model_is_pushed_again_when_the_newest_version_lost_a_file(
    tmp_path: Path, three: Path, file: str
) -> None:
    (three / "trec/3" / file).unlink()
    assert push(tmp_path / "three", three) == 4
    assert file_digests(three / "trec/4") == file_digests(tmp_path / "three")


def test_listing_a_folder_that_does_not_exist_is_empty(serving: Path) -> None:
    assert store.versions(serving, "trec") == []


def test_model_without_saved_model_pb_is_refused(tmp_path: Path, serving: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PipelineError, match=r"empty: no saved_model\.pb"):
        push(tmp_path / "empty", serving)


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b"])
def test_name_that_is_no_folder_is_refused(tmp_path: Path, serving: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a folder"):
        store.publish(make_model(tmp_path / "m", "one"), serving, name, 5, PushRecord())


def test_object_store_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gs://bucket/models.*mounted file system"):
        store.publish(make_model(tmp_path / "m", "one"), "gs://bucket/models", "trec", 5, PushRecord())


def test_copy_that_the_check_refuses_never_becomes_visible(tmp_path: Path, three: Path) -> None:
    def refuse(folder: Path) -> None:
        assert (folder / "saved_model.pb").read_text() == "bad"
        raise PipelineError("no graph")

    with pytest.raises(PipelineError, match="no graph"):
        store.publish(make_model(tmp_path / "bad", "bad"), three, "trec", 5, PushRecord(), check=refuse)
    assert contents(three) == {1: "one", 2: "two", 3: "three"}
    assert not list((three / "trec").glob(".staging-*"))


def test_copy_that_differs_from_its_source_never_becomes_visible(tmp_path: Path, three: Path) -> None:
    source = make_model(tmp_path / "m", "new")
    digests = file_digests(source) | {"assets/labels.txt": "0" * 64}
    with pytest.raises(PipelineError, match=r"the copy of 'assets/labels\.txt' differs.*1 of 3 files"):
        staging.add_version(three / "trec", source, digests, PushRecord())
    assert contents(three) == {1: "one", 2: "two", 3: "three"}


def test_left_overs_of_a_killed_process_go_with_the_next_push(tmp_path: Path, three: Path) -> None:
    make_model(three / "trec/.staging-dead", "half")
    make_model(three / "trec/.removed-1-dead", "half")
    (three / "trec/.staging-.highest-dead").write_text("9")
    push(make_model(tmp_path / "new", "new"), three)
    assert sorted(p.name for p in (three / "trec").iterdir()) == [".highest", ".lock", "1", "2", "3", "4"]


def test_concurrent_pushes_get_different_numbers_and_all_are_whole(tmp_path: Path, serving: Path) -> None:
    models = [make_model(tmp_path / f"m{i}", f"model {i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda model: push(model, serving, keep=9), models))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sorted(contents(serving).values()) == [f"model {i}" for i in range(8)]


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here (needs root): {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_a_clear_error_and_what_is_served_stays_whole(tmp_path: Path) -> None:
    first = make_model(tmp_path / "first", "first")
    large = make_model(tmp_path / "large", "large", size=500_000)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        assert push(first, disk) == 1
        with pytest.raises(PipelineError, match=r"disk full .*nothing was pushed") as caught:
            push(large, disk)
        assert "\n" not in str(caught.value)
        assert contents(disk) == {1: "first"}
        assert file_digests(disk / "trec/1") == file_digests(first)
        assert sorted(p.name for p in (disk / "trec").iterdir()) == [".highest", ".lock", "1"]
        assert push(make_model(tmp_path / "small", "small"), disk) == 2
