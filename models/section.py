"""The base of all sections of a config.

A node's section is next to its code (`components/trainer/settings.py`), so that a new setting re-runs
only the nodes that read it; settings that several nodes read are in `components/settings.py`. A node gets its
section as JSON through `custom_config` or an execution property (the metadata store records every value)
and validates it back into the class. Imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

Severity = Literal["error", "warn"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def _refuse_address(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError(f"{value!r} is a URL, not a path on this machine: copy its content here first")
    return value


# Checked before it becomes a Path, which would turn `gs://bucket` into the folder `gs:/bucket`.
LocalPath = Annotated[Path, BeforeValidator(_refuse_address)]


class Section(BaseModel):
    """A frozen part of the config: unknown keys are errors, and every field has a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    # Keys that exclude one another -> the keys that apply only with that key.
    alternatives: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Rejects booleans for numbers, because pydantic accepts `epochs: true` as 1.0."""
        if isinstance(value, bool):
            annotation = cls.model_fields[str(info.field_name)].annotation
            if not _takes_bool(annotation):
                raise ValueError(f"{'true' if value else 'false'} is not allowed here")
        return value

    def as_json(self) -> dict[str, Any]:
        """JSON values with the keys of the file, which the class can validate back into the section."""
        return self.model_dump(mode="json", by_alias=True)


def _takes_bool(annotation: Any) -> bool:
    return annotation is bool or annotation is Any or any(map(_takes_bool, get_args(annotation)))
