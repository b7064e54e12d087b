"""A Hugging Face Hub on localhost, with the part of its HTTP API that pushing a model uses.

Repositories are made, files are asked for (`preupload`), large ones uploaded as LFS does, and a commit takes
all of them at once. Every call of the API wants the token.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_the_secret_token"


@dataclass
class Hub:
    """What was pushed: repository -> its files, and the message of each commit."""

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    private: dict[str, bool] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)  # by sha256
    down: bool = False


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test that fails shows the client's words."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.down:
            self._answer(503, {"error": "down for maintenance"})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            self._answer(200, {"files": [self._wanted(f) for f in json.loads(body)["files"]]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._answer(
                200, {"transfer": "basic", "objects": list(map(self._lfs, json.loads(body)["objects"]))}
            )
        elif self.path == "/verify":
            asked = json.loads(body)
            size = len(self.hub.uploads.get(asked["oid"], b""))
            self._answer(200 if size == asked["size"] else 404, {})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._answer(404, {"error": f"no {self.path}"})

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/") and "/revision/" in self.path:
            self._answer(200, {"id": self._repository(), "sha": _sha(len(self.hub.commits)), "siblings": []})
        else:
            self._answer(404, {"error": f"no {self.path}"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = self.path.removeprefix("/lfs/")
        matches = hashlib.sha256(content).hexdigest() == wanted
        if matches:
            self.hub.uploads[wanted] = content
        self._answer(200 if matches else 400, {})

    def _create(self, asked: dict[str, Any]) -> None:
        repository = f"{asked['organization']}/{asked['name']}"
        exists = repository in self.hub.files
        self.hub.files.setdefault(repository, {})
        self.hub.private.setdefault(repository, asked["private"])
        self._answer(409 if exists else 200, {"url": f"{self.hub.url}/{repository}"})

    def _wanted(self, file: dict[str, Any]) -> dict[str, Any]:
        path = file["path"]
        large = path.endswith(".safetensors")
        content = self.hub.files[self._repository()].get(path)
        known = {} if content is None else {"oid": _oid(content, large)}
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **known}

    def _lfs(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.hub.uploads:
            return asked
        actions = {
            "upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}"},
            "verify": {"href": f"{self.hub.url}/verify"},
        }
        return {**asked, "actions": actions}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        repository = self._repository()
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[repository][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[repository][value["path"]] = self.hub.uploads[value["oid"]]
        sha = _sha(len(self.hub.commits))
        address = f"{self.hub.url}/{repository}/commit/{sha}"
        self._answer(200, {"commitUrl": address, "commitOid": sha, "hookOutput": ""})

    def _repository(self) -> str:
        return "/".join(self.path.removeprefix("/api/models/").split("/")[:2])

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _sha(number: int) -> str:
    return f"{number:040x}"


def _oid(content: bytes, large: bool) -> str:
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
