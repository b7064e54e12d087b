"""The state of a run's nodes, as the runner reports it. TFX is not imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

NodeState = Literal["waiting", "running", "done", "cached", "failed", "interrupted"]


@dataclass(frozen=True)
class OutputArtifact:
    """One artifact of a node: its folder and its custom properties (int, float or str)."""

    uri: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class NodeRun:
    """The state of a node; `seconds` is wall time, `outputs` are known after `done` and `cached` only."""

    id: str
    state: NodeState
    seconds: float = 0.0
    outputs: Mapping[str, Sequence[OutputArtifact]] = field(default_factory=dict)


Observer = Callable[[NodeRun], None]
