"""Checks whether a cluster has the claims and secrets that a config names.

A pod waits forever for a missing secret or claim, and its run shows only "running".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from models.errors import PipelineError, UsageError
from pipeline.kubeflow_settings import KubeflowSettings, SecretSettings

_TIMEOUT_SECONDS = 20
_PULL_SECRET_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


def check_cluster(settings: KubeflowSettings, namespace: str, kubeconfig: Path | None) -> int:
    """Checks that all claims and secrets exist; returns their number.

    Args:
        settings: the config's `kubeflow` section.
        namespace: where the steps run.
        kubeconfig: access to the cluster; None for ~/.kube/config.

    Raises:
        UsageError: one is missing or lacks what steps need; the message names it, its key and a remedy.
        PipelineError: the cluster does not answer, or does not permit this user to read them.
    """
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    access = client.Configuration()
    try:
        config.load_kube_config(None if kubeconfig is None else str(kubeconfig), client_configuration=access)
    except (config.ConfigException, yaml.YAMLError) as error:
        file = kubeconfig or "~/.kube/config"
        raise UsageError(
            f"--kubeconfig: {file} gives no access to a cluster: {_first_line(error)}"
        ) from error
    access.retries = False  # urllib3 would print a warning to stderr for each retry
    try:
        problems = list(_problems(settings, client.CoreV1Api(client.ApiClient(access)), namespace))
    except HTTPError as error:
        raise PipelineError(
            f"the cluster at {access.host} does not answer: check --kubeconfig and the network"
        ) from error
    if problems:
        raise UsageError("; ".join(problems))
    return len(settings.volumes) + len(settings.secrets) + len(settings.image_pull_secrets)


def _problems(settings: KubeflowSettings, core: Any, namespace: str) -> Iterator[str]:
    for number, volume in enumerate(settings.volumes):
        where = f"kubeflow.volumes[{number}].claim"
        if _read(core.read_namespaced_persistent_volume_claim, where, volume.claim, namespace) is None:
            yield (
                f"{where}: no PersistentVolumeClaim {volume.claim!r} in namespace {namespace!r}; "
                "deploy/kubernetes/storage.yaml is an example"
            )
    for number, secret in enumerate(settings.secrets):
        where = f"kubeflow.secrets[{number}]"
        found = _read(core.read_namespaced_secret, f"{where}.name", secret.name, namespace)
        if not secret.optional:
            yield from _secret_problems(secret, found, where, namespace)
    for number, name in enumerate(settings.image_pull_secrets):
        where = f"kubeflow.image_pull_secrets[{number}]"
        found = _read(core.read_namespaced_secret, where, name, namespace)
        yield from _pull_secret_problems(name, found, where, namespace)


def _secret_problems(secret: SecretSettings, found: Any, where: str, namespace: str) -> Iterator[str]:
    if found is None:
        yield (
            f"{where}.name: no Secret {secret.name!r} in namespace {namespace!r}; create it with kubectl create "
            f"secret generic {secret.name}, or set optional: true"
        )
        return
    data = found.data or {}
    for key in sorted((secret.env or {}).keys() - data.keys()):
        known = ", ".join(sorted(data)) or "none"
        yield f"{where}.env: Secret {secret.name!r} has no key {key!r}; it has {known}"


def _pull_secret_problems(name: str, found: Any, where: str, namespace: str) -> Iterator[str]:
    if found is None:
        yield (
            f"{where}: no Secret {name!r} in namespace {namespace!r}; create it with kubectl create "
            f"secret docker-registry {name}"
        )
    elif found.type not in _PULL_SECRET_TYPES:
        yield f"{where}: Secret {name!r} is of type {found.type!r}, but must be {_PULL_SECRET_TYPES[0]}"


def _read(read: Callable[..., Any], where: str, name: str, namespace: str) -> Any:
    """Returns the object, or None if there is none of that name."""
    from kubernetes.client import ApiException

    try:
        return read(name, namespace, _request_timeout=_TIMEOUT_SECONDS)
    except ApiException as error:
        if error.status == 404:
            return None
        raise PipelineError(
            f"{where}: the cluster answers {error.status} {error.reason} to a request for {name!r} in namespace "
            f"{namespace!r}; log in again, or ask for permission to read it"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
