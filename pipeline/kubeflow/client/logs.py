"""Reads the logs of steps from a server.

They are at two addresses: that of the API server, which a dashboard in front of it does not forward, and that of the
dashboard. Both read the log of the pod, so the pod or the cluster's log archive must still exist. Kubeflow also keeps
a copy, the artifact `executor-logs`, but in the object store, which needs its own credentials.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from models.errors import PipelineError
from pipeline.kubeflow.client.server import Server, ServerError

_OF_API = "/apis/v1alpha1/runs/{run}/nodes/{pod}/log"
_OF_DASHBOARD = "/k8s/pod/logs"
_ERROR = "error: "


def read_log(server: Server, run_id: str, pod: str) -> str:
    """Returns the log of a pod.

    Raises:
        PipelineError: neither address has the log, or the server denies access.
    """
    try:
        return _unless_error(server, server.get_text(_OF_API.format(run=quote(run_id), pod=quote(pod))))
    except ServerError as error:
        if error.status != 404:
            raise
    try:  # a dashboard in front of the API
        return server.get_text(_OF_DASHBOARD, podname=pod, runid=run_id, podnamespace=server.namespace or "")
    except ServerError as error:
        if error.status != 404:
            raise
        raise PipelineError(
            f"{server.access.host}: no log of pod {pod}: the pod has been deleted, and with it its log, unless the "
            f"cluster has a log archive; the step's executor-logs: {server.link('runs/details/' + run_id)}"
        ) from None


def reason(log: str) -> str:
    """The last `error: ` line of a step's log without that prefix, which says why the step failed; "" if none."""
    lines = [line for line in log.splitlines() if line.startswith(_ERROR)]
    return lines[-1].removeprefix(_ERROR) if lines else ""


def _unless_error(server: Server, text: str) -> str:
    """Returns the text, or raises the error in its last line: the API answers 200 before it looks for the pod."""
    last = text.splitlines()[-1] if text else ""
    if last.startswith("{") and '"error_message"' in last:
        try:
            message = " ".join(str(json.loads(last)["error_message"]).split())
        except (ValueError, KeyError):
            return text
        raise ServerError(f"{server.access.host}: no log: {message}", 404)
    return text
