"""Versions after their push: newer runs, promotion, retention, damage, equality."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.model_files import damage, file_digests, model_digest, same_model
from components.versions import runs, store
from components.versions.record import Promotion, read_record, record_of, who
from models.errors import GateRefused, PipelineError, UsageError
from tests.components.versions.test_store import contents, make_model, push

WEIGHTS = "variables/variables.data-00000-of-00001"


def run_of(hour: int) -> dict[str, str]:
    return {"run_id": f"run-{hour}", "run_started_at": f"2026-11-22T{hour:02}:00:00+00:00"}


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    return {name: make_model(tmp_path / name, name) for name in ("one", "two", "three")}


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def three(models: dict[str, Path], serving: Path) -> Path:
    """A serving folder with versions 1, 2, 3 of the contents one, two, three, by runs of 1, 2 and 3 o'clock."""
    for hour, model in enumerate(models.values(), start=1):
        push(model, serving, **run_of(hour))
    return serving


# --- newer runs -------------------------------------------------------------------------------------


def test_push_over_the_model_of_a_run_that_started_later_is_refused(
    tmp_path: Path, models: dict[str, Path], serving: Path
) -> None:
    push(models["one"], serving, **run_of(11))
    with pytest.raises(GateRefused) as caught:
        push(models["two"], serving, **run_of(10))
    assert str(caught.value) == (
        f"{serving}/trec: version 1 is of run run-11, which started at 2026-11-22T11:00:00+00:00, after run "
        "run-10 (2026-11-22T10:00:00+00:00): nothing was pushed; a run that starts now may "
        "replace it, or --force (on Kubeflow force_push: 1)"
    )
    assert contents(serving) == {1: "one"}
    assert not list((serving / "trec").glob(".staging-*"))


def test_forced_push_replaces_the_model_of_a_newer_run(models: dict[str, Path], serving: Path) -> None:
    push(models["one"], serving, **run_of(11))
    assert store.publish(models["two"], serving, "trec", 5, record_of(run_of(10)), force=True) == 2
    assert contents(serving) == {1: "one", 2: "two"}


def test_newer_runs_model_counts_also_below_a_rollback(three: Path, tmp_path: Path) -> None:
    store.rollback(three, "trec")
    with pytest.raises(GateRefused, match="version 3 is of run run-3"):
        push(make_model(tmp_path / "late", "late"), three, **run_of(2))


@pytest.mark.parametrize(
    "info",
    [{}, {"run_id": "r", "run_started_at": "yesterday"}, {"run_id": "r", "run_started_at": None}, run_of(11)],
    ids=["nothing", "no time", "null", "the run itself"],
)
def test_run_of_unknown_start_and_the_run_itself_are_not_refused(
    models: dict[str, Path], serving: Path, info: dict[str, str]
) -> None:
    push(models["one"], serving, **run_of(11))
    assert push(models["two"], serving, **info) == 2


def test_newer_run_that_pushes_without_our_lock_while_we_copy_is_noticed_before_the_rename(
    models: dict[str, Path], serving: Path
) -> None:
    def other_machine_pushes(staged: Path) -> None:
        make_model(serving / "trec/1", "theirs")
        (serving / "trec/1/assets.extra").mkdir()
        (serving / "trec/1/assets.extra/push.json").write_text(json.dumps(run_of(11)))

    with pytest.raises(GateRefused, match="version 1 is of run run-11"):
        store.publish(models["one"], serving, "trec", 5, record_of(run_of(10)), check=other_machine_pushes)
    assert contents(serving) == {1: "theirs"}


def test_of_runs_that_push_at_once_no_older_one_gets_on_top_of_a_newer_one(
    tmp_path: Path, serving: Path
) -> None:
    hours = [3, 7, 1, 8, 5, 2, 6, 4]
    sources = {hour: make_model(tmp_path / f"m{hour}", f"model {hour}") for hour in hours}

    def try_to_push(hour: int) -> bool:
        try:
            push(sources[hour], serving, keep=9, **run_of(hour))
        except GateRefused:
            return False
        return True

    with ThreadPoolExecutor(len(hours)) as pool:
        pushed = [hour for hour, done in zip(hours, pool.map(try_to_push, hours), strict=True) if done]
    started = [version.record.run_started_at for version in store.versions(serving, "trec")]
    assert started == [run_of(hour)["run_started_at"] for hour in sorted(pushed)]
    assert pushed.count(8) == 1


def test_run_id_tells_when_the_run_started() -> None:
    assert runs.started_at("20261122-183204-123") == "2026-11-22T18:32:04.123+00:00"
    assert runs.started_at(runs.new_run_id()) is not None
    assert runs.started_at("0f0e0d0c-1111-2222-3333-444455556666") is None
    assert runs.started_at("uuid", "2026-11-22T18:32:04Z") == "2026-11-22T18:32:04Z"
    assert runs.started_at("uuid", "{{$.pipeline_job_create_time_utc}}") is None


# --- what a person decided stays --------------------------------------------------------------------


