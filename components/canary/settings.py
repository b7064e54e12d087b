"""The config's `canary` section."""

from __future__ import annotations

from pydantic import Field

from models.section import Section

_DIFFERENCES = {"float32": 1e-4, "bfloat16": 0.02}


class CanarySettings(Section):
    """The trial before a push: the model server answers real rows with the candidate."""

    enabled: bool = Field(
        True,
        description="Whether to start the server; false: only load the model and check its ops.",
    )
    split: str = Field("eval", description="Split whose rows are sent to the server.")
    rows: int = Field(64, ge=1, description="Number of rows, one request each.")
    max_difference: float | None = Field(
        None,
        ge=0,
        description="Maximum difference of an answer from that of the exported model in float32, relative for numbers above "
        "1; null: 0.0001, or 0.02 if serve.precision is bfloat16.",
    )
    max_p99_ms: float = Field(
        1000.0, gt=0, description="Maximum p99 latency of a request with one client, milliseconds."
    )
    max_memory_mb: float = Field(8192.0, gt=0, description="Maximum peak memory of the server process, MB.")
    start_seconds: float = Field(
        180.0, gt=0, description="Maximum time to start the server and load the model, seconds."
    )
    trial_seconds: float = Field(120.0, gt=0, description="Maximum time for all rows together, seconds.")
    allowed_ops: list[str] = Field(
        default_factory=list,
        description="Ops that your own build of TF Serving links in addition to those of TF Serving 2.20.",
    )

    def allowed_difference(self, precision: str) -> float:
        """`max_difference`, or its default for a value of `serve.precision`."""
        return _DIFFERENCES[precision] if self.max_difference is None else self.max_difference
