"""Uploads a package and starts a run of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.kubeflow.client.run_values import Package
from pipeline.kubeflow.client.server import Server

_PAGE = 100


def filter_of(key: str, value: str) -> str:
    """A filter for kfp's list methods: objects whose `key` is `value`."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})


def pages(list_page: Callable[..., Any], field: str, **arguments: Any) -> Iterator[Any]:
    """Yields the objects that one of kfp's `list_*` methods returns, page by page.

    Args:
        list_page: takes page_token and page_size.
        field: attribute of the answer that contains the objects.
        **arguments: of `list_page`.
    """
    token = ""
    while True:
        answer = list_page(page_token=token, page_size=_PAGE, **arguments)
        yield from getattr(answer, field) or ()
        token = answer.next_page_token or ""
        if not token:
            return


def experiment_id(server: Server, name: str) -> str:
    """Returns the id of the experiment, which is created if missing."""
    with server.calls() as client:
        return str(client.create_experiment(name, namespace=server.namespace).experiment_id)


def upload(server: Server, package: Package) -> tuple[str, str, bool]:
    """Uploads a package as a new pipeline or a new version, unless the server has it already.

    Returns:
        The ids of pipeline and version, and whether something was uploaded.
    """
    # Identified by description, which the server keeps; the name of a pipeline's first version is the server's.
    description = f"sha256:{package.digest}"
    with server.calls() as client:
        pipelines = [
            p.pipeline_id
            for p in pages(
                client.list_pipelines,
                "pipelines",
                namespace=server.namespace,
                filter=filter_of("display_name", package.name),
            )
            if p.display_name == package.name
        ]
        if not pipelines:
            pipeline = client.upload_pipeline(
                str(package.path), package.name, description=description, namespace=server.namespace
            )
            return pipeline.pipeline_id, _versions(client, pipeline.pipeline_id)[0].pipeline_version_id, True
        existing = next(
            (v.pipeline_version_id for v in _versions(client, pipelines[0]) if v.description == description),
            "",
        )
        if existing:
            return pipelines[0], existing, False
        version = client.upload_pipeline_version(
            str(package.path),
            # A DNS-1123 name, which servers that store pipelines as Kubernetes objects require.
            f"{package.name}-{package.digest[:12]}",
            pipeline_id=pipelines[0],
            description=description,
        )
        return pipelines[0], version.pipeline_version_id, True


def _versions(client: Any, pipeline_id: str) -> list[Any]:
    return list(pages(client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id))


def start_run(
    server: Server,
    package: Package,
    experiment: str,
    run_name: str,
    values: dict[str, Any],
    pipeline_root: str = "",
    service_account: str = "",
) -> str:
    """Uploads a package if necessary and starts a run of it; returns the run's id.

    Args:
        experiment: name of the experiment, which is created if missing.
        run_name: name of the run in the dashboard.
        values: parameters that differ from their defaults.
        pipeline_root: bucket folder for the outputs; empty: the server's default.
        service_account: Kubernetes service account of the steps; empty: the server's default.
    """
    pipeline_id, version_id, _ = upload(server, package)
    experiment_of_run = experiment_id(server, experiment)
    with server.calls() as client:
        run = client.run_pipeline(
            experiment_of_run,
            run_name,
            params=values,
            pipeline_id=pipeline_id,
            version_id=version_id,
            pipeline_root=pipeline_root or None,
            service_account=service_account or None,
        )
    return str(run.run_id)
