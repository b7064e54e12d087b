"""What a head is trained for, in addition to the labels of a batch. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# Numbers that a task takes from labels and the answer needs: {"thresholds": [0.5, 0.31]}.
Constants: TypeAlias = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Objective:
    """How logits are compared with labels.

    Attributes:
        loss: one of the task's `LOSSES`; "" is the first.
        smoothing: share of the target that is spread over the alternatives.
        label_weights: weight of each label id in the loss, for tasks whose rows have several labels.
        own: the user's loss, instead of the task's: what logits and targets (as the task's `row_losses` says) it takes
            -> losses float32 [rows]. Scores have it, too: ties between models go to the lower loss.
        constants: from the labels of the train split, as `Head.constants` gives them.
        labels: the label list.
    """

    loss: str = ""
    smoothing: float = 0.0
    label_weights: tuple[float, ...] | None = None
    own: Callable[[Any, Any], Any] | None = None
    constants: Constants = field(default_factory=dict)
    labels: tuple[str, ...] = ()


PLAIN = Objective()
