"""submit, schedule, runs, stop and logs: kfp's real client over HTTP with a stub of the server's API.

Commands run in this process, as `runner_kubeflow.py` runs them; what runs behind the API is no cluster but the
script of each test (see `api_stub`).
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.errors import PipelineError
from pipeline.kubeflow.cli import app
from pipeline.kubeflow.client import watch
from pipeline.kubeflow.client.server import Access, connect
from tests.support.kubeflow.api_stub import ApiStub
from tests.support.kubeflow.workplace import write_workplace
from tests.support.tiny_model import write_checkpoint

PACKAGE = """\
schemaVersion: 2.1.0
sdkVersion: tfx-1.21.0
pipelineInfo: {name: tiny}
root:
  inputDefinitions:
    parameters:
      epochs: {parameterType: NUMBER_DOUBLE, defaultValue: 1.0, isOptional: true}
      steps: {parameterType: NUMBER_INTEGER, defaultValue: 8, isOptional: true}
      run_date: {parameterType: STRING, defaultValue: UTC, isOptional: true}
      span: {parameterType: STRING, defaultValue: '', isOptional: true}
      serving_dir: {parameterType: STRING, defaultValue: /mnt/serving, isOptional: true}
  dag:
    tasks:
      Trainer:
        taskInfo: {name: Trainer}
        componentRef: {name: Trainer}
        dependentTasks: [DataGate-verdict]
      DataGate-verdict:
        taskInfo: {name: DataGate-verdict}
        componentRef: {name: DataGate-verdict}
        dependentTasks: [DataGate]
      DataGate:
        taskInfo: {name: DataGate}
        componentRef: {name: DataGate}
components:
  Trainer: {executorLabel: Trainer_executor}
  DataGate: {executorLabel: DataGate_executor}
  DataGate-verdict: {executorLabel: DataGate-verdict_executor}
deploymentSpec:
  executors:
    Trainer_executor: {container: {image: 'a/b:1', command: [python]}}
    DataGate_executor: {container: {image: 'a/b:1', command: [python]}}
    DataGate-verdict_executor: {container: {image: 'a/b:1', command: [python]}}
