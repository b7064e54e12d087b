"""The tasks, one row each, and the modules of a task. Imports no TensorFlow.

A task is a package whose modules are imported by name, only where they are needed. The code fingerprint of a node
names the modules of the chosen task, so that an edit of another task re-runs nothing.

`facts`: facts that need no TensorFlow (`Facts`).
`starting`: the thresholds of a first config (`Starting`). Imports no TensorFlow.
`label_kinds`: which values and columns are labels, for `import` (`LabelKinds`). Imports no TensorFlow.
`labels`: the raw label column as a feature, and batches of it (`Labels`).
`head`: the loss, the scores of the training loop and the served outputs (`Head`).
`figures`: figures from predictions, for the report and for the exports' gate (`Figures`). Imports only NumPy.

A metric's name means the same in every task, so that an evaluation can be read without knowing the task.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from models.tasks.label_list import read_labels
from models.tasks.metric import Metric

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from models.tasks.sections import Judged, Section

LOSS = "loss"  # the score that every task has


class Facts(Protocol):
    """A task's module `facts`.

    Attributes:
        METRICS: metrics of the Evaluator and their properties.
        SCORES: scores of the training loop and their properties; `LOSS` is one of them.
        DEFAULT_METRICS: default of `evaluate.metrics`.
        REPORTED: metrics that are always computed.
        PER_CLASS: measure shown per class -> the metric that has its values by class; the last one ranks classes.
        SLICE_METRICS: metrics shown for each slice.
        RANKS_SLICES: the metric that ranks slices, which must make sense for a single class.
        BEST_METRIC: default of `train.metric_for_best_model`, a score.
        EXPORT_METRICS: metrics that exports can be compared by; the first one is the default.
        LABEL_KINDS: lists of a tf.Example that may contain the label: "bytes", "int64", "float".
        ANSWER: the served output, float32 [batch, ...], that is evaluated, compared and reported.
        PROBLEM_TYPE: `problem_type` of a Hugging Face config.
        HUB_TAG: `pipeline_tag` of a model card.
    """

    METRICS: Mapping[str, Metric]
    SCORES: Mapping[str, Metric]
    DEFAULT_METRICS: Sequence[str]
    REPORTED: Sequence[str]
    PER_CLASS: Mapping[str, str]
    SLICE_METRICS: Sequence[str]
    RANKS_SLICES: str
    BEST_METRIC: str
    EXPORT_METRICS: Sequence[str]
    LABEL_KINDS: Sequence[str]
    ANSWER: str
    PROBLEM_TYPE: str
    HUB_TAG: str

    def as_label(self, value: bytes | int) -> str | bytes:
        """A value of the label column as in the label list."""

    def label_text(self, values: Sequence[Any]) -> str:
        """The values of a row's label column as text, "" if there are none."""

    def label_fault(self, values: Sequence[Any], labels: frozenset[str]) -> str:
        """The data gate's rule that a row's label breaks, "" if it breaks none."""

    def check_labels(self, labels: Sequence[str], label_list: Path) -> None:
        """Raises UsageError for a label list that a model of the task cannot have."""

    def check_integer_labels(self, labels: Sequence[str], label_list: Path, column: str) -> None:
        """Raises GateRefused if integer labels cannot be the ids of the list."""

    def card_summary(self, labels: Sequence[str]) -> str:
        """A sentence for the model card about what the model does."""


class Starting(Protocol):
    """A task's module `starting`."""

    def starting_thresholds(self, splits: Mapping[str, Mapping[str, int]]) -> str:
        """The lines below `evaluate.thresholds` of a first config; `splits` is split -> label -> rows."""


class LabelKinds(Protocol):
    """A task's module `label_kinds`."""

    def why_no_label(self, value: Any) -> str:
        """Why a value that is neither an integer nor a string of one line is no label, as the end of a sentence."""

    def not_labels(self, counts: Mapping[str, int]) -> str | None:
        """What a column contains instead of labels, as the end of a sentence; `counts` is value -> rows."""

    def suspicions(self, counts: Mapping[str, int]) -> Iterator[str]:
        """Warnings about values that may be no labels."""