def test_pushing_the_model_that_was_rolled_back_from_changes_nothing(
    models: dict[str, Path], three: Path
) -> None:
    store.rollback(three, "trec")
    assert push(models["three"], three, **run_of(9)) == 3
    assert sorted(contents(three)) == [1, 2, 3, 4]
    assert store.publish(models["three"], three, "trec", 9, record_of(run_of(9)), force=True) == 5


def test_promoted_version_is_the_newest_and_a_run_of_the_last_push_leaves_it(
    models: dict[str, Path], three: Path
) -> None:
    assert store.promote(three, "trec", 1) == 4
    assert contents(three)[4] == "one"
    newest = store.versions(three, "trec")[-1]
    assert newest.record.promoted_from == Promotion(1)
    assert newest.record.run_id == "run-1"
    assert push(models["three"], three, **run_of(9)) == 3


def test_rollback_after_a_promotion_returns_to_what_was_served_before(three: Path) -> None:
    store.promote(three, "trec", 1)
    assert store.rollback(three, "trec") == 5
    assert contents(three)[5] == "three"


def test_promotion_of_what_is_the_newest_changes_nothing(three: Path) -> None:
    assert store.promote(three, "trec", 3) == 3
    assert sorted(contents(three)) == [1, 2, 3]


def test_promotion_to_another_folder_gets_that_folders_next_number(
    tmp_path: Path, models: dict[str, Path], three: Path
) -> None:
    production = tmp_path / "production"
    push(models["one"], production, **run_of(1))
    assert store.promote(three, "trec", 3, to=production) == 2
    assert contents(production) == {1: "one", 2: "three"}
    newest = store.versions(production, "trec")[-1]
    assert newest.record.promoted_from == Promotion(3, str(three))
    assert damage(newest.path, newest.record.files, thorough=True) == ""


def test_promotion_over_a_newer_runs_model_elsewhere_is_refused_unless_forced(
    tmp_path: Path, models: dict[str, Path], three: Path
) -> None:
    production = tmp_path / "production"
    push(models["three"], production, **run_of(3))
    with pytest.raises(GateRefused, match="version 1 is of run run-3"):
        store.promote(three, "trec", 2, to=production)
    assert store.promote(three, "trec", 2, to=production, force=True) == 2


def test_promotion_of_a_version_that_is_not_there_names_those_that_are(three: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no version 7 \(served now: 1, 2, 3\)"):
        store.promote(three, "trec", 7)


def test_damaged_version_is_not_promoted(three: Path) -> None:
    (three / "trec/1" / WEIGHTS).write_bytes(b"cut")
    with pytest.raises(
        PipelineError, match=r"not promoted, the version is damaged: variables/variables\.data"
    ):
        store.promote(three, "trec", 1)


def test_promotion_keeps_the_newest_only(three: Path) -> None:
    store.promote(three, "trec", 1, keep=2)
    assert contents(three) == {3: "three", 4: "one"}


def test_dry_prune_names_what_would_go_and_removes_nothing(three: Path) -> None:
    assert store.prune(three, "trec", 1, dry_run=True) == [1, 2]
    assert sorted(contents(three)) == [1, 2, 3]


# --- the same model, and a damaged one ----------------------------------------------------------------


def test_random_fingerprint_and_extras_make_no_other_model(tmp_path: Path) -> None:
    one, other = make_model(tmp_path / "one", "same"), make_model(tmp_path / "other", "same")
    (one / "fingerprint.pb").write_bytes(b"1")
    (other / "fingerprint.pb").write_bytes(b"2")
    (other / "assets.extra").mkdir()
    (other / "assets.extra/tf_serving_warmup_requests").write_bytes(b"requests")
    assert same_model(one, other)
    assert model_digest(file_digests(one)) == model_digest(file_digests(other))
    (other / WEIGHTS).write_bytes((one / WEIGHTS).read_bytes()[:-1] + b"x")
    assert not same_model(one, other)
    assert model_digest(file_digests(one)) != model_digest(file_digests(other))


def test_folder_without_a_model_is_the_same_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert not same_model(tmp_path / "a", tmp_path / "b")
    assert not same_model(tmp_path / "gone", tmp_path / "b")


def test_model_exported_again_is_not_pushed_twice(tmp_path: Path, serving: Path) -> None:
    for name in ("first", "again"):
        (make_model(tmp_path / name, "same") / "fingerprint.pb").write_text(name)
        assert push(tmp_path / name, serving) == 1


def test_damage_of_a_version_is_named(three: Path) -> None:
    version = three / "trec/3"
    files = read_record(version).files
    weights = version / WEIGHTS
    assert damage(version, files) == ""
    whole, times = weights.read_bytes(), (weights.stat().st_atime_ns, weights.stat().st_mtime_ns)
    weights.write_bytes(whole[:-1])
    assert damage(version, files) == f"{WEIGHTS} has 4999 bytes, 5000 were pushed"
    weights.write_bytes(whole[:-1] + b"x")
    assert damage(version, files) == f"{WEIGHTS} is not the file that was pushed"
    os.utime(weights, ns=times)  # only reading the file reveals it now
    assert damage(version, files) == ""
    assert damage(version, files, thorough=True) == f"{WEIGHTS} is not the file that was pushed"
    weights.write_bytes(whole)
    assert damage(version, files) == ""
    weights.unlink()
    assert damage(version, files) == f"{WEIGHTS} is gone"


def test_version_that_was_copied_with_new_times_is_whole(tmp_path: Path, three: Path) -> None:
    shutil.copytree(three / "trec/3", tmp_path / "copy", copy_function=shutil.copyfile)
    assert damage(tmp_path / "copy", read_record(tmp_path / "copy").files) == ""


# --- what stays --------------------------------------------------------------------------------------


def test_newest_whole_version_is_kept_when_all_that_would_stay_are_damaged(three: Path) -> None:
    (three / "trec/3" / WEIGHTS).write_bytes(b"cut")
    assert store.prune(three, "trec", 1, dry_run=True) == [1]
    assert store.prune(three, "trec", 1) == [1]
    assert sorted(contents(three)) == [2, 3]
    (three / "trec/2/saved_model.pb").unlink()  # no version is intact: there is nothing to keep
    assert store.prune(three, "trec", 1) == [2]


def test_damaged_version_above_a_whole_one_does_not_keep_a_third(three: Path) -> None:
    (three / "trec/3" / WEIGHTS).write_bytes(b"cut")
    assert store.prune(three, "trec", 2) == [1]


# --- records and folders that are not as they should be ----------------------------------------------


def rewrite(version: Path, **values: object) -> None:
    record = version / "assets.extra/push.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"restored_from": "abc"}, "restored_from cannot be 'abc'"),
        ({"restored_from": -1}, "restored_from cannot be -1"),
        ({"metrics": {"accuracy": "high"}}, "metrics.accuracy cannot be 'high'"),
        ({"promoted_from": {"serving_dir": None}}, "promoted_from.version is missing"),
        ({"run_id": 5}, "run_id cannot be 5"),
    ],
)
def test_record_with_a_wrong_value_is_damage_that_names_it_and_the_rest_counts(
    three: Path, values: dict[str, object], problem: str
) -> None:
    rewrite(three / "trec/2", **values)
    found = store.versions(three, "trec")[1]
    assert found.damage() == f"assets.extra/push.json: {problem}"
    assert (found.origin, found.is_push) == (2, True)
    assert found.record.run_started_at == run_of(2)["run_started_at"]
    assert store.rollback(three, "trec") == 4
    assert contents(three)[4] == "one"