"""
CONFIG = """\
name: my_model
data: {path: data, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
transform: {max_length: 32}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
kubeflow:
  data_path: /mnt/models/{YYYY}-{MM}-{DD}
  serving_dir: /mnt/models/serving
  volumes: [{claim: models, mount_path: /mnt/models}]
"""
DONE = {"DataGate": "SUCCEEDED", "DataGate-verdict": "SUCCEEDED", "Trainer": "SUCCEEDED", "run": "SUCCEEDED"}


@dataclass
class Told:
    """What a command printed, and how it ended."""

    code: int
    out: str
    error: str


@dataclass
class Site:
    """One test's server and package."""

    stub: ApiStub
    host: str
    package: Path

    def run(self, *arguments: str, host: str | None = None, **environment: str) -> Told:
        """Runs a command as `main` does: errors for users are one line and a code."""
        told = CliRunner().invoke(
            app, list(arguments), env={"KFP_HOST": self.host if host is None else host, **environment}
        )
        if isinstance(told.exception, PipelineError):
            assert "\n" not in str(told.exception)
            return Told(told.exception.exit_code, told.stdout, str(told.exception))
        if told.exception is not None and not isinstance(told.exception, SystemExit):
            raise told.exception
        return Told(told.exit_code, told.stdout, told.stderr)

    def submit(self, *arguments: str, **environment: str) -> Told:
        return self.run(
            "submit", "--package", str(self.package), "--poll-seconds", "0.05", *arguments, **environment
        )

    def schedule(self, *arguments: str, **environment: str) -> Told:
        return self.run("schedule", "--package", str(self.package), "--yes", *arguments, **environment)

    def recurring(self) -> list[tuple[str, str]]:
        return [(r["trigger"]["cron_schedule"]["cron"], r["status"]) for r in self.stub.recurring.values()]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_NAMESPACE", "KFP_COOKIE", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp's client keeps a namespace there
    package = tmp_path / "pipeline.yaml"
    package.write_text(PACKAGE)
    stub = ApiStub(script=[DONE])
    host, stop = stub.serve()
    yield Site(stub, host, package)
    stop()


# --- submit ---------------------------------------------------------------------------------------


def test_first_submit_makes_experiment_pipeline_and_run(site):
    told = site.submit("--run-name", "first", "--no-wait")
    assert told.code == 0, told.error
    assert [e["display_name"] for e in site.stub.experiments.values()] == ["tiny"]
    assert [p["display_name"] for p in site.stub.pipelines.values()] == ["tiny"]
    (run,) = site.stub.runs.values()
    assert (run["display_name"], run["runtime_config"]["parameters"]) == ("first", {})
    assert told.out == f"run {run['run_id']}: {site.host}/#/runs/details/{run['run_id']}\n"


def test_config_is_compiled_submitted_and_scheduled_for_the_data_of_its_day(site, tmp_path):
    write_checkpoint(write_workplace(tmp_path, CONFIG) / "encoder")
    source = (str(tmp_path / "my.yaml"), "--image", "registry.example/a/b:1", "--context", str(tmp_path))
    told = site.run("submit", *source, "--no-wait", "--param", "epochs=1", "--param", "span=7")
    assert told.code == 0, told.error
    assert [p["display_name"] for p in site.stub.pipelines.values()] == ["my-model"]
    (run,) = site.stub.runs.values()
    assert run["runtime_config"]["parameters"] == {"epochs": 1.0, "span": "7"}
    told = site.run("schedule", *source, "--yes", "--cron", "30 6 * * *")
    assert told.code == 0, told.error
    (made,) = site.stub.recurring.values()
    assert made["runtime_config"]["parameters"] == {"run_date": "UTC", "span": "run_date"}
    assert made["pipeline_version_reference"] == run["pipeline_version_reference"]


def test_changed_package_becomes_a_version_and_an_equal_one_does_not(site):
    site.submit("--no-wait")
    site.submit("--no-wait")
    assert len(site.stub.versions) == 1
    site.package.write_text(PACKAGE.replace("'a/b:1'", "'a/b:2'"))
    site.submit("--no-wait")
    site.submit("--no-wait")
    first, second = site.stub.versions.values()
    assert first["pipeline_id"] == second["pipeline_id"]
    assert re.fullmatch("tiny-[0-9a-f]{12}", second["name"])
    used = [r["pipeline_version_reference"]["pipeline_version_id"] for r in site.stub.runs.values()]
    assert used == [first["pipeline_version_id"]] * 2 + [second["pipeline_version_id"]] * 2


def test_pipeline_is_found_behind_the_first_page(site):
    for number in range(3):
        site.package.write_text(PACKAGE.replace("'a/b:1'", f"'a/b:{number}'"))
        site.submit("--no-wait")
    site.stub.page_limit = 1
    site.submit("--no-wait")
    assert (len(site.stub.pipelines), len(site.stub.versions)) == (1, 3)


def test_parameters_have_the_types_of_the_package(site):
    told = site.submit("--no-wait", "--param", "epochs=2", "--param", "steps=5", "--param", "span=7")
    assert told.code == 0, told.error
    (run,) = site.stub.runs.values()
    assert run["runtime_config"]["parameters"] == {"epochs": 2.0, "steps": 5, "span": "7"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("epoch=2", "the pipeline has no parameter 'epoch'; did you mean 'epochs'?"),
        ("epochs=two", "epochs must be a number, got 'two'"),
        ("epochs=nan", "epochs must be a finite number, got 'nan'"),
        ("steps=2.5", "steps must be a whole number, got '2.5'"),
        ("epochs", "write it as name=value"),
        ("run_date=yesterday", "'yesterday' is neither a day such as 2026-11-22 nor a time zone"),
        ("serving_dir=gs://bucket/m", "must be a container path on a mounted claim, such as /mnt/"),
        ("span=last", "'last' is not a span; write a number such as 7"),
    ],
)
def test_wrong_parameter_is_a_usage_error_and_starts_nothing(site, given, told):
    found = site.submit("--no-wait", "--param", given)
    assert found.code == 2
    assert found.error.startswith(f"--param {given}: ")
    assert told in found.error
    assert not site.stub.runs
    assert not site.stub.pipelines


