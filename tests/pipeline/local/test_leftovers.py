"""The leftovers of killed runs over ten runs, and which files of other runs are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from components.trainer.state_files import STATE_FILE
from pipeline.local.leftovers import remove_leftovers, temporary_folder
from pipeline.paths import local_paths

# Imports TFX once; then each run is a process that is killed in the middle of its second node.
KILLED_RUNS = """
import os, signal, sys, tempfile
from pathlib import Path
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, Model
from components import manifest
from components.trainer.state_files import state_path
from pipeline.local.dag_runner import ObservedDagRunner
from pipeline.local.leftovers import remove_leftovers, temporary_folder
from pipeline.paths import local_paths

root, state_dir = Path(sys.argv[1]), Path(sys.argv[1], "tiny/training_state")


@component
def Producer(examples: OutputArtifact[Examples]):
    Path(examples.uri, "rows.txt").write_text("rows")


@component
def Trainer(examples: InputArtifact[Examples], model: OutputArtifact[Model]):
    Path(model.uri, "half.pb").write_text("half a model")
    manifest.record(Path(model.uri))
    tempfile.NamedTemporaryFile(prefix="__autograph_generated_file", suffix=".py", delete=False).write(b"x")
    for prefix in ("canary-", "beam-temp-"):
        Path(tempfile.mkdtemp(prefix=prefix), "file").write_text("x")
    state = state_path(state_dir, "f" * 64)
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text("whole")
    state.with_name(f".{state.name}.{os.urandom(8).hex()}").write_text("half")
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def run(name):
    paths = local_paths(root, "tiny")
    remove_leftovers(paths)
    with temporary_folder(paths.temp_dir / name):
        producer = Producer()
        ObservedDagRunner(name, lambda node: None, lambda line: print(name, line, flush=True)).run(Pipeline(
            "tiny", str(paths.pipeline_root), components=[producer, Trainer(examples=producer.outputs["examples"])],
            metadata_connection_config=sqlite_metadata_connection_config(str(paths.metadata_path)), enable_cache=True,
        ))


def in_a_process(name):
    child = os.fork()
    if not child:
        run(name)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    print("paths", len(list(root.rglob("*"))), len(os.listdir(tempfile.gettempdir())), flush=True)


for number in range(10):
    in_a_process(f"run-{number}")
sys.argv[2] = "whole"
in_a_process("last")
"""


def test_ten_kills_leave_no_more_than_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_RUNS, str(tmp_path / "runs"), "killed"],
        cwd=PROJECT_DIR,
        env={**os.environ, "TMPDIR": str(tmp_path / "elsewhere"), "GRPC_ENABLE_FORK_SUPPORT": "false"},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    counts = [tuple(map(int, line.split()[1:])) for line in lines if line.startswith("paths ")]
    assert len(counts) == 11, done.stderr[-3000:]
    assert len(set(counts[:10])) == 1
    assert {outside for _, outside in counts} == {0}
    told = [line for line in lines if not line.startswith("paths ")]
    assert told == [
        f"{name} The previous run was killed in Trainer, or the machine stopped. Its incomplete output is removed, and "
        "the step runs again"
        for name in [*(f"run-{number}" for number in range(1, 10)), "last"]
    ]
    root = tmp_path / "runs/tiny"
    assert list((root / "tmp").iterdir()) == []
    [model] = (root / "artifacts/Trainer/model").glob("[0-9]*")
    assert [path.name for path in model.iterdir()] == ["half.pb"]
    assert not list(root.rglob(".temp"))
    assert [
        path.name for path in (root / "training_state" / ("f" * 16)).iterdir() if path.name == STATE_FILE
    ] == [STATE_FILE]


def test_temporary_files_go_to_the_run_and_everything_is_as_before_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    folder = tmp_path / "runs/tiny/tmp/1"
    with temporary_folder(folder):
        assert Path(tempfile.mkdtemp()).parent == folder
        child = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
        assert subprocess.run(child, capture_output=True, text=True).stdout == f"{folder}\n"
    assert not folder.exists()
    assert (os.environ["TMPDIR"], tempfile.gettempdir()) == (str(tmp_path), str(tmp_path))


def test_what_another_pipeline_or_a_finished_step_left_stays(tmp_path: Path) -> None:
    kept = [
        tmp_path / "other/tmp/1/file",
        tmp_path / "other/artifacts/Trainer/.system/executor_execution/1/.temp/file",
        tmp_path / "tiny/artifacts/Trainer/model/1/.temp/file",
        tmp_path / "tiny/artifacts/Trainer/.system/manifests/model-1.json",
        tmp_path / f"tiny/training_state/0123456789abcdef/{STATE_FILE}",
        tmp_path / "tiny/logs/1.log",
    ]
    gone = [
        tmp_path / "tiny/tmp/1/file",
        tmp_path / "tiny/artifacts/Trainer/.system/executor_execution/1/.temp/file",
        tmp_path / "tiny/artifacts/Trainer/.system/stateful_working_dir/1/file",
        tmp_path / "tiny/artifacts/ExampleGen/.system/driver_execution/1/file",
        tmp_path / "tiny/artifacts/Trainer/.system/manifests/model-1.json.4711",
        tmp_path / f"tiny/training_state/0123456789abcdef/.{STATE_FILE}.0123",
    ]
    for path in (*kept, *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_leftovers(local_paths(tmp_path, "tiny"))
    assert [path for path in kept if not path.exists()] == []
    assert [path for path in gone if path.exists()] == []
