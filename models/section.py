"""What all sections of a config have in common.

A node's section stands beside its code (`components/trainer/settings.py`), so that a new setting re-runs
only the nodes that read it; what several nodes read is in `components/settings.py`. A node gets its
section as JSON through `custom_config` or an execution property (the metadata store records every value)
and validates it back into the class. No TensorFlow is imported.
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
        raise ValueError(f"{value!r} is an address, no path on this machine: copy what it names here first")
    return value


# To be looked at before it is a Path, which would make the folder `gs:/bucket` of `gs://bucket`.
LocalPath = Annotated[Path, BeforeValidator(_refuse_address)]


class Section(BaseModel):
    """A frozen part of the config: unknown keys are errors, every field says what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    # Keys of which only one can be given -> the keys that mean something beside that one alone.
    alternatives: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes `epochs: true` for 1.0."""
        if isinstance(value, bool):
            annotation = cls.model_fields[str(info.field_name)].annotation
            if not _takes_bool(annotation):
                raise ValueError(f"{'true' if value else 'false'} is no value of this key")
        return value

    def as_json(self) -> dict[str, Any]:
        """JSON values with the keys of the file, from which the class validates the section back."""
        return self.model_dump(mode="json", by_alias=True)


def _takes_bool(annotation: Any) -> bool:
    return annotation is bool or annotation is Any or any(map(_takes_bool, get_args(annotation)))
