"""The config's `export.onnx` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.exports.format_settings import FormatSettings


class Settings(FormatSettings):
    """ONNX, for onnxruntime."""

    variants: list[Literal["float32", "int8"]] = Field(
        ["float32", "int8"],
        min_length=1,
        description="Weights: as trained, or dynamically quantized to int8.",
    )
