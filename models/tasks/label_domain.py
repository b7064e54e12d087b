"""The labels that the schema and the label list allow. Imports no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelDomain:
    """`labels`: those of the label list. `lowest` and `highest`: bounds of numbers, inclusive."""

    labels: frozenset[str] = frozenset()
    lowest: float = -math.inf
    highest: float = math.inf
