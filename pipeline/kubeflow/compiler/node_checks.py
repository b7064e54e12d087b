"""Checks that the nodes of a pipeline can be steps on Kubeflow."""

from __future__ import annotations

import re

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec

from models.errors import UsageError
from pipeline.kubeflow_settings import KubeflowSettings

_NODE_ID = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


def check_nodes(nodes: list[BaseNode]) -> None:
    """Checks that Kubernetes allows the nodes' names and that each node can be a step.

    Raises:
        UsageError: a node cannot be a step.
    """
    for node in nodes:
        if not _NODE_ID.fullmatch(node.id):
            raise UsageError(
                f"node {node.id!r}: a Kubernetes name may contain letters, digits and - only; set one with with_id()"
            )
        if not isinstance(node, BaseComponent) or not isinstance(node.executor_spec, ExecutorClassSpec):
            raise UsageError(
                f"node {node.id!r} ({type(node).__name__}) cannot run on Kubeflow: only components with an "
                "executor class can; the server refuses resolvers and container components"
            )


def check_step_names(settings: KubeflowSettings, nodes: list[BaseNode]) -> None:
    """Checks the names in `kubeflow.steps`.

    Raises:
        UsageError: the pipeline has no such step.
    """
    known = [node.id for node in nodes]
    for name in settings.steps:
        if name not in known:
            raise UsageError(f"kubeflow.steps: no step {name!r}; the pipeline has {', '.join(known)}")
