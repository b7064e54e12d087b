"""The errors of the sub-commands for versions: one line and an exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.versions import store
from components.versions.record import PushRecord

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of versions 1 and 2 of tiny.yaml, which is in the current folder."""
    monkeypatch.chdir(tmp_path)
    for content in ("one", "two"):
        (tmp_path / content).mkdir()
        (tmp_path / content / "saved_model.pb").write_text(content)
        store.publish(
            tmp_path / content, tmp_path / "serving", "tiny", 5, PushRecord(metrics={"accuracy": 0.9})
        )
    return tmp_path / "serving" / "tiny"


@pytest.fixture
def unreadable(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`home`, which this user may not read. Root may read everything, so for root the call fails by itself."""
    listdir = os.listdir

    def refuse(path: object = ".") -> list[str]:
        if Path(str(path)) == home:
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)  # type: ignore[arg-type]

    mode = home.stat().st_mode
    home.chmod(0)
    if os.geteuid() == 0:
        monkeypatch.setattr("os.listdir", refuse)
    yield home
    home.chmod(mode)


def numbers(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.name.isdigit())


def test_object_store_as_serving_folder_is_refused_with_the_place_of_the_key(
    call: Call, home: Path, config_file: Path
) -> None:
    config_file.write_text(config_file.read_text().replace(": serving\n", ": gs://bucket/models\n"))
    for command in ("versions", "rollback", "promote", "prune", "config"):
        code, out, err = call(command, "tiny.yaml", *(["1"] if command == "promote" else []))
        assert (code, out) == (2, "")
        assert err == (
            "error: tiny.yaml:12: push.serving_dir: 'gs://bucket/models' cannot be a serving folder: versions are "
            "made visible by renaming a folder, so it must be on a mounted file system, not an object store; use "
            "push.destinations (- folder: ...) for that\n"
        )
    code, _, err = call("config", "tiny.yaml", "--set", "push.serving_dir=s3://bucket")
    assert code == 2
    assert err.startswith(
        "error: --set push.serving_dir=s3://bucket: push.serving_dir: 's3://bucket' cannot be"
    )


@pytest.mark.parametrize("key", ["data.path", "data.schema", "data.label_list", "model.checkpoint.path"])
def test_address_where_only_a_path_of_this_machine_is_read_is_refused(
    call: Call, home: Path, config_file: Path, key: str
) -> None:
    code, _, err = call("config", "tiny.yaml", "--set", f"{key}=gs://bucket/there")
    assert code == 2
    assert err.endswith(
        f"{key}: 'gs://bucket/there' is a URL, not a path on this machine: copy its content here first\n"
    )


def test_promotion_to_an_object_store_is_refused_and_makes_no_folder(
    call: Call, home: Path, tmp_path: Path
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = call("promote", "tiny.yaml", 2, "--to", "gs://bucket/models")
    assert (code, out) == (2, "")
    assert err.startswith("error: 'gs://bucket/models' cannot be a serving folder: ")
    assert "push.destinations" in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert numbers(home) == ["1", "2"]


@pytest.mark.parametrize(
    "command",
    [["versions"], ["versions", "--json"], ["rollback"], ["promote", "1"], ["prune", "--dry-run"], ["prune"]],
)
def test_folder_that_cannot_be_read_is_told_in_one_line(
    call: Call, unreadable: Path, command: list[str]
) -> None:
    code, out, err = call(command[0], "tiny.yaml", *command[1:])
    assert (code, out) == (1, "")
    assert err == (
        f"error: {unreadable}: cannot be read (Permission denied); check push.serving_dir and the permissions of the "
        "folder\n"
    )


def test_wrong_values_of_push_json_are_listed_as_damage(call: Call, home: Path) -> None:
    for number, values in ((1, {"restored_from": "abc"}), (2, {"metrics": {"accuracy": "high"}})):
        record = home / str(number) / "assets.extra/push.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | values))
    code, out, err = call("versions", "tiny.yaml")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if "damaged" in line] == [
        "     damaged     assets.extra/push.json: restored_from cannot be 'abc'",
        "     damaged     assets.extra/push.json: metrics.accuracy cannot be 'high'",
    ]
    code, out, err = call("rollback", "tiny.yaml")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"error: {home}: nothing was rolled back, every earlier version is damaged: 1 (assets.extra/push.json: "
        "restored_from cannot be 'abc'); push a model again"
    )


def test_rollback_in_a_wrong_folder_makes_none(call: Call, home: Path, tmp_path: Path) -> None:
    code, _, err = call("rollback", "tiny.yaml", "--set", f"push.serving_dir={tmp_path}/wrong")
    assert (code, "nothing to roll back to" in err) == (2, True)
    assert not (tmp_path / "wrong").exists()


def test_rollback_and_promotion_name_the_destinations_that_they_do_not_reach(call: Call, home: Path) -> None:
    given = "push.destinations=[{folder: 'gs://bucket/models'}, {hub: acme/tiny}]"
    told = "not changed, because only a run pushes to push.destinations: gs://bucket/models, hub acme/tiny"
    _, out, _ = call("rollback", "tiny.yaml", "--set", given)
    assert out.splitlines() == [f"version 3 has the content of version 1: {home}/3", told]
    _, out, _ = call("promote", "tiny.yaml", 2, "--set", given)
    assert out.splitlines() == [f"version 4 has the content of version 2: {home}/4", told]
    _, out, _ = call("promote", "tiny.yaml", 2, "--to", "production", "--set", given)
    assert out == "version 1 has the content of version 2: production/tiny/1\n"


def test_versions_tells_who_did_it(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    call("rollback", "tiny.yaml")
    _, out, _ = call("versions", "tiny.yaml", "--json")
    assert json.loads(out)[-1]["by"] == "ann@laptop"
    _, out, _ = call("versions", "tiny.yaml")
    assert "     by          ann@laptop" in out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["bogus"], "No such command 'bogus'; see "),
        (["run"], "Missing argument 'CONFIG'; see "),
        (["run", "tiny.yaml", "--bogus"], "No such option: --bogus"),
        (["promote", "tiny.yaml", "abc"], "Invalid value for 'version': Input should be a valid integer"),
        (
            ["prune", "tiny.yaml", "--keep", "x"],
            "Invalid value for '--keep': Input should be a valid integer",
        ),
    ],
)
def test_wrong_argument_is_one_line_and_exit_code_2(call: Call, arguments: list[str], reason: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {reason}")
    assert err.count("\n") == 1
