"""The objects of the API stub, and the server's rules for accepting them (see `api_stub`)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from tests.support.kubeflow.acceptance import refusals

Json = dict[str, Any]
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
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
class ObjectStore:
    """Experiments, pipelines, their versions, runs and recurring runs, by id.

    Attributes:
        multi_user: whether there are namespaces.
        namespaces: those that the user has rights in.
    """

    multi_user: bool = False
    namespaces: set[str] = field(default_factory=set)
    experiments: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    recurring: dict[str, Json] = field(default_factory=dict)

    def check_namespace(self, namespace: str) -> None:
        if self.multi_user and namespace not in self.namespaces:
            raise Refused(
                403,
                7,
                "Failed to authorize with API: PermissionDenied: User 'ann@example.com' is not authorized with "
                f"reason: (request: &ResourceAttributes{{Namespace:{namespace},Verb:list}})",
            )

    def check_experiment(self, identifier: str) -> Json:
        if identifier not in self.experiments:
            raise Refused(404, 5, f"ResourceNotFoundError: Experiment {identifier!r} not found")
        return self.experiments[identifier]

    def make_experiment(self, given: Json) -> Json:
        _check_fields(given, EXPERIMENT, "Experiment")
        self.check_namespace(given.get("namespace", ""))
        if any(e["display_name"] == given["display_name"] for e in self.experiments.values()):
            raise Refused(409, 6, f"Already exist error: the name {given['display_name']} already exists")
        made = {
            **given,
            "experiment_id": str(uuid.uuid4()),
            "created_at": _now(),
            "storage_state": "AVAILABLE",
        }
        return _kept(self.experiments, "experiment_id", made)

    def upload(self, query: Json, package: str) -> Json:
        self.check_namespace(query.get("namespace", ""))
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

    def upload_version(self, query: Json, package: str) -> Json:
        if query["pipelineid"] not in self.pipelines:
            raise Refused(400, 3, "Failed to create a pipeline version")
        _check_package(package)
        return self._keep_version(query["pipelineid"], query["name"], query.get("description", ""), package)

    def _keep_version(self, pipeline_id: str, name: str, description: str, package: str) -> Json:
        if not _DNS_1123.fullmatch(name):  # in Kubernetes-native mode; the database accepts any name
            raise Refused(400, 3, f"Invalid pipeline version name {name!r}: a lowercase RFC 1123 subdomain")
        if any(v["name"] == name for v in self.versions_of(pipeline_id)):
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

    def make_run(self, given: Json) -> Json:
        _check_fields(given, RUN, "Run")
        made = self._from_version(given) | {"run_id": str(uuid.uuid4()), "state": "PENDING"}
        return _kept(self.runs, "run_id", made)

    def make_recurring_run(self, given: Json) -> Json:
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
        experiment = self.check_experiment(given.get("experiment_id", ""))
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

    def versions_of(self, pipeline_id: str) -> list[Json]:
        """Versions of one pipeline."""
        return [v for v in self.versions.values() if v["pipeline_id"] == pipeline_id]


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


def _kept(store: dict[str, Json], key: str, made: Json) -> Json:
    store[made[key]] = made
    return made


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
