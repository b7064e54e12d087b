"""The compiled TREC pipeline in containers of the real image, through kfp's own DockerRunner.

`make test-containers` builds the image, starts podman's service and runs this; `make test` skips it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from components.project import PROJECT_DIR

IMAGE = os.environ.get("PIPELINE_IMAGE", "")
pytestmark = pytest.mark.skipif(not IMAGE, reason="runs containers: make test-containers")

# The image's checkpoint and the real rows, a short training, and bounds that it reaches.
OVERRIDES = (
    "kubeflow={data_path: /mnt/models/data, serving_dir: /mnt/models/serving, "
    "volumes: [{claim: models, mount_path: /mnt/models}]}",
    "train.epochs=null",
    "train.max_steps=40",
    "evaluate.thresholds={accuracy: {min: 0.3}}",
    "canary.max_p99_ms=60000",
)
MINUTES = 60


@pytest.fixture(scope="module")
def docker_client() -> Iterator[Any]:
    docker = pytest.importorskip("docker")
    client = docker.from_env(timeout=10 * MINUTES)
    yield client
    client.close()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the claim `models` would be: the rows, and a folder to push to that the image's user may write."""
    folder = tmp_path_factory.mktemp("volume")
    folder.chmod(0o755)  # pytest's are for their owner only
    shutil.copytree(PROJECT_DIR / "datasets/trec", folder / "data")
    (folder / "serving").mkdir()
    (folder / "serving").chmod(0o777)
    return folder


def compile_package(path: Path, *overrides: str) -> None:
    from pipeline.kubeflow.cli import app

    options = [part for override in (*OVERRIDES, *overrides) for part in ("--set", override)]
    arguments = [
        "compile",
        str(PROJECT_DIR / "configs/trec.yaml"),
        "--image",
        IMAGE,
        "-o",
        str(path),
        *options,
    ]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # Kubeflow's driver tells the times of a run; kfp's local runner breaks on these two placeholders.
    text, now = path.read_text(encoding="utf-8"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for placeholder in ("{{$.pipeline_job_schedule_time_utc}}", "{{$.pipeline_job_create_time_utc}}"):
        assert placeholder in text
        text = text.replace(placeholder, now)
    path.write_text(text, encoding="utf-8")


def run_package(package: Path, volume: Path, pipeline_root: Path) -> None:
    """Runs all steps; raises RuntimeError, which names the step that failed."""
    from docker.types import Mount
    from kfp import components, local

    pipeline_root.mkdir()
    pipeline_root.chmod(0o777)
    mount = Mount("/mnt/models", str(volume), type="bind")
    local.init(
        local.DockerRunner(network_mode="host", mounts=[mount]),
        pipeline_root=str(pipeline_root),
        workspace_root=str(pipeline_root.with_name(pipeline_root.name + "-workspace")),
    )
    components.load_component_from_file(str(package))()


def run_in_image(client: Any, *command: str) -> str:
    return client.containers.run(IMAGE, list(command), network_mode="host", remove=True).decode().strip()


def test_image_runs_as_a_user_without_rights_and_has_no_build_tools(docker_client):
    assert run_in_image(docker_client, "id", "-u") == "10001"
    script = "for tool in gcc g++ cc c++ make uv; do command -v $tool; done; test ! -e /app/tests"
    assert run_in_image(docker_client, "sh", "-c", script) == ""


def test_image_holds_project_schemas_configs_recipes_and_bytecode(docker_client):
    run_in_image(docker_client, "ls", "schemas/trec.pbtxt", "configs/trec.yaml", "data/trec/recipe.yaml")
    assert "config.json" in run_in_image(docker_client, "find", "checkpoints", "-name", "config.json")
    script = "ls components/__pycache__ .venv/lib/python3.11/site-packages/tensorflow/__pycache__"
    assert "__init__.cpython-311.pyc" in run_in_image(docker_client, "sh", "-c", script)


def test_whole_pipeline_runs_from_import_to_push(volume, tmp_path):
    compile_package(tmp_path / "pipeline.yaml")
    run_package(tmp_path / "pipeline.yaml", volume, tmp_path / "root")
    assert (volume / "serving/trec/1/saved_model.pb").is_file()
    spec = next(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))
    steps = spec["root"]["dag"]["tasks"]
    returned = list((tmp_path / "root").glob("*/*/executor_output.json"))
    assert len(returned) == len([name for name in steps if not name.endswith(("-probe", "-verdict"))])


def test_refusing_gate_stops_the_run_and_pushes_nothing(volume, tmp_path):
    compile_package(tmp_path / "pipeline.yaml", "data.gate.min_rows=100000")
    with pytest.raises(RuntimeError, match=r"Inner task failed: .*DataGate"):
        run_package(tmp_path / "pipeline.yaml", volume, tmp_path / "root")
    assert sorted(p.name for p in (volume / "serving/trec").iterdir() if p.name.isdigit()) == ["1"]


def test_manifest_s_own_server_serves_what_was_pushed(docker_client, volume):
    from docker.types import Mount

    manifest = yaml.safe_load((PROJECT_DIR / "deploy/kubernetes/serving-own.yaml").read_text())
    container = manifest["spec"]["predictor"]["containers"][0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = docker_client.containers.run(
        IMAGE,
        [*container["command"], *container["args"], "--port", str(port), "--grpc-port", "0"],
        detach=True,
        network_mode="host",
        mounts=[Mount("/mnt/models", str(volume), type="bind", read_only=True)],
    )
    try:
        answer = ask(f"http://127.0.0.1:{port}", "How far is the moon?")
        assert len(answer["probabilities"]) == 6
        running.stop(timeout=60)
        assert running.wait()["StatusCode"] == 0
    finally:
        print(running.logs().decode()[-4000:])
        running.remove(force=True)


def ask(server: str, text: str) -> dict[str, Any]:
    """The first prediction, once the server is ready."""
    deadline = time.monotonic() + 5 * MINUTES
    while True:
        try:
            urllib.request.urlopen(f"{server}/v2/health/ready", timeout=10).close()
            break
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(1)
    body = json.dumps({"instances": [text]}).encode()
    with urllib.request.urlopen(f"{server}/v1/models/trec:predict", body, timeout=60) as response:
        return json.load(response)["predictions"][0]
