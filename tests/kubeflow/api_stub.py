"""A Kubeflow Pipelines API server (v2beta1), as far as our commands use it, over HTTP on localhost.

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
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.kubeflow.acceptance import refusals

Json = dict[str, Any]
EXPERIMENT = {"display_name", "description", "namespace"}
RUN = {
    "experiment_id",
    "display_name",
    "description",
    "pipeline_spec",
    "pipeline_version_reference",
    "runtime_config",
    "service_account",
}
RECURRING_RUN = RUN | {"max_concurrency", "trigger", "mode", "no_catchup"}
# What each list can be filtered and sorted by.
KEYS = {
    "experiments": {"experiment_id", "display_name", "created_at", "namespace"},
    "pipelines": {"pipeline_id", "display_name", "name", "created_at", "namespace"},
    "runs": {"run_id", "display_name", "created_at", "state", "recurring_run_id", "experiment_id"},
    "recurringRuns": {"recurring_run_id", "display_name", "created_at", "updated_at"},
    "pipeline_versions": {"pipeline_version_id", "display_name", "name", "created_at"},
}
_KINDS = {
    "NUMBER_DOUBLE": (int, float),
    "NUMBER_INTEGER": (int, float),
    "STRING": (str,),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message, "details": []}


@dataclass
class ApiStub:
    """One server's state.

    Attributes:
      token: what clients must send; empty lets everyone in.
      multi_user: whether there are namespaces.
      namespaces: those that the user has rights in.
      page_limit: most objects of a page.
      script: states of a run's nodes, one mapping of step -> state a look; the last one ends the run.
      trouble: asked at every request; a status that it returns is the answer.
      answered: told of every request that was granted.
      logs: step -> what its pod wrote; missing: the pod is gone.
      is_dashboard: the address is the dashboard's: no logs of the API server, but its own.
    """

    token: str = ""
    multi_user: bool = False
    namespaces: set[str] = field(default_factory=set)
    page_limit: int = 200
    script: list[dict[str, str]] = field(default_factory=list)
    trouble: Callable[[str, str], int | None] = lambda method, path: None
    answered: Callable[[str, str], None] = lambda method, path: None
    logs: dict[str, str] = field(default_factory=dict)
    is_dashboard: bool = False
    requests: list[str] = field(default_factory=list)
    experiments: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    recurring: dict[str, Json] = field(default_factory=dict)
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
            return self._upload(query, _uploaded(body, headers))
        if name == "pipelines/upload_version":
            return self._upload_version(query, _uploaded(body, headers))
        kind, _, rest = name.partition("/")
        if kind == "pipelines" and rest.endswith("/versions"):
            versions = self._of(self.versions, "pipeline_id", rest.removesuffix("/versions"))
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
                "experiments": self._make_experiment,
                "runs": self._make_run,
                "recurringruns": self._make_recurring_run,
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
            self._check_experiment(query["experiment_id"])
            objects = [o for o in objects if o["experiment_id"] == query["experiment_id"]]
        elif self.multi_user:
            self._check_namespace(query.get("namespace", ""))
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

    @staticmethod
    def _of(store: Mapping[str, Json], key: str, value: str) -> list[Json]:
        return [o for o in store.values() if o[key] == value]

    # --- objects --------------------------------------------------------------------------------

    def _check_namespace(self, namespace: str) -> None:
        if self.multi_user and namespace not in self.namespaces:
            raise Refused(
                403,
                7,
                "Failed to authorize with API: PermissionDenied: User 'ann@example.com' is not authorized with "
                f"reason: (request: &ResourceAttributes{{Namespace:{namespace},Verb:list}})",
            )

    def _check_experiment(self, identifier: str) -> Json:
        if identifier not in self.experiments:
            raise Refused(404, 5, f"ResourceNotFoundError: Experiment {identifier!r} not found")
        return self.experiments[identifier]

    def _make_experiment(self, given: Json) -> Json:
        _check_fields(given, EXPERIMENT, "Experiment")
        self._check_namespace(given.get("namespace", ""))
        if any(e["display_name"] == given["display_name"] for e in self.experiments.values()):
            raise Refused(409, 6, f"Already exist error: the name {given['display_name']} already exists")
        made = {
            **given,
            "experiment_id": str(uuid.uuid4()),
            "created_at": _now(),
            "storage_state": "AVAILABLE",
        }
        return _kept(self.experiments, "experiment_id", made)

    def _upload(self, query: Json, package: str) -> Json:
        self._check_namespace(query.get("namespace", ""))
        _check_package(package)
        if any(p["display_name"] == query["name"] for p in self.pipelines.values()):
            raise Refused(409, 6, "Failed to create a pipeline and a pipeline version")
        made = {
            "pipeline_id": str(uuid.uuid4()),
            "display_name": query["name"],
            "name": query["name"],
            "description": query.get("description", ""),
            "namespace": query.get("namespace", ""),
            "created_at": _now(),
        }
        pipeline = _kept(self.pipelines, "pipeline_id", made)
        self._keep_version(pipeline["pipeline_id"], query["name"], query.get("description", ""), package)
        return pipeline

    def _upload_version(self, query: Json, package: str) -> Json:
        if query["pipelineid"] not in self.pipelines:
            raise Refused(400, 3, "Failed to create a pipeline version")
        _check_package(package)
        return self._keep_version(query["pipelineid"], query["name"], query.get("description", ""), package)

    def _keep_version(self, pipeline_id: str, name: str, description: str, package: str) -> Json:
        if any(v["name"] == name for v in self._of(self.versions, "pipeline_id", pipeline_id)):
            raise Refused(409, 6, f"Already exist error: a version named {name}")
        documents = list(yaml.safe_load_all(package))
        keys = ("pipeline_spec", "platform_spec")
        spec = documents[0] if len(documents) == 1 else dict(zip(keys, documents, strict=True))
        made = {
            "pipeline_version_id": str(uuid.uuid4()),
            "pipeline_id": pipeline_id,
            "display_name": name,
            "name": name,
            "description": description,
            "pipeline_spec": spec,
            "created_at": _now(),
        }
        return _kept(self.versions, "pipeline_version_id", made)

    def _make_run(self, given: Json) -> Json:
        _check_fields(given, RUN, "Run")
        made = self._from_version(given) | {"run_id": str(uuid.uuid4()), "state": "PENDING"}
        return _kept(self.runs, "run_id", made)

    def _make_recurring_run(self, given: Json) -> Json:
        _check_fields(given, RECURRING_RUN, "RecurringRun")
        _check_fields(given["trigger"], {"cron_schedule"}, "Trigger")
        _check_fields(given["trigger"]["cron_schedule"], {"cron", "start_time", "end_time"}, "CronSchedule")
        if len(given["trigger"]["cron_schedule"]["cron"].split()) != 6:
            raise Refused(400, 3, "the test wants six fields in a cron")
        if given["mode"] not in ("ENABLE", "DISABLE"):
            raise Refused(400, 3, f'proto: invalid value for enum field mode: "{given["mode"]}"')
        if not 1 <= int(given["max_concurrency"]) <= 10:
            raise Refused(400, 3, "Max concurrency of a recurring run must be at least 1 and at most 10.")
        made = self._from_version(given) | {
            "recurring_run_id": str(uuid.uuid4()),
            "status": f"{given['mode']}D",
            "max_concurrency": str(given["max_concurrency"]),
            "trigger": given["trigger"],
            "no_catchup": given.get("no_catchup", False),
        }
        return _kept(self.recurring, "recurring_run_id", made)

    def _from_version(self, given: Json) -> Json:
        experiment = self._check_experiment(given.get("experiment_id", ""))
        reference = given["pipeline_version_reference"]
        _check_fields(reference, {"pipeline_id", "pipeline_version_id"}, "PipelineVersionReference")
        version = self.versions.get(reference["pipeline_version_id"])
        if version is None or version["pipeline_id"] != reference["pipeline_id"]:
            raise Refused(404, 5, f"ResourceNotFoundError: PipelineVersion {reference} not found")
        config = given.get("runtime_config", {})
        _check_fields(config, {"parameters", "pipeline_root"}, "RuntimeConfig")
        spec = version["pipeline_spec"].get("pipeline_spec", version["pipeline_spec"])
        _check_parameters(spec, config.get("parameters", {}))
        return {
            "experiment_id": given["experiment_id"],
            "namespace": experiment.get("namespace", ""),
            "display_name": given["display_name"],
            "description": given.get("description", ""),
            "pipeline_version_reference": reference,
            "runtime_config": config,
            "service_account": given.get("service_account", "pipeline-runner"),
            "created_at": _now(),
        }

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


def node_number(step: str, part: str) -> int:
    """The number that ends ids and pod names of a step's node, as Argo's hash does."""
    return int.from_bytes(f"{step}/{part}".encode(), "big") % 10**10


def task_details(run_id: str, states: Mapping[str, str]) -> list[Json]:
    """A run's nodes as the server tells them: ids of children are Argo's, pod names are Kubernetes'.

    Args:
      states: step -> state; CACHED stands for a step that succeeded without its executor.
    """
    nodes = [
        _node(run_id, "root", "root", "RUNNING", []),
        _node(run_id, "root-driver", "root-driver", "SUCCEEDED", []),
    ]
    for step, state in states.items():
        own = "SUCCEEDED" if state == "CACHED" else state
        executor = "SKIPPED" if state == "CACHED" else state
        nodes.append(_node(run_id, step, f"{step}-driver", "SUCCEEDED", [f"wf-{node_number(step, 'step')}"]))
        nodes.append(_node(run_id, step, step, own, [f"wf-{node_number(step, 'executor')}"], part="step"))
        nodes.append(_node(run_id, step, "executor", executor, [], part="executor"))
    return nodes


def _node(run_id: str, step: str, name: str, state: str, children: list[str], part: str = "driver") -> Json:
    ended = state in ("SUCCEEDED", "FAILED", "SKIPPED")
    return {
        "run_id": run_id,
        "task_id": str(uuid.uuid4()),
        "display_name": name,
        "create_time": "2026-11-22T05:00:00Z",
        "start_time": "2026-11-22T05:00:00Z",
        "end_time": "2026-11-22T05:01:15Z" if ended else "1970-01-01T00:00:00Z",
        "state": state,
        "execution_id": "0",
        "pod_name": f"wf-system-container-impl-{node_number(step, part)}",
        "child_tasks": [{"pod_name": child} for child in children],
    }


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


def _check_package(package: str) -> None:
    if found := refusals(package):
        raise Refused(400, 3, f"Invalid input error: invalid v2 pipeline spec: {found[0]}")


def _check_fields(given: Json, known: set[str], message: str) -> None:
    for name in given:
        if name not in known:
            raise Refused(400, 3, f'proto: (line 1:2): unknown field "{name}" in {message}')


def _check_parameters(spec: Json, given: Json) -> None:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, value in given.items():
        if name not in declared:
            raise Refused(400, 3, f"parameter(s) provided are not required by pipeline: {name}")
        kind = declared[name]["parameterType"]
        if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            raise Refused(400, 3, f"input parameter {name} requires type {kind}")


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


def _kept(store: dict[str, Json], key: str, made: Json) -> Json:
    store[made[key]] = made
    return made


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