def test_rollback_leaves_a_newest_version_whose_record_is_wrong(three: Path) -> None:
    rewrite(three / "trec/3", restored_from="abc")
    assert store.rollback(three, "trec") == 4
    assert contents(three)[4] == "two"


def test_record_that_is_no_json_is_damage(three: Path) -> None:
    (three / "trec/1/assets.extra/push.json").write_text("{")
    (three / "trec/2/assets.extra/push.json").write_text("[]")
    one, two, _ = store.versions(three, "trec")
    assert one.damage().startswith("assets.extra/push.json cannot be read (Expecting property name")
    assert two.damage() == "assets.extra/push.json is not a JSON object"


def test_model_copied_by_hand_without_a_record_is_whole(tmp_path: Path, serving: Path) -> None:
    make_model(serving / "trec/1", "by hand")
    assert store.versions(serving, "trec")[0].damage() == ""


def test_rollback_prune_and_promote_make_no_folder(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    with pytest.raises(UsageError, match="nothing to roll back to"):
        store.rollback(wrong, "trec")
    with pytest.raises(UsageError, match=r"there is no version 1 \(served now: none\)"):
        store.promote(wrong, "trec", 1)
    assert store.prune(wrong, "trec", 1) == []
    assert not wrong.exists()


def test_file_in_the_place_of_the_folder_is_an_error_and_not_an_empty_list(serving: Path) -> None:
    serving.mkdir()
    (serving / "trec").write_text("a file")
    with pytest.raises(PipelineError, match=r"trec: cannot be read \(Not a directory\)"):
        store.versions(serving, "trec")


# --- who did it ---------------------------------------------------------------------------------------


def test_push_rollback_and_promotion_tell_who_did_it(
    models: dict[str, Path], serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    for user, act in (
        ("ann", lambda: push(models["one"], serving)),
        ("bob", lambda: push(models["two"], serving)),
        ("cleo", lambda: store.rollback(serving, "trec")),
        ("dan", lambda: store.promote(serving, "trec", 2)),
        ("eve", lambda: store.promote(serving, "trec", 2, to=tmp_path / "production")),
    ):
        monkeypatch.setenv("LOGNAME", user)
        act()
    listed = [*store.versions(serving, "trec"), *store.versions(tmp_path / "production", "trec")]
    assert [version.record.by for version in listed] == [
        "ann@host",
        "bob@host",
        "cleo@host",
        "dan@host",
        "eve@host",
    ]


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)  # as in a container without an entry in passwd
    monkeypatch.setattr("socket.gethostname", lambda: "pod-1")
    assert who() == "4000000@pod-1"
