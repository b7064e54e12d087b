"""`check` asks a Kubernetes API for what the config names; here a server with four objects."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from models.errors import PipelineError, UsageError
from pipeline.kubeflow.cli import app

CONFIG = """\
name: tiny
data: {path: rows, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
kubeflow:
  data_path: /mnt/data
  serving_dir: /mnt/serving
  volumes: [{claim: models, mount_path: /mnt}]
  secrets: [{name: bucket-key, env: {token: BUCKET_TOKEN}}]
  image_pull_secrets: [registry]
"""
TOKEN = base64.b64encode(b"t").decode()
OBJECTS = {
    "persistentvolumeclaims/models": {"kind": "PersistentVolumeClaim", "status": {"phase": "Bound"}},
    "secrets/bucket-key": {"kind": "Secret", "type": "Opaque", "data": {"token": TOKEN}},
    "secrets/registry": {"kind": "Secret", "type": "kubernetes.io/dockerconfigjson"},
    "secrets/opaque": {"kind": "Secret", "type": "Opaque", "data": {"password": TOKEN}},
}


class Api(BaseHTTPRequestHandler):
    """`GET /api/v1/namespaces/team/<kind>/<name>`, for who has the token `right`."""

    def do_GET(self) -> None:
        _, _, path = self.path.partition("/api/v1/namespaces/team/")
        if self.headers["Authorization"] != "Bearer right":
            self._answer(403, {"kind": "Status", "reason": "Forbidden"})
        elif path in OBJECTS:
            self._answer(200, {"apiVersion": "v1", "metadata": {"name": path}, **OBJECTS[path]})
        else:
            self._answer(404, {"kind": "Status", "reason": "NotFound"})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def write_kubeconfig(folder: Path, server: str, token: str) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(content))


@pytest.fixture
def check(tmp_path: Path) -> Iterator[Callable[..., Result]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    (tmp_path / "tiny.yaml").write_text(CONFIG)

    def _check(*overrides: str, token: str = "right", namespace: str = "team") -> Result:
        write_kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", token)
        options = [part for override in overrides for part in ("--set", override)]
        arguments = ["check", str(tmp_path / "tiny.yaml"), "--namespace", namespace, *options]
        return CliRunner().invoke(app, [*arguments, "--kubeconfig", str(tmp_path / "kubeconfig")])

    yield _check
    server.shutdown()
    server.server_close()


def refusal(result: Result) -> str:
    assert isinstance(result.exception, UsageError), result.output
    assert len(str(result.exception).splitlines()) == 1
    return str(result.exception)


def test_all_there(check):
    result = check()
    assert result.exit_code == 0, result.output
    assert result.output == "namespace team: all 3 claims and secrets exist\n"


def test_unknown_secret_is_named_with_its_key_and_a_remedy(check):
    assert refusal(check("kubeflow.secrets=[{name: nobody, mount_path: /keys}]")) == (
        "kubeflow.secrets[0].name: no Secret 'nobody' in namespace 'team'; create it with kubectl create secret "
        "generic nobody, or set optional: true"
    )


def test_optional_secret_may_be_missing(check):
    assert check("kubeflow.secrets=[{name: nobody, mount_path: /keys, optional: true}]").exit_code == 0


def test_secret_without_the_key(check):
    error = refusal(check("kubeflow.secrets=[{name: opaque, env: {token: BUCKET_TOKEN}}]"))
    assert error == "kubeflow.secrets[0].env: Secret 'opaque' has no key 'token'; it has password"


def test_image_pull_secret_of_another_type(check):
    error = refusal(check("kubeflow.image_pull_secrets=[opaque]"))
    assert (
        "kubeflow.image_pull_secrets[0]: Secret 'opaque' is of type 'Opaque', but must be kubernetes.io/"
        in error
    )


def test_everything_that_is_missing_is_told_at_once(check):
    error = refusal(check(namespace="elsewhere"))
    assert "no PersistentVolumeClaim 'models' in namespace 'elsewhere'" in error
    assert "no Secret 'bucket-key'" in error
    assert "no Secret 'registry'" in error


def test_expired_token(check):
    result = check(token="wrong")
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception) == (
        "kubeflow.volumes[0].claim: the cluster answers 403 Forbidden to a request for 'models' in namespace "
        "'team'; log in again, or ask for permission to read it"
    )


def test_cluster_that_does_not_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    write_kubeconfig(tmp_path, f"http://127.0.0.1:{port}", "right")
    arguments = ["check", str(tmp_path / "tiny.yaml"), "--kubeconfig", str(tmp_path / "kubeconfig")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception) == (
        f"the cluster at http://127.0.0.1:{port} does not answer: check --kubeconfig and the network"
    )


def test_no_access_to_a_cluster(tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    arguments = ["check", str(tmp_path / "tiny.yaml"), "--kubeconfig", str(tmp_path / "nothing")]
    error = refusal(CliRunner().invoke(app, arguments))
    assert error.startswith(f"--kubeconfig: {tmp_path}/nothing gives no access to a cluster: ")
