"""docs/exit_codes.md matches both command lines: each cell of its tables is a call here, or a test named here."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from components.model_files import file_digests
from components.project import PROJECT_DIR
from components.versions import staging
from components.versions.record import record_of
from pipeline.importing.tfrecord import encode_example
from pipeline.kubeflow import cli as kubeflow_cli
from pipeline.local import cli as local_cli
from pipeline.process import command_line
from tests.kubeflow.test_client import DONE, PACKAGE
from tests.support.kubeflow.api_stub import ApiStub
from tests.support.tiny_project import shard, write_project, write_records

PAGE = (PROJECT_DIR / "docs" / "exit_codes.md").read_text(encoding="utf-8")
RUNNERS = {"runner_local.py": local_cli, "runner_kubeflow.py": kubeflow_cli}
# Cells that need more than a second, and the tests that cover them.
ELSEWHERE = {
    "local run 0": "tests/e2e/test_pipeline.py::test_first_run_pushes_version_1",
    "local serve 0": "tests/pipeline/local/test_serve.py::test_server_with_workers_stops_them_on_sigterm_while_it_waits_for_the_first_version",
    "local serve 1": "tests/components/serving/test_workers.py::test_taken_port_is_said_before_any_worker_starts",
    "kubeflow check 0": "tests/pipeline/kubeflow/client/test_cluster.py::test_all_there",
}


class Place(NamedTuple):
    """What the calls are made on."""

    config: Path
    stub: ApiStub
    host: str

    @property
    def folder(self) -> Path:
        return self.config.parent

    def version(self, number: int, serving: str = "serving", **info: object) -> Path:
        """Puts a served version there as a push would."""
        model = self.folder / f"model-{number}"
        model.mkdir(exist_ok=True)
        (model / "saved_model.pb").write_text(f"model {number} of {serving}")
        home = self.folder / serving / "tiny"
        with staging.writing(home):
            assert staging.add_version(home, model, file_digests(model), record_of(info)) == number
        return home / str(number)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("good")).parent


@pytest.fixture
def place(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = Path(shutil.copytree(good, tmp_path / "work"))
    (folder / "package.yaml").write_text(PACKAGE)
    for name in ("KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_NAMESPACE", "KFP_COOKIE", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing can be fetched
    stub = ApiStub(script=[DONE])
    host, stop = stub.serve()
    monkeypatch.setenv("KFP_HOST", host)
    yield Place(folder / "tiny.yaml", stub, host)
    stop()


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Calls a command line in this process: (exit code, stderr)."""

    def _call(runner: str, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"runner_{runner}.py", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            RUNNERS[f"runner_{runner}.py"].main()
        return int(ended.value.code or 0), capfd.readouterr().err

    return _call


# --- what is called -------------------------------------------------------------------------------


def as_it_is(place: Place) -> None:
    """Everything in order."""


def a_csv(place: Place) -> None:
    (place.folder / "rows.csv").write_text("text,label\na,b\n")


def unseen_label(place: Place) -> None:
    write_records(shard(place.folder), [encode_example({"text": b"a text", "label": b"mineral"})])


def damaged_shard(place: Place) -> None:
    shard(place.folder).write_bytes(b"no gzip")


def no_vocabulary(place: Place) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (place.folder / "encoder" / name).unlink()


def two_versions(place: Place) -> None:
    place.version(1)
    place.version(2)


def damaged_versions(place: Place) -> None:
    for number in (1, 2):
        (place.version(number) / "saved_model.pb").write_bytes(b"damaged")


def serving_folder_is_a_file(place: Place) -> None:
    (place.folder / "serving").mkdir()
    (place.folder / "serving" / "tiny").write_text("")


def newer_run_elsewhere(place: Place) -> None:
    place.version(1, run_id="old", run_started_at="2026-01-01T00:00:00+00:00")
    place.version(1, "production", run_id="new", run_started_at="2026-02-01T00:00:00+00:00")


def a_run(place: Place) -> None:
    """On the server, ended."""
    _submit(place)


def a_refused_run(place: Place) -> None:
    place.stub.script = [{"DataGate": "SUCCEEDED", "DataGate-verdict": "FAILED", "run": "FAILED"}]
    _submit(place)


def a_failed_run(place: Place) -> None:
    place.stub.script = [{"DataGate": "SUCCEEDED", "Trainer": "FAILED", "run": "FAILED"}]
    _submit(place)


def a_run_under_way(place: Place) -> None:
    place.stub.script = [{"DataGate": "RUNNING"}]
    _submit(place)


def a_run_with_logs(place: Place) -> None:
    place.stub.logs = {"DataGate": "5 rules", "DataGate-verdict": "", "Trainer": "loss 0.5"}
    _submit(place)


def _submit(place: Place) -> None:
    from typer.testing import CliRunner

    told = CliRunner().invoke(
        kubeflow_cli.app, ["submit", "--package", str(place.folder / "package.yaml"), "--no-wait"]
    )
    assert told.exit_code == 0, told.exception


Case = tuple[str, Callable[[Place], None], str]
# runner, command and code; what is prepared; the arguments
CASES: list[Case] = [
    ("local run 2", as_it_is, "CONFIG --set train.epocks=1"),
    ("local run 2", as_it_is, "CONFIG --set data.label_column=category"),
    ("local run 2", as_it_is, "CONFIG --set data.path=/nope --set data.recipe=trec"),
    ("local run 2", as_it_is, "CONFIG --root CONFIG"),
    ("local run 2", as_it_is, "CONFIG --bogus"),
    ("local run 2", as_it_is, ""),
    ("local run 3", unseen_label, "CONFIG --root FOLDER/runs"),
    ("local run 1", damaged_shard, "CONFIG --root FOLDER/runs"),
    ("local import 0", as_it_is, "FOLDER/rows.jsonl --text text --label label --out FOLDER/new"),
    ("local import 2", a_csv, "FOLDER/rows.csv --text body --label label --out FOLDER/new"),
    ("local import 2", as_it_is, "FOLDER/no.csv --text text --label label --out FOLDER/new"),
    ("local import 2", as_it_is, "FOLDER/rows.jsonl --text text --label label --out CONFIG/new"),
    ("local data 2", as_it_is, "nope"),
    ("local data 1", as_it_is, "trec --out FOLDER/sets"),
    ("local config 0", as_it_is, "CONFIG"),
    ("local config 0", as_it_is, "--schema"),
    ("local config 2", as_it_is, "CONFIG --set train.epocks=1"),
    ("local config 2", as_it_is, "CONFIG --set 'evaluate.slices=[{columns: [labl]}]'"),
    ("local config 2", as_it_is, ""),
    ("local config 3", unseen_label, "CONFIG"),
    ("local config 1", damaged_shard, "CONFIG"),
    ("local tokenize 0", as_it_is, "CONFIG 'the cat'"),
    ("local tokenize 2", as_it_is, "CONFIG 'the cat' --pair 'the dog'"),
    ("local tokenize 2", as_it_is, "CONFIG 'the cat' --set model.checkpoint.path=/nope"),
    ("local tokenize 1", no_vocabulary, "CONFIG 'the cat'"),
    ("local versions 0", as_it_is, "CONFIG"),
    ("local versions 2", as_it_is, "no.yaml"),
    ("local versions 1", serving_folder_is_a_file, "CONFIG"),
    ("local rollback 0", two_versions, "CONFIG"),
    ("local rollback 2", as_it_is, "CONFIG"),
    ("local rollback 1", damaged_versions, "CONFIG"),
    ("local promote 0", two_versions, "CONFIG 1"),
    ("local promote 2", as_it_is, "CONFIG 9"),
    ("local promote 2", as_it_is, "CONFIG one"),
    ("local promote 3", newer_run_elsewhere, "CONFIG 1 --to FOLDER/production"),
    ("local promote 1", damaged_versions, "CONFIG 1"),
    ("local prune 0", two_versions, "CONFIG"),
    ("local prune 2", as_it_is, "CONFIG --keep 0"),
    ("local prune 1", serving_folder_is_a_file, "CONFIG"),
    ("local serve 2", as_it_is, "CONFIG --workers 0"),
    ("kubeflow compile 2", as_it_is, "CONFIG"),
    ("kubeflow compile 2", as_it_is, "CONFIG --image a/b:1"),
    ("kubeflow compile 0", as_it_is, "KUBEFLOW --image a/b:1 --context FOLDER -o FOLDER/p.yaml"),
    ("kubeflow compile 1", as_it_is, "FETCHED --image a/b:1 -o FOLDER/p.yaml"),
    ("kubeflow check 2", as_it_is, "CONFIG"),
    ("kubeflow check 2", as_it_is, "KUBEFLOW --kubeconfig FOLDER/none"),
    ("kubeflow check 1", as_it_is, "KUBEFLOW --kubeconfig FOLDER/kubeconfig"),
    ("kubeflow submit 0", as_it_is, "--package FOLDER/package.yaml --poll-seconds 0.05"),
    ("kubeflow submit 2", as_it_is, "--package CONFIG"),
    ("kubeflow submit 2", as_it_is, "--package FOLDER/package.yaml --param epochs=many"),
    ("kubeflow submit 3", a_refused_run, "--package FOLDER/package.yaml --poll-seconds 0.05"),
    ("kubeflow submit 1", a_failed_run, "--package FOLDER/package.yaml --poll-seconds 0.05"),
    ("kubeflow submit 1", as_it_is, "--package FOLDER/package.yaml --host http://127.0.0.1:9"),
    ("kubeflow schedule 0", as_it_is, "--package FOLDER/package.yaml --cron '30 6 * * *' --yes"),
    ("kubeflow schedule 2", as_it_is, "--package FOLDER/package.yaml --cron '61 6 * * *' --yes"),
    ("kubeflow schedule 2", a_run, "--package FOLDER/package.yaml --disable"),
    (
        "kubeflow schedule 1",
        as_it_is,
        "--package FOLDER/package.yaml --cron '30 6 * * *' --yes --host http://127.0.0.1:9",
    ),
    ("kubeflow schedules 0", as_it_is, ""),
    ("kubeflow schedules 2", as_it_is, "--experiment none"),
    ("kubeflow schedules 1", as_it_is, "--host http://127.0.0.1:9"),
    ("kubeflow runs 0", as_it_is, ""),
    ("kubeflow runs 0", a_run, "RUN --wait --poll-seconds 0.05"),
    ("kubeflow runs 2", as_it_is, "4f2"),
    ("kubeflow runs 2", as_it_is, "4f2 --wait"),
    ("kubeflow runs 2", as_it_is, "--experiment none"),
    ("kubeflow runs 3", a_refused_run, "RUN --wait --poll-seconds 0.05"),
    ("kubeflow runs 1", a_failed_run, "RUN --wait --poll-seconds 0.05"),
    ("kubeflow runs 1", as_it_is, "--host http://127.0.0.1:9"),
    ("kubeflow stop 0", a_run_under_way, "RUN"),
    ("kubeflow stop 2", as_it_is, "4f2"),
    ("kubeflow stop 1", as_it_is, "4f2 --host http://127.0.0.1:9"),
    ("kubeflow logs 0", a_run_with_logs, "RUN"),
    ("kubeflow logs 2", as_it_is, "4f2"),
    ("kubeflow logs 2", a_run, "RUN Trianer"),
    ("kubeflow logs 1", as_it_is, "4f2 --host http://127.0.0.1:9"),
]
KUBEFLOW = "\nkubeflow: {data_path: /m/d, serving_dir: /m/s, volumes: [{claim: c, mount_path: /m}]}\n"
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: me, user: {token: t}}]
"""


def filled(place: Place, argument: str) -> str:
    """An argument of a case, with its upper-case words replaced."""
    text = place.config.read_text()
    if argument in ("KUBEFLOW", "FETCHED"):
        recipe = text.replace("path: encoder", "recipe: all-MiniLM-L6-v2")
        place.config.write_text((recipe if argument == "FETCHED" else text) + KUBEFLOW)
        return str(place.config)
    (place.folder / "kubeconfig").write_text(KUBECONFIG)
    run_id = next(iter(place.stub.runs), "")
    words = {"CONFIG": str(place.config), "FOLDER": str(place.folder), "RUN": run_id}
    for word, meaning in words.items():
        argument = re.sub(rf"^{word}(?=/|$)", lambda _, meaning=meaning: meaning, argument)
    return argument


@pytest.mark.parametrize(
    ("expected", "prepare", "arguments"), CASES, ids=[f"{case[0]} {case[2]}" for case in CASES]
)
def test_command_ends_with_the_code_of_the_page(
    place, call, monkeypatch, tmp_path, expected, prepare, arguments
):
    for module in ("pipeline.local.cli.CACHE_DIR", "pipeline.inputs.CHECKPOINTS_DIR"):
        monkeypatch.setattr(module, tmp_path / "nothing is kept here")
    prepare(place)
    runner, command, code = expected.split()
    ended, err = call(runner, command, *(filled(place, argument) for argument in shlex.split(arguments)))
    assert ended == int(code), err
    assert "Traceback" not in err


@pytest.mark.real
def test_data_that_is_made_ends_with_0(call, tmp_path):
    assert call("local", "data", "trec", "--out", tmp_path)[0] == 0


def test_import_onto_a_full_disk_ends_with_1(place):
    """A file may have no byte more: what a full disk is for a program."""
    options = ["--text", "text", "--label", "label", "--out", str(place.folder / "new")]
    command = [
        sys.executable,
        str(PROJECT_DIR / "runner_local.py"),
        "import",
        str(place.folder / "rows.jsonl"),
        *options,
    ]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "File too large" in done.stderr


def interrupted(command: list[str], ready: Callable[[], object]) -> tuple[int, str]:
    with subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        held = ready()  # kept: closed, it would be the end of what the process reads
        process.send_signal(signal.SIGINT)
        code, err = process.wait(60), process.communicate()[1]
    del held
    return code, err


def test_ctrl_c_ends_an_import_with_130(tmp_path):
    pipe = tmp_path / "rows.csv"
    subprocess.run(["mkfifo", str(pipe)], check=True)
    options = ["--text", "a", "--label", "b", "--out", str(tmp_path / "out")]
    command = [sys.executable, "runner_local.py", "import", str(pipe), *options]
    code, err = interrupted(command, lambda: pipe.open("w"))  # opens when it is read from
    assert (code, err) == (130, "")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_question_to_a_server_with_130():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "runner_kubeflow.py", "runs", "--host", host]
        assert interrupted(command, silent.accept) == (130, "")


# --- the page -------------------------------------------------------------------------------------


def cells() -> set[str]:
    """`local run 0`: runner, command and code of the cells that are not empty."""
    found = set()
    for runner in ("local", "kubeflow"):
        section = PAGE.partition(f"## `runner_{runner}.py`")[2].partition("\n## ")[0]
        header, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
        codes = [int(cell) for cell in header.strip("|").split("|")[1:]]
        for row in rows:
            command, *meanings = (cell.strip() for cell in row.strip("|").split("|"))
            told = zip(codes, meanings, strict=True)
            found |= {f"{runner} {command.strip('`')} {code}" for code, meaning in told if meaning}
    return found


def test_page_has_every_command():
    for runner, module in RUNNERS.items():
        commands = {c.name or c.callback.__name__.rstrip("_") for c in module.app.registered_commands}
        assert commands == {cell.split()[1] for cell in cells() if f"runner_{cell.split()[0]}.py" == runner}


def test_each_cell_of_the_page_is_held_by_a_call_or_by_a_test():
    here = {expected for expected, *_ in CASES}
    here |= {"local data 0", "local import 1"}  # tests of their own above
    assert cells() == here | ELSEWHERE.keys()
    for named in ELSEWHERE.values():
        path, _, function = named.partition("::")
        assert f"\ndef {function}(" in (PROJECT_DIR / path).read_text(), named


def test_codes_of_the_page_are_those_of_the_help():
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.partition("\n## ")[0], re.M)]
    assert sorted(codes) == [0, 1, 2, 3, 130]
    assert sorted(int(code) for code in re.findall(r"\b\d+\b", command_line.EXIT_CODES)) == sorted(codes)
