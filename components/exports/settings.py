"""The config's `export` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from models.section import Section

FormatName = Literal["tflite", "onnx", "tfjs"]


class _FormatSettings(Section):
    """What all formats have in common."""

    max_drop: float = Field(
        0.01,
        ge=0,
        le=1,
        description="How much worse than the served model it may be on the eval split (absolute).",
    )
    metric: Literal["accuracy", "macro_f1"] = Field("accuracy", description="What must not drop.")

    @model_validator(mode="after")
    def _check(self) -> _FormatSettings:
        variants = list(getattr(self, "variants", ()))
        if len(set(variants)) != len(variants):
            raise ValueError(f"variants must not repeat, got {variants}")
        return self


class TFLiteSettings(_FormatSettings):
    """TensorFlow Lite, for phones and small devices."""

    variants: list[Literal["float32", "float16", "int8"]] = Field(
        ["float32", "float16", "int8"],
        min_length=1,
        description="Weights: as trained, half precision, or dynamic-range int8.",
    )


class ONNXSettings(_FormatSettings):
    """ONNX, for onnxruntime."""

    variants: list[Literal["float32", "int8"]] = Field(
        ["float32", "int8"], min_length=1, description="Weights: as trained, or dynamically quantized int8."
    )


class TFJSSettings(_FormatSettings):
    """TensorFlow.js, with a demo page. Needs Node.js and npm."""

    variants: list[Literal["float32", "float16", "uint8"]] = Field(
        ["float32"], min_length=1, description="Weights as they are loaded: the browser computes in float32."
    )


class ExportSettings(Section):
    """Further formats of a pushed model, each a node with a gate of its own; null: not made."""

    tflite: TFLiteSettings | None = Field(None, description="TensorFlow Lite.")
    onnx: ONNXSettings | None = Field(None, description="ONNX.")
    tfjs: TFJSSettings | None = Field(None, description="TensorFlow.js.")
    rows: int = Field(
        4096, ge=1, description="Rows of the eval split that each is held to the served model on."
    )

    def chosen(self) -> dict[FormatName, TFLiteSettings | ONNXSettings | TFJSSettings]:
        """Format -> its settings, of those that are made."""
        every: dict[FormatName, TFLiteSettings | ONNXSettings | TFJSSettings | None] = {
            "tflite": self.tflite,
            "onnx": self.onnx,
            "tfjs": self.tfjs,
        }
        return {name: found for name, found in every.items() if found is not None}
