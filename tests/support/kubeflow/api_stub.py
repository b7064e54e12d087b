"""A Kubeflow Pipelines API server (v2beta1) on localhost, with the calls that our commands use.

Written from backend/api/v2beta1/*.proto and backend/src/apiserver of kubeflow/pipelines 2.17.0. Strict where the
real one is: unknown fields and enum values, ids that must exist, parameters checked against the package,
packages checked by the server's rules, pages with tokens, errors as gRPC-gateway and the upload handler write
them. No workflow is run: a run plays the `script` of node states that the test gives it, a step on at each look.
"""

from __future__ import annotations

import base64
import email.message
import email.parser
import email.policy
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.kubeflow.api_objects import Json, ObjectStore, Refused
from tests.support.kubeflow.run_nodes import node_number, task_details

# What each list can be filtered and sorted by.
KEYS = {
    "experiments": {"experiment_id", "display_name", "created_at", "namespace"},
    "pipelines": {"pipeline_id", "display_name", "name", "created_at", "namespace"},
    "runs": {"run_id", "display_name", "created_at", "state", "recurring_run_id", "experiment_id"},
    "recurringRuns": {"recurring_run_id", "display_name", "created_at", "updated_at"},
    "pipeline_versions": {"pipeline_version_id", "display_name", "name", "created_at"},
}


