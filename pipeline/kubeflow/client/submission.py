"""Uploads a package and starts a run of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.kubeflow.client.run_values import Package
from pipeline.kubeflow.client.server import Server

_PAGE = 100


def filter_of(key: str, value: str) -> str:
    """A filter of kfp's lists: objects whose `key` is `value`."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})


def pages(list_page: Callable[..., Any], field: str, **arguments: Any) -> Iterator[Any]:
    """Yields what one of kfp's `list_*` methods finds, page by page.

    Args:
      list_page: takes page_token and page_size.
      field: attribute of the answer that holds the objects.
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
    """Returns the id of the experiment, made when there is none."""
    with server.calls() as client:
        return str(client.create_experiment(name, namespace=server.namespace).experiment_id)


def upload(server: Server, package: Package) -> tuple[str, str, bool]:
    """Uploads a package: a new pipeline, a new version of it, or nothing when it is there already.

    Returns:
      Ids of pipeline and version, and whether something was uploaded.
    """
    # The server keeps descriptions as they are, also of a pipeline's first version, which has no name of ours.
    described = f"sha256:{package.digest}"
    with server.calls() as client:
        found = [
            p.pipeline_id
            for p in pages(
                client.list_pipelines,
                "pipelines",
                namespace=server.namespace,
                filter=filter_of("display_name", package.name),
            )
            if p.display_name == package.name
        ]
        if not found:
            pipeline = client.upload_pipeline(
                str(package.path), package.name, description=described, namespace=server.namespace
            )
            return pipeline.pipeline_id, _versions(client, pipeline.pipeline_id)[0].pipeline_version_id, True
        there = next(
            (v.pipeline_version_id for v in _versions(client, found[0]) if v.description == described), ""
        )
        if there:
            return found[0], there, False
        version = client.upload_pipeline_version(
            str(package.path),
            # Where pipelines are Kubernetes objects, the name must be one of DNS-1123.
            f"{package.name}-{package.digest[:12]}",
            pipeline_id=found[0],
            description=described,
        )
        return found[0], version.pipeline_version_id, True


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
    """Starts a run of an uploaded package; returns its id.

    Args:
      experiment: name; made when there is none.
      run_name: as the dashboard shows it.
      values: parameters that differ from their defaults.
      pipeline_root: bucket folder of the outputs; empty for the server's own.
      service_account: Kubernetes service account of the steps; empty for the server's own.
    """
    pipeline_id, version_id, _ = upload(server, package)
    found = experiment_id(server, experiment)
    with server.calls() as client:
        run = client.run_pipeline(
            found,
            run_name,
            params=values,
            pipeline_id=pipeline_id,
            version_id=version_id,
            pipeline_root=pipeline_root or None,
            service_account=service_account or None,
        )
    return str(run.run_id)