def test_states_of_steps_are_told_until_the_run_succeeded(site):
    site.stub.script = [
        {"DataGate": "RUNNING"},
        {"DataGate": "CACHED", "DataGate-verdict": "RUNNING"},
        {"DataGate": "CACHED", "DataGate-verdict": "SUCCEEDED", "Trainer": "RUNNING"},
        {**DONE, "DataGate": "CACHED"},
    ]
    told = site.submit()
    assert told.code == 0, told.error
    assert told.out.splitlines()[1:-1] == [
        "DataGate: running",
        "DataGate: cached",
        "DataGate-verdict: running",
        "DataGate-verdict: done in 1 min 15 s",
        "Trainer: running",
        "Trainer: done in 1 min 15 s",
    ]
    assert told.out.splitlines()[-1].startswith("pushed: http://127.0.0.1")


def test_terminal_shows_a_list_that_is_redrawn(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    site.stub.script = [{"DataGate": "RUNNING"}, DONE]
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    server = connect(Access(site.host))
    run = watch.follow(server, run_id, ["DataGate", "DataGate-verdict", "Trainer"], console, 0.05)
    assert run.state == "SUCCEEDED"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    shown = [line.split() for line in text.splitlines()]
    assert ["»", "DataGate", "running"] in shown
    assert ["·", "Trainer", "waiting"] in shown
    assert ["✓", "Trainer", "done", "1", "min", "15", "s"] in shown


def test_refusal_of_a_gate_is_exit_code_3_with_its_reason(site):
    site.stub.script = [{"DataGate": "SUCCEEDED", "DataGate-verdict": "FAILED", "run": "FAILED"}]
    site.stub.logs = {"DataGate-verdict": "starting\nerror: train: 7 rows, data.gate.min_rows is 10\n"}
    told = site.submit()
    assert told.code == 3
    assert "refused by DataGate: train: 7 rows, data.gate.min_rows is 10" in told.out.splitlines()


def test_refusal_is_exit_code_3_when_no_log_is_left(site):
    site.stub.script = [{"DataGate": "SUCCEEDED", "DataGate-verdict": "FAILED", "run": "FAILED"}]
    told = site.submit()
    assert told.code == 3
    assert "refused by DataGate: its log cannot be read" in told.out


def test_failed_step_is_exit_code_1_with_its_last_error(site):
    site.stub.script = [{"DataGate": "SUCCEEDED", "Trainer": "FAILED", "run": "FAILED"}]
    site.stub.logs = {"Trainer": "error: split 'train' has 0 rows\n"}
    told = site.submit()
    assert told.code == 1
    assert "Trainer failed: split 'train' has 0 rows" in told.out


def test_broken_step_counts_more_than_a_refusal(site):
    site.stub.script = [{"DataGate-verdict": "FAILED", "Trainer": "FAILED", "run": "FAILED"}]
    site.stub.logs = {"DataGate-verdict": "error: 7 rows\n", "Trainer": "error: out of memory\n"}
    told = site.submit()
    assert told.code == 1
    assert {"refused by DataGate: 7 rows", "Trainer failed: out of memory"} <= set(told.out.splitlines())


def test_token_that_ends_while_waiting_is_told_and_the_run_goes_on(site):
    site.stub.script = [{"DataGate": "RUNNING"}]
    site.stub.trouble = lambda method, path: 401 if "/runs/" in path else None
    told = site.submit()
    assert told.code == 1
    assert "(401)" in told.error
    (run_id,) = site.stub.runs
    assert f"run {run_id} continues. Follow it: runs {run_id} --wait" in told.out


def test_stopped_run_is_exit_code_1(site):
    site.stub.script = [{"DataGate": "RUNNING", "run": "CANCELED"}]
    assert site.submit().code == 1


def test_interrupt_leaves_the_run_alone_and_says_how_to_go_on(site, monkeypatch):
    site.stub.script = [{"DataGate": "RUNNING"}]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    told = site.submit()
    (run,) = site.stub.runs.values()
    assert told.code == 130
    assert f"run {run['run_id']} continues. Follow it: runs {run['run_id']} --wait" in told.out
    assert run["state"] == "RUNNING"


def test_server_that_is_away_for_a_moment_is_asked_again(site):
    looks = iter([503, 500, None])
    site.stub.trouble = lambda method, path: next(looks, None) if "/runs/" in path else None
    assert site.submit().code == 0


def test_run_that_waits_can_be_followed_later(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    told = site.run("runs", run_id, "--wait", "--poll-seconds", "0.05")
    assert (told.code, told.out.splitlines()[-1].split(":")[0]) == (0, "pushed")


# --- access ---------------------------------------------------------------------------------------


def test_no_host_is_a_usage_error(site):
    told = site.run("runs", host="")
    assert told.code == 2
    assert told.error.startswith("no Kubeflow Pipelines host: give --host https://")


def test_host_of_kfps_own_variable_is_taken(site, monkeypatch):
    monkeypatch.delenv("KFP_HOST", raising=False)
    told = CliRunner().invoke(app, ["runs"], env={"KF_PIPELINES_ENDPOINT": site.host})
    assert told.exit_code == 0, told.exception


def test_host_that_does_not_answer(site):
    told = site.run("runs", host="http://127.0.0.1:9")
    assert told.code == 1
    assert told.error.startswith("http://127.0.0.1:9: no connection (")
    assert told.error.endswith("; check --host, and that the server is running")


def test_host_that_is_not_kubeflow(site):
    told = site.run("runs", host=site.host + "/elsewhere")
    assert (told.code, told.error) == (1, f"{site.host}/elsewhere: not found (404): Not Found")


def test_refused_token(site):
    site.stub.token = "right"
    told = site.run("runs", KFP_TOKEN="wrong")
    assert (told.code, told.error) == (
        1,
        f"{site.host}: the server rejects the token (401); get a new one and put it into KFP_TOKEN or --token-file",
    )
    assert "wrong" not in told.error.replace("wrongly", "")
    assert "the server requires a token (401)" in site.run("runs").error


def test_expired_token_is_told_with_its_end(site):
    site.stub.token = "right"
    ended = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    claims = base64.urlsafe_b64encode(json.dumps({"exp": ended.timestamp()}).encode()).decode().rstrip("=")
    told = site.run("runs", KFP_TOKEN=f"e30.{claims}.sig")
    assert "the token expired at 2026-01-02 03:04 UTC (401)" in told.error


def test_token_file_is_read_before_each_request(site, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    site.stub.token = "first"

    def renew(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/runs"):  # from here on only the new one is good
            token.write_text("second")
            site.stub.token = "second"

    # Behind the request that is being made: its token is sent already.
    site.stub.answered = renew
    site.stub.script = [{"DataGate": "RUNNING"}, DONE]
    assert site.submit("--token-file", str(token)).code == 0


@pytest.mark.parametrize(
    ("content", "told"), [("", "the file is empty"), ("Bearer x", "a token contains no white space")]
)
def test_token_file_without_a_token(site, tmp_path, content, told):
    (tmp_path / "token").write_text(content)
    found = site.run("runs", "--token-file", str(tmp_path / "token"))
    assert found.code == 2
    assert told in found.error


def test_unknown_namespace(site):
    site.stub.multi_user, site.stub.namespaces = True, {"ann"}
    told = site.submit("--no-wait", "--namespace", "bob")
    assert told.code == 1
    assert "no permission in namespace 'bob', or no such namespace (403): " in told.error
    assert "check --namespace and the token's owner" in told.error
    assert not site.stub.runs


def test_server_with_many_users_wants_a_namespace(site):
    site.stub.multi_user, site.stub.namespaces = True, {"ann"}
    told = site.run("runs")
    assert told.code == 2
    assert "is a multi-user server: give --namespace" in told.error
    assert site.submit(KFP_NAMESPACE="ann").code == 0
    assert {r["namespace"] for r in site.stub.runs.values()} == {"ann"}


def test_missing_image_is_told_before_anything_is_asked(site):
    told = site.run("submit", "configs/trec.yaml")
    assert (told.code, told.error.partition(":")[0]) == (2, "--image is missing")
    assert not site.stub.requests


def test_package_that_the_server_refuses(site):
    site.package.write_text(PACKAGE.replace("2.1.0", "2.0.0"))
    told = site.submit("--no-wait")
    assert told.code == 1
    assert "the server rejects the request (400): " in told.error
    assert "schema version '2.0.0', only 2.1.0 is supported" in told.error


def test_file_that_is_no_package(site):
    site.package.write_text("name: trec\n")
    told = site.submit("--no-wait")
    assert told.code == 2
    assert "not a package written by `runner_kubeflow.py compile`" in told.error


# --- runs, stop, logs -----------------------------------------------------------------------------


def test_runs_are_listed_newest_first_over_pages(site):
    for name in ("a", "b", "c"):
        site.submit("--no-wait", "--run-name", name)
    site.stub.page_limit = 1
    told = site.run("runs", "--json", "--limit", "2")
    assert [(run["name"], run["state"]) for run in json.loads(told.out)] == [
        ("c", "PENDING"),
        ("b", "PENDING"),
    ]
    assert [line.split()[-1] for line in site.run("runs", "--experiment", "tiny").out.splitlines()] == [
        "c",
        "b",
        "a",
    ]


def test_steps_of_one_run(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    told = json.loads(site.run("runs", run_id, "--json").out)
    assert told["state"] == "SUCCEEDED"
    assert told["steps"]["Trainer"] == {"state": "done", "seconds": 75.0}


def test_run_is_stopped(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    site.stub.script = []
    assert site.run("stop", run_id).code == 0
    assert site.stub.runs[run_id]["state"] == "CANCELING"
    site.run("runs", run_id)
    told = site.run("stop", run_id)
    assert (told.code, told.error) == (2, f"run {run_id} has ended already: CANCELED")


def test_unknown_run(site):
    told = site.run("stop", "4f2")
    assert told.code == 2
    assert "not found (404)" in told.error


@pytest.mark.parametrize("is_dashboard", [False, True])
def test_logs_of_a_step_and_of_all(site, is_dashboard):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    site.stub.is_dashboard = is_dashboard
    site.stub.logs = {"DataGate": "5 rules", "DataGate-verdict": "", "Trainer": "loss 0.5"}
    assert site.run("logs", run_id, "Trainer").out == "== Trainer (done)\nloss 0.5\n"
    told = site.run("logs", run_id).out
    assert "5 rules" in told
    assert "loss 0.5" in told


def test_log_of_a_pod_that_is_gone(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    told = site.run("logs", run_id, "Trainer")
    assert told.code == 1
    assert "the pod has been deleted, and with it its log" in told.error


def test_log_of_an_unknown_step(site):
    site.submit("--no-wait")
    (run_id,) = site.stub.runs
    told = site.run("logs", run_id, "trainer")
    assert (told.code, told.error) == (2, f"run {run_id} has no step 'trainer'; did you mean 'Trainer'?")


# --- schedule -------------------------------------------------------------------------------------


def test_schedule_shows_the_next_times_and_makes_a_recurring_run(site):
    told = site.schedule(
        "--cron", "30 6 * * *", "--timezone", "Asia/Kolkata", "--max-concurrency", "2", "--no-catchup"
    )
    assert told.code == 0, told.error
    lines = told.out.splitlines()
    assert lines[0] == "cron in the scheduler's time zone: '0 0 1 * * *'; the next runs:"
    assert len(lines) == 8
    assert all("06:30:00 IST" in line and "01:00 UTC" in line for line in lines[1:6])
    assert lines[6] == "parameters: run_date=Asia/Kolkata"
    (made,) = site.stub.recurring.values()
    assert site.recurring() == [("0 0 1 * * *", "ENABLED")]
    assert (made["display_name"], made["max_concurrency"], made["no_catchup"]) == ("tiny", "2", True)
    assert made["runtime_config"]["parameters"] == {"run_date": "Asia/Kolkata"}


def test_schedule_in_a_zone_with_summer_time_is_warned_of(site):
    told = site.schedule("--cron", "30 6 * * *", "--timezone", "Europe/Berlin")
    assert "warning: from 20" in told.out
    assert "runs start at another time of day" in told.out
    same = site.schedule(
        "--cron", "30 6 * * *", "--timezone", "Europe/Berlin", "--server-timezone", "Europe/Berlin"
    )
    assert "warning" not in same.out


def test_schedule_of_the_same_name_is_replaced_in_place(site):
    site.schedule("--cron", "0 6 * * *")
    site.schedule("--cron", "0 7 * * *")
    site.schedule("--cron", "0 8 * * *", "--name", "other")
    assert site.recurring() == [("0 0 7 * * *", "ENABLED"), ("0 0 8 * * *", "ENABLED")]
    changes = [r.rpartition("/")[2].rpartition(":")[2] for r in site.stub.requests if "recurringruns/" in r]
    enabled_first, disabled_old, enabled_new = changes[:3]
    assert (enabled_first, disabled_old, enabled_new) == ("enable", "disable", "enable")


@pytest.mark.parametrize("failing", [":disable", ":enable"])
def test_replacement_that_fails_halfway_is_undone(site, failing):
    site.schedule("--cron", "0 6 * * *")
    failures = iter([500])
    site.stub.trouble = lambda method, path: next(failures, None) if path.endswith(failing) else None
    told = site.schedule("--cron", "0 7 * * *")
    assert told.code == 1
    assert site.recurring() == [("0 0 6 * * *", "ENABLED")]


def test_old_form_with_running_runs_is_disabled_and_kept_until_they_ended(site):
    site.schedule("--cron", "0 6 * * *")
    site.submit("--no-wait")
    (old,), (run,) = site.stub.recurring, site.stub.runs.values()
    run |= {"recurring_run_id": old, "state": "RUNNING"}
    told = site.schedule("--cron", "0 7 * * *")
    assert (
        f"the replaced schedule {old} is disabled, but not deleted because it has unfinished runs" in told.out
    )
    assert site.recurring() == [("0 0 6 * * *", "DISABLED"), ("0 0 7 * * *", "ENABLED")]
    run["state"] = "SUCCEEDED"
    site.schedule("--cron", "0 9 * * *")
    assert site.recurring() == [("0 0 9 * * *", "ENABLED")]


def test_schedule_is_switched_off_and_on(site):
    site.schedule("--cron", "0 6 * * *")
    assert site.schedule("--disable").code == 0
    assert site.recurring() == [("0 0 6 * * *", "DISABLED")]
    assert site.run("schedule", "--name", "tiny", "--enable").code == 0
    assert site.recurring() == [("0 0 6 * * *", "ENABLED")]
    told = site.run("schedule", "--name", "tiny", "--experiment", "tiny")
    assert told.error.startswith("--cron is missing")


def test_schedule_can_be_made_disabled(site):
    site.schedule("--cron", "0 6 * * *", "--disable")
    assert site.recurring() == [("0 0 6 * * *", "DISABLED")]


def test_schedules_are_listed_over_pages(site):
    for name in ("a", "b", "c"):
        site.schedule("--cron", "0 6 * * *", "--name", name)
    site.stub.page_limit = 2
    told = json.loads(site.run("schedules", "--json").out)
    assert [(s["name"], s["status"], s["cron"]) for s in told] == [
        (n, "ENABLED", "0 0 6 * * *") for n in "abc"
    ]
    assert [
        line.split()[-1] for line in site.run("schedules", "--experiment", "tiny").out.splitlines()
    ] == list("abc")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cron", "0 0 24 * * *"], "hour '24': 24 is above 23"),
        (
            ["--cron", "0 6 * * *", "--timezone", "Mars/Olympus"],
            "--timezone: unknown time zone 'Mars/Olympus'",
        ),
        (["--cron", "0 6 * * *", "--server-timezone", "x"], "--server-timezone: unknown time zone 'x'"),
        (["--cron", "0 6 * * *", "--start", "tomorrow"], "--start 'tomorrow': must be a date or a time"),
        (["--cron", "0 6 * * *", "--end", "2020-01-01"], "it never runs between --start and --end"),
        (["--cron", "0 6 * * *", "--param", "run_date=[[ScheduledTime]]"], "neither a day such as"),
        (
            ["--cron", "0 6 1 * *", "--timezone", "Asia/Tokyo", "--param", "epochs=1"],
            "no single cron matches",
        ),
    ],
)
def test_bad_schedule_is_a_usage_error_and_makes_nothing(site, arguments, told):
    found = site.schedule(*arguments)
    assert found.code == 2
    assert told in found.error
    assert not site.stub.recurring
    assert not site.stub.pipelines


def test_macro_of_the_first_api_is_refused(site):
    site.package.write_text(
        PACKAGE.replace("      span:", "      folder: {parameterType: STRING, defaultValue: ''}\n      span:")
    )
    told = site.schedule("--cron", "0 6 * * *", "--param", "folder=[[ScheduledTime.2006]]")
    assert told.code == 2
    assert "Kubeflow does not replace macros in the recurring runs of a v2 pipeline" in told.error


def test_schedule_without_a_terminal_wants_a_yes(site):
    told = site.run("schedule", "--package", str(site.package), "--cron", "0 6 * * *")
    assert told.code == 2
    assert told.error.endswith("confirm with --yes")
    assert "the next runs:" in told.out
    assert not site.stub.recurring
