"""The parts of a first config that depend on the labels of an imported dataset."""

from __future__ import annotations

from models.tasks.importing import LABELS_DOMAIN, Imported, StartingTexts, present, quarter_way

_THRESHOLDS = """\
    # Answering every text with the {best} most frequent labels gives micro F1 {floor:.3f} on the test split ({rows} rows).
    # The floor below is a quarter of the way from there to 1: enough to refuse a model that learned nothing. Raise it to
    # just below what your first runs reach. Each label has a decision threshold of its own, chosen on the eval split.
    micro_f1: {{min: {micro_f1:.2f}, max_drop: 0.02}}  # max_drop: against the last blessed model
"""


def starting_texts(imported: Imported) -> StartingTexts:
    """Bounds that a model which learned nothing does not meet, as YAML with the reasons."""
    best, floor = _constant_answer(imported)
    rows = imported.rows["test"]
    labels = len({label for counts in imported.labels.values() for label in counts})
    thresholds = _THRESHOLDS.format(best=best, floor=floor, rows=rows, micro_f1=quarter_way(floor))
    return StartingTexts(
        label_rules=present("BYTES", "value_count { min: 0 }", LABELS_DOMAIN),
        label_list=f"{labels} labels; the order gives the label ids, so never reorder it",
        thresholds=thresholds,
        training="  # class_weights: balanced  # if rare labels matter as much as frequent ones\n",
    )


def _constant_answer(imported: Imported) -> tuple[int, float]:
    """How many of the most frequent labels give the highest micro F1 if every row gets them, and that F1."""
    counts = sorted(imported.labels["test"].values(), reverse=True)
    rows, total, best = imported.rows["test"], sum(counts), (0, 0.0)
    for i in range(1, len(counts) + 1):
        f1 = 2 * sum(counts[:i]) / (total + i * rows)
        best = max(best, (i, f1), key=lambda pair: pair[1])
    return best
