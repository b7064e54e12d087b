"""The config's `canary` section."""

from __future__ import annotations

from pydantic import Field

from models.section import Section


class CanarySettings(Section):
    """The trial before a push: the model server on the candidate, asked with real rows."""

    enabled: bool = Field(
        True,
        description="Whether the server is started; false: the model is loaded and its ops are checked, no more.",
    )
    split: str = Field("eval", description="Split whose rows are asked.")
    rows: int = Field(64, ge=1, description="Rows asked, one request each.")
    max_difference: float = Field(
        1e-4, ge=0, description="Largest difference of a probability from the evaluated model's."
    )
    max_p99_ms: float = Field(1000.0, gt=0, description="p99 latency of a request, one client, milliseconds.")
    max_memory_mb: float = Field(8192.0, gt=0, description="Peak memory of the server process, MB.")
    start_seconds: float = Field(180.0, gt=0, description="Time to start and load the model.")
    trial_seconds: float = Field(120.0, gt=0, description="Time for all rows together.")
    allowed_ops: list[str] = Field(
        default_factory=list,
        description="Ops that your own build of TF Serving links besides those of TF Serving 2.20.",
    )
