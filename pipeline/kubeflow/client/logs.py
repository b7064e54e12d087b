"""Logs of steps, as far as a server hands them out.

Two addresses have them: the API server's own, which a dashboard in front of it does not pass on, and the
dashboard's. Both read the pod's log, so both need the pod (or the cluster's log archive) to be there still;
the copy that Kubeflow keeps as artifact `executor-logs` lies in the object store, which needs its own keys.
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
      PipelineError: neither address has it, or the server does not let us.
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
            f"{server.access.host}: no log of pod {pod}: it is gone, and with it its log, unless the cluster "
            f"keeps an archive; the step's executor-logs: {server.link('runs/details/' + run_id)}"
        ) from None


def reason(log: str) -> str:
    """The line with which a step of ours ends when it fails, without its `error: `; empty for none."""
    lines = [line for line in log.splitlines() if line.startswith(_ERROR)]
    return lines[-1].removeprefix(_ERROR) if lines else ""


def _unless_error(server: Server, text: str) -> str:
    """The API answers 200 before it looks for the pod; what goes wrong then is JSON at the end."""
    last = text.splitlines()[-1] if text else ""
    if last.startswith("{") and '"error_message"' in last:
        try:
            message = " ".join(str(json.loads(last)["error_message"]).split())
        except (ValueError, KeyError):
            return text
        raise ServerError(f"{server.access.host}: no log: {message}", 404)
    return text
