"""How often Argo runs a step that keeps failing: `processNodeRetries` of argo-workflows, in seconds.

Kubeflow's compiler hands the seconds of a task's retry policy to Argo's `backoff` as they are, and "0" for those that
the policy leaves out (backend/src/v2/compiler/argocompiler/container.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def attempts(policy: Mapping[str, Any], step_seconds: float) -> int:
    """Attempts that can do `step_seconds` of work before they fail.

    Args:
        policy: `retryPolicy` of a task, JSON of a PipelineSpec.
    """
    deadline = _seconds(policy, "backoffMaxDuration")  # counted from the start of the first attempt, at 0
    wait, factor = _seconds(policy, "backoffDuration"), policy.get("backoffFactor", 0)
    now, made = step_seconds, 1
    while made <= policy["maxRetryCount"]:
        if now > deadline:
            break  # "Max duration limit exceeded"
        waited = wait * factor ** (made - 1) if factor > 0 else wait
        if now + waited > deadline:
            break  # "Backoff would exceed max duration limit"
        now += waited + step_seconds
        if now > deadline:
            break  # a retry's pod is ended then: `executionDeadline`
        made += 1
    return made


def _seconds(policy: Mapping[str, Any], key: str) -> float:
    return float(policy.get(key, "0s").removesuffix("s"))
