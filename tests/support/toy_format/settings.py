"""The config's `export.toy` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.exports.format_settings import FormatSettings


class Settings(FormatSettings):
    """A SavedModel that takes token ids, for the tests."""

    variants: list[Literal["float32", "rounded"]] = Field(["float32"], min_length=1, description="Weights.")
