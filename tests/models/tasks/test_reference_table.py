"""The table of docs/tasks.md: every metric beside its reference implementation, on the same served answers.

`python -m tests.models.tasks.test_reference_table` writes it.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from seqeval import metrics as seqeval
from sklearn import metrics as sk

from components.project import PROJECT_DIR
from models.tasks.task import TASKS
from tests.components.evaluator.test_task_metrics import Classes, evaluated

ROWS, CLASSES = 400, 6
PAGE = PROJECT_DIR / "docs" / "tasks.md"
HEADER = "| task | metric | value | reference | its value |"


def several() -> Iterator[tuple[str, float, str, float]]:
    """(metric, our value, reference, its value) of a multi-label task."""
    rng = np.random.default_rng(7)
    scores = rng.random((ROWS, CLASSES)).astype(np.float32)
    has = rng.random((ROWS, CLASSES)) < scores**2
    answered = scores >= np.linspace(0.4, 0.7, CLASSES)
    names = np.array([f"label {i}".encode() for i in range(CLASSES)], object)
    evaluation = TASKS["multi_label"].evaluation()
    rows = [
        evaluation.row(
            names[h], {"all_classes": names, "labels": np.where(a, names, b""), "probabilities": s}
        )
        for h, a, s in zip(has, answered, scores, strict=True)
    ]
    sums = np.sum([evaluation.sums(row) for row in rows], axis=0)
    stacked = [np.stack(arrays) for arrays in zip(*rows, strict=True)]
    references = {
        "micro_f1": ("sklearn f1_score(average='micro')", sk.f1_score(has, answered, average="micro")),
        "macro_f1": ("sklearn f1_score(average='macro')", sk.f1_score(has, answered, average="macro")),
        "sample_f1": (
            "sklearn f1_score(average='samples', zero_division=1)",
            sk.f1_score(has, answered, average="samples", zero_division=1),
        ),
        "macro_precision": (
            "sklearn precision_score(average='macro')",
            sk.precision_score(has, answered, average="macro"),
        ),
        "macro_recall": (
            "sklearn recall_score(average='macro')",
            sk.recall_score(has, answered, average="macro"),
        ),
        "subset_accuracy": ("sklearn accuracy_score", sk.accuracy_score(has, answered)),
        "binary_cross_entropy": (
            "sklearn log_loss, of all decisions",
            sk.log_loss(has.ravel(), scores.ravel().astype(np.float64)),
        ),
        "auc": ("sklearn roc_auc_score(average='macro')", sk.roc_auc_score(has, scores)),
        "mean_average_precision": (
            "sklearn average_precision_score(average='macro')",
            sk.average_precision_score(has, scores),
        ),
    }
    for name, (reference, value) in references.items():
        needs_rows = name in evaluation.NEEDS_ROWS
        ours = evaluation.from_rows(name, stacked) if needs_rows else evaluation.from_sums(name, sums)
        yield name, ours[None], reference, float(value)


@functools.cache
def one() -> tuple[tuple[str, float, str, float], ...]:
    """(metric, TFMA's value, reference, its value) of a single-label task."""
    rng = np.random.default_rng(7)
    classes = [f"label {i}" for i in range(CLASSES)]
    labels = np.minimum(rng.geometric(0.35, ROWS) - 1, CLASSES - 1)
    logits = rng.normal(0.0, 1.0, (ROWS, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    texts = [" ".join(f"{p:.6f}" for p in np.exp(row) / np.exp(row).sum()) for row in logits]
    probabilities = np.array([text.split() for text in texts], np.float32).astype(np.float64)
    rows = [([classes[i]], text, "") for i, text in zip(labels, texts, strict=True)]
    names = sorted({*TASKS["single_label"].facts().METRICS} - {"example_count"})
    with tempfile.TemporaryDirectory() as folder:
        bounds = {"accuracy": {"min": 0.0}}
        given = (Path(folder), Classes(classes), rows, "single_label", classes)
        found = evaluated(*given, metrics=names, thresholds=bounds).metrics
    chosen, whole = probabilities.argmax(1), probabilities / probabilities.sum(1, keepdims=True)
    macro = "average='macro'"
    references = {
        "accuracy": ("sklearn accuracy_score", sk.accuracy_score(labels, chosen)),
        "micro_f1": ("sklearn f1_score(average='micro')", sk.f1_score(labels, chosen, average="micro")),
        "macro_f1": (f"sklearn f1_score({macro})", sk.f1_score(labels, chosen, average="macro")),
        "macro_precision": (
            f"sklearn precision_score({macro})",
            sk.precision_score(labels, chosen, average="macro"),
        ),
        "macro_recall": (f"sklearn recall_score({macro})", sk.recall_score(labels, chosen, average="macro")),
        "mcc": ("sklearn matthews_corrcoef", sk.matthews_corrcoef(labels, chosen)),
        **{
            f"top_{k}_accuracy": (
                f"sklearn top_k_accuracy_score(k={k})",
                sk.top_k_accuracy_score(labels, probabilities, k=k),
            )
            for k in (3, 5)
        },
        "cross_entropy": ("sklearn log_loss", sk.log_loss(labels, whole)),
        "auc": (
            f"sklearn roc_auc_score(multi_class='ovr', {macro})",
            sk.roc_auc_score(labels, whole, multi_class="ovr", average="macro"),
        ),
    }
    return tuple(
        (name, found[name], reference, float(value)) for name, (reference, value) in references.items()
    )


def number() -> Iterator[tuple[str, float, str, float]]:
    """(metric, our value, reference, its value) of a regression."""
    rng = np.random.default_rng(7)
    targets = rng.integers(1, 11, ROWS).astype(np.float32)
    values = (targets * 0.6 + rng.normal(2.0, 1.5, ROWS)).astype(np.float32)
    evaluation = TASKS["regression"].evaluation()
    rows = [evaluation.row([t], {"value": v}) for t, v in zip(targets, values, strict=True)]
    stacked = [np.stack(arrays) for arrays in zip(*rows, strict=True)]
    t, v = targets.astype(np.float64), values.astype(np.float64)
    references = {
        "rmse": ("sklearn root_mean_squared_error", sk.root_mean_squared_error(t, v)),
        "mae": ("sklearn mean_absolute_error", sk.mean_absolute_error(t, v)),
        "r2": ("sklearn r2_score", sk.r2_score(t, v)),
        "pearson": ("scipy pearsonr", stats.pearsonr(t, v).statistic),
        "spearman": ("scipy spearmanr", stats.spearmanr(t, v).statistic),
    }
    for name, (reference, value) in references.items():
        yield name, evaluation.from_rows(name, stacked)[None], reference, float(value)


def words() -> Iterator[tuple[str, float, str, float]]:
    """(metric, our value, reference, its value) of labels of words."""
    rng = np.random.default_rng(7)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    labelled = [[tags[i] for i in rng.integers(0, len(tags), n)] for n in rng.integers(1, 20, ROWS)]
    answered = [[t if rng.random() < 0.8 else tags[rng.integers(len(tags))] for t in row] for row in labelled]
    evaluation, classes = TASKS["token_labels"].evaluation(), np.array([*map(str.encode, tags)], object)
    rows = [
        evaluation.row(
            [*map(str.encode, row)], {"tags": [*map(str.encode, found), b""], "all_classes": classes}
        )
        for row, found in zip(labelled, answered, strict=True)
    ]
    sums = np.sum([evaluation.sums(row) for row in rows], axis=0)
    references = {
        "span_f1": seqeval.f1_score,
        "span_precision": seqeval.precision_score,
        "span_recall": seqeval.recall_score,
        "token_accuracy": seqeval.accuracy_score,
    }
    for name, reference in references.items():
        value = float(reference(labelled, answered))
        yield name, evaluation.from_sums(name, sums)[None], f"seqeval {reference.__name__}", value


def lines() -> list[str]:
    makers = {"single_label": one, "multi_label": several, "regression": number, "token_labels": words}
    rows = [(task, *row) for task, make in makers.items() for row in make()]
    cells = [f"| {task} | `{name}` | {ours:.6f} | {ref} | {v:.6f} |" for task, name, ours, ref, v in rows]
    return [HEADER, "|---|---|---|---|---|", *cells]


@pytest.mark.parametrize(
    ("task", "pairs"),
    [("single_label", one), ("multi_label", several), ("regression", number), ("token_labels", words)],
)
def test_every_metric_has_the_value_of_its_reference(task, pairs):
    found = {name: (ours, value) for name, ours, _, value in pairs()}
    assert {*found, "example_count"} == TASKS[task].facts().METRICS.keys()
    for name, (ours, value) in found.items():
        # TFMA takes the area under a curve of 10,000 thresholds.
        by_thresholds = TASKS[task].facts().METRICS[name].computed_by == "tfma.AUC"
        assert ours == pytest.approx(value, rel=1e-3 if by_thresholds else 1e-5), name


def with_table(page: str) -> str:
    """The page with this table instead of the one that it has."""
    before, rest = page.split(HEADER)
    _, _, after = rest.partition("\n\n")
    return "\n".join([before + HEADER, *lines()[1:], "", after])


def test_the_table_of_the_page_is_this_one():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
