"""The config's `push` section."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from components.destinations.settings import DestinationSettings
from components.versions.listing import why_no_serving_dir
from models.section import Section


class PushSettings(Section):
    """Where blessed models are pushed, in TF Serving's layout: <serving_dir>/<name>/<version>/."""

    serving_dir: Path = Field(description="Folder that TF Serving (or `serve`) watches.")
    keep: int = Field(5, ge=2, description="Number of versions to keep; a push removes older ones.")
    destinations: list[DestinationSettings] = Field(
        default_factory=list, description="Further destinations for every version, after the push."
    )
    replace_uncompared: bool = Field(
        False,
        description="Replace a served version that the model cannot be compared with, because it is damaged or has other "
        "labels or inputs.",
    )

    @field_validator("serving_dir", mode="before")
    @classmethod
    def _no_object_store(cls, value: object) -> object:
        reason = why_no_serving_dir(value) if isinstance(value, str) else ""
        if reason:
            raise ValueError(reason)
        return value
