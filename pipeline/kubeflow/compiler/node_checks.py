"""Which nodes of a pipeline can be steps on Kubeflow."""

from __future__ import annotations

import re

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec

from models.errors import UsageError
from pipeline.kubeflow_settings import KubeflowSettings

_NODE_ID = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


def check_nodes(nodes: list[BaseNode]) -> None:
    """Checks that Kubernetes takes the names and that each node can be a step.

    Raises:
        UsageError: one cannot.
    """
    for node in nodes:
        if not _NODE_ID.fullmatch(node.id):
            raise UsageError(
                f"node {node.id!r}: Kubernetes takes letters, digits and - in a name; call with_id() with one"
            )
        if not isinstance(node, BaseComponent) or not isinstance(node.executor_spec, ExecutorClassSpec):
            raise UsageError(
                f"node {node.id!r} ({type(node).__name__}) cannot run on Kubeflow: only components with an "
                "executor class can; resolvers and containers of their own are refused by the server"
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
