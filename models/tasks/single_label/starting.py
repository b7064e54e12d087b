"""The thresholds of a first config, derived from the labels of an imported dataset."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping

from models.tasks.importing import LABELS_DOMAIN, ONE_VALUE, Imported, StartingTexts, present, quarter_way

_THRESHOLDS = """\
    # Always answering {majority} gives accuracy {share:.3f} and macro F1 {majority_f1:.3f} on the test split
    # ({rows} rows). The floors below are a quarter of the way from there to 1: enough to
    # refuse a model that learned nothing. Raise them to just below what your first runs reach.
    accuracy: {{min: {accuracy:.2f}, max_drop: 0.02}}  # max_drop: against the last blessed model
    macro_f1: {{min: {macro_f1:.2f}}}
    # Answering every text with the shares of the labels gives cross-entropy {entropy:.3f}: probabilities must be
    # better than that, and not much worse than the last blessed model's, whatever the accuracy.
    cross_entropy: {{max: {max_entropy:g}, max_rise: {max_rise:g}}}
"""


def starting_texts(imported: Imported) -> StartingTexts:
    """The thresholds, and slices by the label."""
    labels = len({label for counts in imported.labels.values() for label in counts})
    return StartingTexts(
        label_rules=present("BYTES", ONE_VALUE, LABELS_DOMAIN),
        label_list=f"{labels} labels; the order gives the label ids, so never reorder it",
        thresholds=starting_thresholds(imported.labels),
        training="  # class_weights: balanced  # if rare classes matter as much as frequent ones\n",
        slicing="    - columns: [label]  # metrics of each class; add thresholds to reject a model by its worst class\n",
    )


def starting_thresholds(splits: Mapping[str, Mapping[str, int]]) -> str:
    """Bounds that a model which learned nothing does not meet, as YAML with the reasons.

    Args:
        splits: split -> label -> rows; "test" is one of them.
    """
    labels = splits["test"]
    rows = sum(labels.values())
    majority = max(sorted(labels), key=lambda label: labels[label])
    share = labels[majority] / rows
    classes = len({label for counts in splits.values() for label in counts})
    majority_f1 = 2 * share / (1 + share) / classes
    entropy = _entropy(splits)
    return _THRESHOLDS.format(
        majority=json.dumps(majority, ensure_ascii=not majority.isprintable()),
        share=share,
        majority_f1=majority_f1,
        rows=rows,
        accuracy=quarter_way(share),
        macro_f1=quarter_way(majority_f1),
        entropy=entropy,
        max_entropy=_two_digits(0.9 * entropy),
        max_rise=_two_digits(0.1 * entropy),
    )


def _entropy(splits: Mapping[str, Mapping[str, int]]) -> float:
    """Entropy of the labels of all splits, in nats: the cross-entropy of always answering with their shares."""
    counts = Counter[str]()
    for labels in splits.values():
        counts.update(labels)
    rows = counts.total()
    return -sum(n / rows * math.log(n / rows) for n in counts.values())


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
