"""Finds, in a signature of a served model, the output that is evaluated and compared. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def answer_name(outputs: Mapping[str, Any]) -> str | None:
    """The only output with floating-point values, whatever the task; None if there is none, or more than one.

    `{"probabilities": float32 [None, 6], "all_classes": string, "label": string}` -> `"probabilities"`

    Args:
        outputs: name -> `tf.TensorSpec`, as `structured_outputs` of a signature.
    """
    names = [name for name, spec in outputs.items() if spec.dtype.is_floating]
    return names[0] if len(names) == 1 else None
