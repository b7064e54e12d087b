"""The second YAML document of a package: the Kubernetes settings of each step's pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from pipeline.kubeflow.compiler.steps import PROBE_SUFFIX
from pipeline.kubeflow.verdicts import VERDICT_SUFFIX
from pipeline.kubeflow_settings import KubeflowSettings, StepSettings


def platform_spec(labels: Mapping[str, str], settings: KubeflowSettings) -> dict[str, Any]:
    """Returns `{"platforms": {"kubernetes": {"deploymentSpec": {"executors": {label: ...}}}}}`, {} if there are none.

    Args:
        labels: task -> label of its executor. Probes and verdicts get their step's settings, without accelerators.
        settings: the config's `kubeflow` section.
    """
    executors = {}
    for task, label in sorted(labels.items()):
        config = executor_config(
            settings, settings.step(task.removesuffix(PROBE_SUFFIX).removesuffix(VERDICT_SUFFIX))
        )
        if content := json_format.MessageToDict(config):
            executors[label] = content
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def executor_config(settings: KubeflowSettings, step: StepSettings) -> KubernetesExecutorConfig:
    """The volumes, secrets and scheduling of one step."""
    config = KubernetesExecutorConfig()
    for volume in settings.volumes:
        mount = config.pvc_mount.add(mount_path=volume.mount_path, sub_path=volume.sub_path)
        mount.constant = volume.claim
        mount.pvc_name_parameter.runtime_value.constant.string_value = volume.claim
    for secret in settings.secrets:
        _add_secret(config, secret.name, secret.env, secret.mount_path, secret.optional)
    for name in settings.image_pull_secrets:
        pull = config.image_pull_secret.add(secret_name=name)
        pull.secret_name_parameter.runtime_value.constant.string_value = name
    if settings.image_pull_policy:
        config.image_pull_policy = settings.image_pull_policy
    config.node_selector.labels.update(step.node_selector or {})
    for toleration in step.tolerations or []:
        config.tolerations.add(**toleration.model_dump(exclude_none=True))
    if step.deadline_seconds:
        config.active_deadline_seconds = step.deadline_seconds
    if step.shared_memory:
        config.empty_dir_mounts.add(
            volume_name="shared-memory", mount_path="/dev/shm", medium="Memory", size_limit=step.shared_memory
        )
    if not step.node_selector:
        config.ClearField("node_selector")
    return config


def _add_secret(
    config: KubernetesExecutorConfig,
    name: str,
    env: Mapping[str, str] | None,
    mount_path: str | None,
    optional: bool,
) -> None:
    if mount_path is not None:
        added = config.secret_as_volume.add(secret_name=name, mount_path=mount_path, optional=optional)
    else:
        added = config.secret_as_env.add(secret_name=name, optional=optional)
        for key, variable in (env or {}).items():
            added.key_to_env.add(secret_key=key, env_var=variable)
    added.secret_name_parameter.runtime_value.constant.string_value = name
