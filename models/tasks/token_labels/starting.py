"""The parts of a first config that depend on the tags of an imported dataset."""

from __future__ import annotations

from models.tasks.importing import LABELS_DOMAIN, Imported, StartingTexts, present, quarter_way
from models.tasks.token_labels.tags import OUTSIDE

_THRESHOLDS = """\
    # Answering O for every word gives span F1 0. The floor below is enough to refuse a model that learned nothing. Raise it to
    # just below what your first runs reach.
    span_f1: {{min: {span_f1:.2f}, max_drop: 0.02}}  # max_drop: against the last blessed model
"""


def starting_texts(imported: Imported) -> StartingTexts:
    """Bounds that a model which learned nothing does not meet, as YAML with the reasons."""
    tags = {tag for counts in imported.labels.values() for tag in counts} | {OUTSIDE}
    return StartingTexts(
        label_rules=present("BYTES", "value_count { min: 1 }", LABELS_DOMAIN),
        label_list=f"{len(tags)} tags; the order gives the label ids, so never reorder it",
        thresholds=_THRESHOLDS.format(span_f1=quarter_way(0)),
        training="  # loss: all_pieces  # first_pieces (default): of the first token of each word\n",
        tokenization=f"  words: {imported.words}  # how texts are divided into words, in training and serving\n",
    )
