"""The config's `export.tflite` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.exports.format_settings import FormatSettings


class Settings(FormatSettings):
    """TensorFlow Lite, for phones and small devices."""

    variants: list[Literal["float32", "float16", "int8"]] = Field(
        ["float32", "float16", "int8"],
        min_length=1,
        description="Weights: as trained, half precision, or dynamic-range int8.",
    )
