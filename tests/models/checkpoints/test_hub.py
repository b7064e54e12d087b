"""Checkpoints from the Hugging Face Hub: the real client with a local stub of the hub's API."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from models.checkpoints.checks import check_checkpoint
from tests.support.tiny_model import write_checkpoint

COMMIT = "1234567890abcdef1234567890abcdef12345678"
UNWANTED = {"README.md": b"a model card", "model.onnx": b"onnx", "pytorch_model.bin": b"pickle"}

FETCH = """
import sys
from pathlib import Path
from models.checkpoints.source import CheckpointError, checkpoint_folder
from models.checkpoints.settings import CheckpointSettings

settings = CheckpointSettings(hub=sys.argv[1], revision=sys.argv[2])
try:
    print(checkpoint_folder(settings, Path("recipes"), Path(sys.argv[3])))
except CheckpointError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = write_checkpoint(tmp_path_factory.mktemp("hub") / "tiny")
    return {path.name: path.read_bytes() for path in folder.iterdir()} | UNWANTED


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[ThreadingHTTPServer]:
    """Has one repository, `team/tiny`, with one commit; `asked` lists the downloaded files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(with_body=True)

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def answer(self, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            if path == f"/api/models/team/tiny/revision/{COMMIT}":
                listing = [{"rfilename": name} for name in sorted(files)]
                body = json.dumps({"id": "team/tiny", "sha": COMMIT, "siblings": listing}).encode()
                self.send(200, body, with_body, {"Content-Type": "application/json"})
            elif found := re.fullmatch(f"/team/tiny/resolve/{COMMIT}/(.+)", path):
                body = files[found[1]]
                if with_body:
                    asked.append(found[1])
                etag = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
                self.send(200, body, with_body, etag)
            else:
                code = "RevisionNotFound" if path.startswith("/api/models/team/tiny/") else "RepoNotFound"
                self.send(404, b"{}", with_body, {"X-Error-Code": code})

        def send(self, status: int, body: bytes, with_body: bool, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the test's output."""

    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(port: int, cache: Path, repo: str = "team/tiny", revision: str = COMMIT) -> tuple[str, str, int]:
    """(folder, error message, exit code) of a process that knows the stub as its hub; one text is empty."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(cache / "home")}
    command = [sys.executable, "-c", FETCH, repo, revision, str(cache)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=Path.cwd()
    )
    error = done.stderr.strip().splitlines()[-1] if done.returncode else ""
    return done.stdout.strip(), error, done.returncode


def test_pinned_revision_is_fetched_once_and_then_needs_no_network(
    hub: ThreadingHTTPServer, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder, error, _ = fetch(hub.server_port, tmp_path)
    assert error == ""
    check_checkpoint(Path(folder), allow_pickle=False, max_length=64)
    assert sorted(path.name for path in Path(folder).iterdir()) == sorted(set(files) - set(UNWANTED))
    assert sorted(hub.asked) == sorted(set(files) - set(UNWANTED))
    hub.shutdown()
    hub.server_close()
    assert fetch(hub.server_port, tmp_path) == (folder, "", 0)


def test_weights_of_tensorflow_are_fetched_where_there_are_no_others(
    hub: ThreadingHTTPServer, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(files, "tf_model.h5", b"weights")
    fetch(hub.server_port, tmp_path / "both")
    assert "tf_model.h5" not in hub.asked
    monkeypatch.delitem(files, "model.safetensors")
    folder, error, _ = fetch(hub.server_port, tmp_path / "alone")
    assert error == ""
    assert (Path(folder) / "tf_model.h5").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("repo", "revision"), [("team/unknown", COMMIT), ("team/tiny", "f" * 40)], ids=["repository", "revision"]
)
def test_what_the_hub_does_not_have_is_one_line_with_id_and_revision(
    hub: ThreadingHTTPServer, tmp_path: Path, repo: str, revision: str
) -> None:
    folder, error, exit_code = fetch(hub.server_port, tmp_path, repo, revision)
    assert (folder, exit_code) == ("", 2)
    assert error.startswith(f"model.checkpoint.hub: {repo} at revision {revision} could not be downloaded")
    assert "check id, revision and network" in error


def test_unreachable_hub_is_one_line(tmp_path: Path) -> None:
    folder, error, exit_code = fetch(9, tmp_path)  # the discard port, on which nothing listens
    assert (folder, exit_code) == ("", 1)
    assert error.startswith(f"model.checkpoint.hub: team/tiny at revision {COMMIT} could not be downloaded")