class Labels(Protocol):
    """A task's module `labels`. `rows` are parsed examples, `order` int32 [rows] selects some of them."""

    def label_features(self, column: Any, label_list: Path) -> dict[str, Any]:
        """Converts the raw column to the features that Transform writes, with the names of `parsing_spec`."""

    def parsing_spec(self) -> dict[str, Any]:
        """The spec for `tf.io.parse_example`."""

    def batch_spec(self) -> dict[str, tf.TensorSpec]:
        """The spec of what `batch` returns, for any number of rows."""

    def batch(self, rows: Mapping[str, Any], order: tf.Tensor) -> dict[str, tf.Tensor]:
        """The labels of the selected rows."""

    def targets(self, batch: Mapping[str, tf.Tensor]) -> np.ndarray:
        """The labels of a batch as `Figures.measure` takes them, [rows, ...]."""

    def row_weights(self, batch: Mapping[str, tf.Tensor], class_weights: Sequence[float]) -> tf.Tensor:
        """float32 [rows]: weight in the loss."""

    def arrays(self, rows: Mapping[str, Any]) -> list[np.ndarray]:
        """The labels as arrays, for a digest of the data."""

    def counts(self, rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
        """int64 [classes]: the number of rows of each label; raises PipelineError for one outside the list."""

    def names_table(self, label_list: Path) -> tf.lookup.StaticHashTable:
        """Label id -> label; the list becomes an asset of the graph."""


class Head(Protocol):
    """A task's module `head`."""

    def size(self, labels: Sequence[str]) -> int:
        """Number of outputs of the head."""

    def row_losses(
        self, logits: tf.Tensor, batch: Mapping[str, tf.Tensor], smoothing: float = 0.0
    ) -> tf.Tensor:
        """The loss of each row, float32 [rows]."""

    def score_sums(self, logits: tf.Tensor, batch: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
        """float32 [sums] of a batch, to be added over batches and replicas; rows of weight 0 do not count."""

    def scores(self, sums: Sequence[float]) -> dict[str, float]:
        """Computes `SCORES` from the sums of a split, in the order in which they are shown."""

    def served_outputs(self, logits: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Outputs of every signature; `classes` are the labels in order of their ids, string [classes].

        `Facts.ANSWER` is the only one with floating-point values: whoever does not know the task finds it by that.
        """


class Figures(Protocol):
    """A task's module `figures`. Only the task knows the type of its figures; others pass them on and draw sections.

    `probabilities` are values of `Facts.ANSWER`, float32 [rows, ...]; `labels` and `ids` are what `targets` returns.
    """

    MISTAKES_NOTE: str

    def targets(self, rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
        """The values of the label column of rows as numbers, [rows, ...]; `classes` are the labels of the list."""

    def measure(self, metric: str, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """Computes one of `EXPORT_METRICS`."""

    def agreement(self, probabilities: np.ndarray, others: np.ndarray) -> float:
        """Share of rows that two models answer alike."""

    def figures(self, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Any:
        """Computes the figures of a split's predictions."""

    def mistakes(
        self,
        texts: Sequence[Sequence[str]],
        labels: Sequence[str],
        ids: np.ndarray,
        probabilities: np.ndarray,
        classes: Sequence[str],
    ) -> Iterator[Any]:
        """The rows that the model gets wrong."""

    def gravity(self, mistake: Any) -> float:
        """Sort key of mistakes, the worst first."""

    def describe_mistake(self, mistake: Any) -> Sequence[tuple[str, str, str]]:
        """`[("labelled", "HUM", "2.1%"), ("predicted", "LOC", "95.0%")]`."""

    def scalars(self, figures: Any) -> dict[str, float | None]:
        """Single figures, for `system.Metrics`."""

    def dashboard(self, figures: Any) -> dict[str, Any]:
        """Custom properties of `system.ClassificationMetrics`, which Kubeflow draws."""

    def answer_sections(self, figures: Any, judged: Judged) -> Iterator[Section]:
        """Sections about correct and wrong predictions."""

    def confidence_sections(self, figures: Any, judged: Judged) -> Iterator[Section]:
        """Sections about the model's confidence."""


@dataclass(frozen=True)
class Task:
    """A task by its name and its package."""

    name: str
    package: str

    def modules(self, *parts: str) -> tuple[str, ...]:
        """Dotted paths of modules, for a code fingerprint: `("facts",) -> ("models.tasks.single_label.facts",)`."""
        return tuple(f"{self.package}.{part}" for part in parts)

    def facts(self) -> Facts:
        """Imports the module `facts`."""
        return cast(Facts, self._load("facts"))

    def starting(self) -> Starting:
        """Imports the module `starting`."""
        return cast(Starting, self._load("starting"))

    def label_kinds(self) -> LabelKinds:
        """Imports the module `label_kinds`."""
        return cast(LabelKinds, self._load("label_kinds"))

    def labels(self) -> Labels:
        """Imports the module `labels`, and TensorFlow."""
        return cast(Labels, self._load("labels"))

    def head(self) -> Head:
        """Imports the module `head`, and TensorFlow."""
        return cast(Head, self._load("head"))

    def figures(self) -> Figures:
        """Imports the module `figures`, and NumPy."""
        return cast(Figures, self._load("figures"))

    def read_labels(self, label_list: Path) -> list[str]:
        """Reads a label list and checks it.

        Raises:
            UsageError: it cannot be read, or no model of the task can have it.
        """
        labels = read_labels(label_list)
        self.facts().check_labels(labels, label_list)
        return labels

    def _load(self, part: str) -> object:
        return importlib.import_module(f"{self.package}.{part}")


TASKS = {
    "single_label": Task("single_label", "models.tasks.single_label"),
}
DEFAULT_TASK = "single_label"  # for configs that do not set the task


@functools.cache
def every_metric() -> Mapping[str, Metric]:
    """The Evaluator's metrics of all tasks."""
    return {name: metric for task in TASKS.values() for name, metric in task.facts().METRICS.items()}


@functools.cache
def every_score() -> Mapping[str, Metric]:
    """The training loop's scores of all tasks."""
    return {name: score for task in TASKS.values() for name, score in task.facts().SCORES.items()}


def metric(name: str) -> Metric:
    """The properties of a metric; for an unknown one, only its name."""
    return every_metric().get(name, Metric(name))