@dataclass
class ApiStub(ObjectStore):
    """One server.

    Attributes:
        token: what clients must send; empty lets everyone in.
        page_limit: most objects of a page.
        script: states of a run's nodes, one mapping of step -> state a look; the last one ends the run.
        trouble: asked at every request; a status that it returns is the answer.
        answered: told of every request that was granted.
        logs: step -> what its pod wrote; missing: the pod is gone.
        is_dashboard: the address is the dashboard's: no logs of the API server, but its own.
    """

    token: str = ""
    page_limit: int = 200
    script: list[dict[str, str]] = field(default_factory=list)
    trouble: Callable[[str, str], int | None] = lambda method, path: None
    answered: Callable[[str, str], None] = lambda method, path: None
    logs: dict[str, str] = field(default_factory=dict)
    is_dashboard: bool = False
    requests: list[str] = field(default_factory=list)
    _looks: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> tuple[str, Callable[[], None]]:
        """Starts serving; returns the URL and what stops it."""
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

            def do_GET(self) -> None:
                stub._answer(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                return None

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return f"http://127.0.0.1:{server.server_port}", stop

    # --- HTTP -----------------------------------------------------------------------------------

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        try:
            with self._lock:
                self.requests.append(f"{handler.command} {parts.path}")
                status = self.trouble(handler.command, parts.path)
                if status is not None:
                    raise Refused(status, 14, "trouble that the test asked for")
                self._authenticate(handler.headers)
                found = self._route(handler.command, unquote(parts.path), query, body, handler.headers)
                self.answered(handler.command, parts.path)
            answer, content = 200, found
        except Refused as refused:
            answer, content = refused.status, refused.body
        text = content if isinstance(content, str) else json.dumps(content)
        handler.send_response(answer)
        handler.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        payload = text.encode()
        handler.send_header("Content-Length", str(len(payload)))
        handler.end_headers()
        handler.wfile.write(payload)

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, 16, "Failed to authorize: Request header error: the token is not valid")

    def _route(self, method: str, path: str, query: Json, body: bytes, headers: Mapping[str, str]) -> Any:
        if path == "/k8s/pod/logs" and self.is_dashboard:
            return self._pod_log(query["podname"])
        if found := re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", path):
            return self._api_log(found[1], found[2])
        if not path.startswith("/apis/v2beta1/"):
            raise Refused(404, 5, "Not Found")
        name = path.removeprefix("/apis/v2beta1/")
        if name == "healthz":
            return {"multi_user": self.multi_user, "pipeline_store": "database"}
        if name == "pipelines/upload":
            return self.upload(query, _uploaded(body, headers))
        if name == "pipelines/upload_version":
            return self.upload_version(query, _uploaded(body, headers))
        kind, _, rest = name.partition("/")
        if kind == "pipelines" and rest.endswith("/versions"):
            versions = self.versions_of(rest.removesuffix("/versions"))
            return self._page("pipeline_versions", versions, query)
        return self._object(method, kind, rest, query, body)

    def _object(self, method: str, kind: str, rest: str, query: Json, body: bytes) -> Any:
        stores = {
            "experiments": self.experiments,
            "pipelines": self.pipelines,
            "runs": self.runs,
            "recurringruns": self.recurring,
        }
        if kind not in stores:
            raise Refused(404, 5, "Not Found")
        if not rest and method == "GET":
            return self._list("recurringRuns" if kind == "recurringruns" else kind, stores[kind], query)
        if not rest and method == "POST":
            makers = {
                "experiments": self.make_experiment,
                "runs": self.make_run,
                "recurringruns": self.make_recurring_run,
            }
            return makers[kind](_parsed(body))
        identifier, _, verb = rest.partition(":")
        if identifier not in stores[kind]:
            raise Refused(
                404, 5, f"Failed to get {kind}: ResourceNotFoundError: {kind} {identifier} not found"
            )
        if method == "DELETE" and kind == "recurringruns":
            del self.recurring[identifier]
            return {}
        if verb == "terminate" and kind == "runs":
            self.runs[identifier]["state"] = "CANCELING"
            return {}
        if verb in ("enable", "disable") and kind == "recurringruns":
            self.recurring[identifier]["status"] = f"{verb.upper()}D"
            return {}
        if method == "GET" and not verb:
            return self._look(identifier) if kind == "runs" else stores[kind][identifier]
        raise Refused(405, 12, "Method Not Allowed")

    # --- lists ----------------------------------------------------------------------------------

    def _list(self, kind: str, store: Mapping[str, Json], query: Json) -> Json:
        unknown = query.keys() - {
            "page_token",
            "page_size",
            "sort_by",
            "namespace",
            "filter",
            "experiment_id",
        }
        if unknown:
            raise Refused(400, 3, f"unknown query parameters {sorted(unknown)}")
        objects = list(store.values())
        if "experiment_id" in query:
            self.check_experiment(query["experiment_id"])
            objects = [o for o in objects if o["experiment_id"] == query["experiment_id"]]
        elif self.multi_user:
            self.check_namespace(query.get("namespace", ""))
            objects = [o for o in objects if o.get("namespace", "") == query.get("namespace", "")]
        return self._page(kind, objects, query)

    def _page(self, kind: str, objects: list[Json], query: Json) -> Json:
        for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
            key, value = predicate["key"], predicate.get("stringValue", predicate.get("string_value"))
            if key not in KEYS[kind] or predicate["operation"] not in (1, "EQUALS"):
                raise Refused(400, 3, f"invalid filter: unrecognized key {key!r} or operation")
            objects = [o for o in objects if str(o.get(key, "")) == value]
        if query.get("sort_by"):
            key, _, order = query["sort_by"].partition(" ")
            if key not in KEYS[kind] or order not in ("", "asc", "desc"):
                raise Refused(400, 3, f"Invalid sorting field: {query['sort_by']!r}")
            objects = sorted(objects, key=lambda o: o[key], reverse=order == "desc")
        start = _offset(query.get("page_token", ""))
        end = start + min(int(query.get("page_size") or 20), self.page_limit)
        more = base64.b64encode(f"at {end}".encode()).decode() if end < len(objects) else ""
        return {kind: objects[start:end], "total_size": len(objects), "next_page_token": more}

    # --- runs -----------------------------------------------------------------------------------

    def _look(self, identifier: str) -> Json:
        run = self.runs[identifier]
        if run["state"] == "CANCELING":
            run["state"] = "CANCELED"
        elif self.script:
            look = min(self._looks.get(identifier, 0), len(self.script) - 1)
            self._looks[identifier] = look + 1
            states = dict(self.script[look])
            run["state"] = states.pop("run", "RUNNING")
            run["run_details"] = {"task_details": task_details(identifier, states)}
        return run

    def _api_log(self, run_id: str, pod: str) -> str:
        if self.is_dashboard:
            raise Refused(404, 5, "Not Found")
        try:
            return self._pod_log(pod)
        except Refused:  # the real one has sent its 200 by then
            return json.dumps(
                {"error_message": f"Failed to read logs for run {run_id}", "error_details": "..."}
            )

    def _pod_log(self, pod: str) -> str:
        step = next((step for step in self.logs if pod.endswith(f"-{node_number(step, 'executor')}")), None)
        if step is None:
            raise Refused(404, 5, "pod not found")
        return self.logs[step]


def _uploaded(body: bytes, headers: Mapping[str, str]) -> str:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    for part in message.iter_parts():
        assert isinstance(part, email.message.EmailMessage)
        if part.get_param("name", header="content-disposition") == "uploadfile":
            if not str(part.get_filename()).endswith((".yaml", ".yml")):
                raise Refused(400, 3, "Failed to read a pipeline spec file")
            return bytes(part.get_payload(decode=True)).decode()
    raise Refused(400, 3, "Failed to read pipeline from file")


def _parsed(body: bytes) -> Json:
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True).decode().removeprefix("at "))
    except ValueError:
        raise Refused(400, 3, "Invalid package token.") from None
