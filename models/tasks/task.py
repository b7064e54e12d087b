"""The tasks, one row each, and the modules of a task. Imports no TensorFlow.

A task is a package whose modules are imported by name, only where they are needed. The code fingerprint of a node
names the modules of the chosen task, so that an edit of another task re-runs nothing.

`facts`: facts that need no TensorFlow (`Facts`).
`starting`: what is the task's in a first config (`Starting`). Imports no TensorFlow.
`label_kinds`: which values and columns are labels, for `import` (`LabelKinds`). Imports no TensorFlow.
`labels`: the raw label column as a feature, and batches of it (`Labels`).
`head`: the loss, the scores of the training loop and the served outputs (`Head`).
`evaluation`: metrics of the Evaluator that the task computes itself (`Evaluation`), if there are any. Imports only NumPy.
`figures`: figures from predictions, for the report and for the exports' gate (`Figures`). Imports only NumPy.

A metric's name means the same in every task, so that an evaluation can be read without knowing the task.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from models.own_parts import is_own
from models.tasks.importing import Category, Imported, LabelForm, Misfit, StartingTexts
from models.tasks.label_domain import LabelDomain
from models.tasks.label_list import read_labels
from models.tasks.metric import BY_TASK, Metric
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.own_metric import properties

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from models.tasks.sections import Judged, Section
    from models.tasks.text_words import TextWords

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
        LOSSES: values of `train.loss`; the first one is the default.
        TRAIN_KEYS: keys of `train` that not all tasks use, and this one does.
        LOSS_KEYS: those of `TRAIN_KEYS` that act inside of the task's losses; a user's own loss does not see them.
        OWN_PARTS: keys of the config whose own parts (`models.own_parts`) models of the task can have.
        EXPORT_METRICS: metrics that exports can be compared by; the first one is the default. Empty: no exports.
        LABEL_KINDS: lists of a tf.Example that may contain the label: "bytes", "int64", "float".
        OF_WORDS: whether a row's label has one value for each word that `transform.words` finds in the text.
        ANSWER: the served output, float32 [batch, ...], that is compared and reported.
        PREDICTED: the served outputs that `Figures` reads, stacked in the last dimension if there are several.
        PROBLEM_TYPE: `problem_type` of a Hugging Face config, which only classes for whole texts have.
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
    LOSSES: Sequence[str]
    TRAIN_KEYS: Collection[str]
    LOSS_KEYS: Collection[str]
    OWN_PARTS: Collection[str]
    EXPORT_METRICS: Sequence[str]
    LABEL_KINDS: Sequence[str]
    OF_WORDS: bool
    ANSWER: str
    PREDICTED: Sequence[str]
    PROBLEM_TYPE: str | None
    HUB_TAG: str

    def label_text(self, values: Sequence[Any]) -> str:
        """The values of a row's label column as text, "" if there are none."""

    def label_fault(self, values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
        """The data gate's rule that a row's label breaks, "" if it breaks none, and the value to show."""

    def scheme(self, labels: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
        """How spans are written in the label columns of rows; only with OF_WORDS."""

    def sequence_faults(self, values: Sequence[Any], words: int, scheme: str) -> Iterator[tuple[str, str]]:
        """As `label_fault`, what the label of a row of so many words breaks; only with OF_WORDS."""

    def measured_labels(self, labels: Sequence[str]) -> Sequence[str]:
        """The labels under which `PER_CLASS` has values, if not all have one; only with OF_WORDS."""

    def check_labels(self, labels: Sequence[str], label_list: Path) -> None:
        """Raises UsageError for a label list that a model of the task cannot have."""

    def check_integer_labels(self, labels: Sequence[str], label_list: Path, column: str) -> None:
        """Raises GateRefused if integer labels cannot be the ids of the list; only for LABEL_KINDS with "int64"."""

    def card_summary(self, labels: Sequence[str]) -> str:
        """A sentence for the model card about what the model does."""


class Starting(Protocol):
    """A task's module `starting`."""

    def starting_texts(self, imported: Imported) -> StartingTexts:
        """The parts of a first config and schema that depend on the task."""


class LabelKinds(Protocol):
    """A task's module `label_kinds`.

    A row's label has a canonical text, which `parse` makes; rows with the same text and label are duplicates.
    FEWEST_LABELS: with fewer labels there is nothing to learn. TAKES_FORM: whether `LabelForm` says how labels are given.
    """

    FEWEST_LABELS: int
    TAKES_FORM: bool

    def parse(self, value: Any, form: LabelForm) -> str | Category:
        """The canonical text of a value, or a `Category` if it is read as any other column.

        Raises ValueError for a value that is no label, with the reason as the end of a sentence.
        """

    def counted(self, text: str, name: str) -> Sequence[str]:
        """The lines of the label list that a row counts for; `name` is that of the label column."""

    def stored(self, text: str) -> Sequence[bytes | float]:
        """The values of the label column in the tf.Example."""

    def number(self, text: str) -> float | None:
        """The label as a number, if the task predicts numbers."""

    def ordered(self, labels: Iterable[str]) -> list[str]:
        """The label list, from the lines that `counted` gave."""

    def of_parts(self, label: Any, parts: int) -> list[str]:
        """The labels of the parts of a word, from the label of the whole; only with `Facts.OF_WORDS`.

        Raises ValueError for a value that is no label, with the reason as the end of a sentence.
        """

    def of_span(self, name: str, words: int) -> list[str]:
        """The labels of the words of a span, and with name "" those of words outside of spans; only with `Facts.OF_WORDS`."""

    def not_labels(self, counts: Mapping[str, int]) -> Misfit | None:
        """What a column contains instead of labels; `counts` is label -> rows."""

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

    def row_weights(self, batch: Mapping[str, tf.Tensor], class_weights: Sequence[float] | None) -> tf.Tensor:
        """float32 [rows]: weight of the row's loss in that of a batch."""

    def arrays(self, rows: Mapping[str, Any]) -> list[np.ndarray]:
        """The labels as arrays, for a digest of the data."""

    def counts(self, rows: Mapping[str, Any], shard: str, classes: int) -> np.ndarray:
        """Sums over rows that `Head.constants` takes: of labels int64 [classes], the number of rows of each.

        Raises PipelineError for a label that cannot be, such as one outside the list.
        """

    def words_without_tokens(self, counts: Sequence[float]) -> int:
        """Words of the sums of `counts` that the model does not see, because texts were cut; only with `Facts.OF_WORDS`."""

    def names_table(self, label_list: Path) -> tf.lookup.StaticHashTable:
        """Label id -> label; the list becomes an asset of the graph."""


class Head(Protocol):
    """A task's module `head`."""

    def size(self, labels: Sequence[str]) -> int:
        """Number of outputs of the head."""

    def constants(self, label_counts: Sequence[float], rows: int) -> Constants:
        """What loss and answer need to know of the labels of the train split, from the sums of `Labels.counts`."""

    def row_losses(
        self, logits: tf.Tensor, batch: Mapping[str, tf.Tensor], objective: Objective = PLAIN
    ) -> tf.Tensor:
        """The loss of each row, float32 [rows]."""

    def score_sums(
        self,
        logits: tf.Tensor,
        batch: Mapping[str, tf.Tensor],
        weights: tf.Tensor,
        objective: Objective = PLAIN,
    ) -> tf.Tensor:
        """float32 [sums] of a batch, to be added over batches and replicas; rows of weight 0 do not count."""

    def scores(self, sums: np.ndarray, objective: Objective = PLAIN) -> dict[str, float]:
        """Computes `SCORES` from the sums of a split, in the order in which they are shown."""

    def chosen(self, sums: np.ndarray) -> Constants:
        """What the answer takes from the eval split, such as decision thresholds, from the same sums."""

    def served_outputs(
        self, logits: tf.Tensor, classes: tf.Tensor, constants: Constants | None = None
    ) -> dict[str, tf.Tensor]:
        """Outputs of every signature, whose shapes are fixed apart from the batch.

        `classes` are the labels in order of their ids, string [classes]; `constants` are those of `constants` and
        `chosen`. `Facts.ANSWER` is the only output with floating-point values: whoever does not know the task finds it
        by that.
        """

    def word_outputs(self, logits: tf.Tensor, classes: tf.Tensor, words: TextWords) -> dict[str, tf.Tensor]:
        """The same from the logits of tokens, float32 [batch, tokens, classes]; instead of it with `Facts.OF_WORDS`."""


class Evaluation(Protocol):
    """A task's module `evaluation`: metrics from served outputs, for tasks with a metric that is BY_TASK.

    NEEDS_ROWS: the metrics that cannot be computed from sums. `from_rows` is for these; `sums` and `from_sums` are for the
    others. A module has only what its metrics need.
    """

    NEEDS_ROWS: Collection[str]

    def row(self, label: Any, outputs: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """What the metrics need of a row: the values of its label column (None if absent) and its served outputs."""

    def sums(self, row: tuple[np.ndarray, ...]) -> np.ndarray:
        """float64 [sums], to be added over rows."""

    def from_sums(self, metric: str, sums: np.ndarray) -> Mapping[int | None, float]:
        """A metric, under None, and its values by label id if it has them."""

    def from_rows(self, metric: str, rows: Sequence[np.ndarray]) -> Mapping[int | None, float]:
        """The same for a metric of NEEDS_ROWS, from the arrays of `row`, each stacked to [rows, ...]."""


class Figures(Protocol):
    """A task's module `figures`. Only the task knows the type of its figures; others pass them on and draw sections.

    `probabilities` are values of `Facts.PREDICTED`, [rows, ...]; `labels` and `ids` are what `targets` returns.
    """

    MISTAKES_NOTE: str

    def targets(self, rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> np.ndarray:
        """The values of the label column of rows as numbers, [rows, ...]; `classes` are the labels of the list."""

    def measure(
        self, metric: str, labels: np.ndarray, probabilities: np.ndarray, constants: Constants | None = None
    ) -> float:
        """Computes one of `EXPORT_METRICS`; only tasks with exports have it. `constants` are those of the answer."""

    def agreement(
        self, probabilities: np.ndarray, others: np.ndarray, constants: Constants | None = None
    ) -> float:
        """Share of rows that two models answer alike; only tasks with exports have it."""

    def figures(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        classes: Sequence[str],
        constants: Constants | None = None,
    ) -> Any:
        """Computes the figures of a split's predictions; `constants` are those of the answer."""

    def mistakes(
        self,
        texts: Sequence[Sequence[str]],
        labels: Sequence[str],
        ids: np.ndarray,
        probabilities: np.ndarray,
        classes: Sequence[str],
        constants: Constants | None = None,
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

    def evaluation(self) -> Evaluation:
        """Imports the module `evaluation`, and NumPy; only tasks with a metric that is BY_TASK have it."""
        return cast(Evaluation, self._load("evaluation"))

    def evaluation_modules(self) -> tuple[str, ...]:
        """Dotted paths of what the Evaluator loads, for its code fingerprint."""
        by_task = any(known.computed_by == BY_TASK for known in self.facts().METRICS.values())
        return self.modules("facts", *(["evaluation"] if by_task else []))

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
    "multi_label": Task("multi_label", "models.tasks.multi_label"),
    "regression": Task("regression", "models.tasks.regression"),
    "token_labels": Task("token_labels", "models.tasks.token_labels"),
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
    """The properties of a metric, which may be the user's; for an unknown one, only its name.

    Raises:
        UsageError: the user's cannot be loaded.
    """
    return properties(name) if is_own(name) else every_metric().get(name, Metric(name))


def score(name: str) -> Metric:
    """The same of a score of the training loop; KeyError for an unknown one."""
    return properties(name) if is_own(name) else every_score()[name]
