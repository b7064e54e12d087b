"""What `import` and a task tell each other about labels. Imports no TensorFlow."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Between the labels of a row in its canonical text: a label list has one label per line, so no label contains it.
BETWEEN = "\n"


@dataclass(frozen=True)
class LabelForm:
    """How the files give a row's label.

    `separator`: between the labels of one text; "" if there is none. `columns`: of 0 and 1, one per label, whose values
    are given as one mapping. `may_be_empty`: whether a row may have no label.
    """

    separator: str = ""
    columns: tuple[str, ...] = ()
    may_be_empty: bool = False


@dataclass(frozen=True)
class Misfit:
    """Why values are no labels of a task, as the end of a sentence.

    `task` and `separator`: what they certainly are instead; "" if that is for the user to say.
    """

    reason: str
    task: str = ""
    separator: str = ""


@dataclass(frozen=True)
class Category:
    """A label that is read as the values of other columns are: an integer or a string of one line.

    `why_not`: why another value is no label.
    """

    why_not: Callable[[Any], Misfit]


@dataclass
class Spread:
    """Mean, deviation and range of numbers, updated one at a time (Welford)."""

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared differences from the mean
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, number: float) -> None:
        self.rows += 1
        off = number - self.mean
        self.mean += off / self.rows
        self.squares += off * (number - self.mean)
        self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)

    @property
    def deviation(self) -> float:
        """Standard deviation, 0 without rows."""
        return math.sqrt(self.squares / self.rows) if self.rows else 0.0


@dataclass(frozen=True)
class Imported:
    """What was written. `labels`: split -> label -> rows; `rows`: split -> rows; `targets`: split -> numbers.

    `words`: the rule that found the words, if the label has a value for each.
    """

    labels: Mapping[str, Mapping[str, int]]
    rows: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, Spread] = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True)
class StartingTexts:
    """The parts of a first config and schema that depend on the task.

    `label_rules`: lines of the label's feature in the schema, without its name. `label_list`: a comment. `training`: lines
    of comments below `train`. `slicing`: lines below `evaluate.slices`. `tokenization`: lines below `transform`.
    """

    label_rules: str
    label_list: str
    thresholds: str
    training: str = ""
    slicing: str = ""
    tokenization: str = ""


def ordered_labels(labels: Iterable[str]) -> list[str]:
    """Sorts integers by value, other labels by code point: `{"10", "9"}` -> `["9", "10"]`."""
    distinct = set(labels)
    if all(re.fullmatch(r"0|-?[1-9][0-9]*", label) for label in distinct):
        return sorted(distinct, key=int)
    return sorted(distinct)


def present(kind: str, *rules: str) -> str:
    """`("BYTES", 'domain: "labels"')` -> the lines of a column that every row has and that is not served."""
    lines = [
        f"type: {kind}",
        "presence { min_fraction: 1.0 min_count: 1 }",
        *rules,
        'not_in_environment: "SERVING"',
    ]
    return "".join(f"  {line}\n" for line in lines)


ONE_VALUE = "shape { dim { size: 1 } }"
LABELS_DOMAIN = 'domain: "labels"'


def quarter_way(floor: float) -> float:
    """A quarter of the way from a floor to 1, rounded down to 2 digits: `0.2 -> 0.4`."""
    return math.floor((floor + 0.25 * (1 - floor)) * 100) / 100
