"""The config's `export.tfjs` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.exports.format_settings import FormatSettings


class Settings(FormatSettings):
    """TensorFlow.js, with a demo page. Requires Node.js and npm."""

    variants: list[Literal["float32", "float16", "uint8"]] = Field(
        ["float32"], min_length=1, description="Storage type of the weights; the browser computes in float32."
    )
