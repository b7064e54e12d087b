"""Facts about labels of words that need no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.features import TAGS, WORD_SCORES, WORDS
from models.tasks.label_domain import LabelDomain
from models.tasks.metric import BY_TASK, Metric
from models.tasks.token_labels.tags import OUTSIDE, Scheme, illegal_transitions, read_tag, scheme_of

METRICS: Mapping[str, Metric] = {
    "span_f1": Metric("span F1", BY_TASK),
    "span_precision": Metric("span precision", BY_TASK),
    "span_recall": Metric("span recall", BY_TASK),
    "token_accuracy": Metric("token accuracy", BY_TASK),
    "example_count": Metric("rows", "tfma.ExampleCount", highest=math.inf, counts_rows=True),
}
DEFAULT_METRICS = ("span_f1", "token_accuracy")
REPORTED = ("span_f1", "span_precision", "span_recall", "token_accuracy", "example_count")
PER_CLASS: Mapping[str, str] = {"precision": "span_precision", "recall": "span_recall", "f1": "span_f1"}
SLICE_METRICS = REPORTED
RANKS_SLICES = "span_f1"

SCORES: Mapping[str, Metric] = {
    "span_f1": Metric("span F1"),
    "span_precision": Metric("span precision"),
    "span_recall": Metric("span recall"),
    "token_accuracy": Metric("token accuracy"),
    "loss": Metric("loss", highest=math.inf, lower_is_better=True),
}
BEST_METRIC = "span_f1"
LOSSES = ("first_pieces", "all_pieces")
TRAIN_KEYS = ("label_smoothing_factor",)
LOSS_KEYS = TRAIN_KEYS
OWN_PARTS: Sequence[str] = ()  # words and offsets are those of the raw text

EXPORT_METRICS: Sequence[str] = ()

LABEL_KINDS = ("bytes",)
OF_WORDS = True
ANSWER = WORD_SCORES
PREDICTED = (WORDS, TAGS)

PROBLEM_TYPE = None
HUB_TAG = "token-classification"


def as_label(value: bytes) -> str | bytes:
    """The tag as in the label list: `b"B-PER" -> "B-PER"`; bytes if not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def label_fault(values: Sequence[Any], domain: LabelDomain) -> tuple[str, Any]:
    """`[b"B-PER", b"O"] -> ("", None)`, `[b"B-HAM"] -> ("unknown_label", "B-HAM")`."""
    tags = (as_label(value) for value in values)
    unknown = next((tag for tag in tags if tag not in domain.labels), None)
    return ("", None) if unknown is None else ("unknown_label", unknown)


def scheme(labels: Sequence[str], rows: Iterable[Sequence[bytes]]) -> Scheme:
    """`["O", "B-PER", "E-PER"], ...` -> "BIOES": how spans are written in rows whose tags are all in the list."""
    return scheme_of(labels, ([value.decode() for value in values] for values in rows))


def sequence_faults(values: Sequence[bytes], words: int, scheme: Scheme) -> Iterator[tuple[str, str]]:
    """`[b"O"], 2, "BIO"` -> `("tag_count", "1 tag for 2 words")`; ("illegal_transition", "I-PER after O") for each of those."""
    if len(values) != words:
        yield "tag_count", f"{len(values)} tag{'s' * (len(values) != 1)} for {words} word{'s' * (words != 1)}"
        return
    for _, before, tag in illegal_transitions([value.decode() for value in values], scheme):
        yield "illegal_transition", f"{tag} after {before}"


def label_text(values: Sequence[Any]) -> str:
    """The tags of a row as text: `[b"B-PER", b"O"] -> "B-PER O"`."""
    tags = (as_label(value) for value in values)
    return " ".join(tag.decode(errors="replace") if isinstance(tag, bytes) else tag for tag in tags)


def check_labels(labels: Sequence[str], label_list: Path) -> None:
    """Raises UsageError for a list with a line that is no tag, without O or with nothing else."""
    for number, label in enumerate(labels, 1):
        try:
            read_tag(label)
        except ValueError as error:
            raise UsageError(f"{label_list}:{number}: {error}") from None
    if OUTSIDE not in labels or len(labels) < 2:
        raise UsageError(
            f"{label_list}: {len(labels)} tags; labels of words need O and the tags of at least one type of span"
        )


def measured_labels(labels: Sequence[str]) -> list[str]:
    """The first tag of each type, under which the figures of its spans are: `["O", "B-PER", "I-PER"] -> ["B-PER"]`."""
    first: dict[str, str] = {}
    for label in labels:
        if label != OUTSIDE:
            first.setdefault(read_tag(label).type, label)
    return list(first.values())


def card_summary(labels: Sequence[str]) -> str:
    """`["O", "B-LOC"] -> "A model that finds spans of 1 type in texts: LOC. ..."`."""
    types = sorted({read_tag(label).type for label in labels} - {""})
    return (
        f"A model that finds spans of {len(types)} type{'s' * (len(types) != 1)} in texts: {', '.join(types)}. Each word gets one "
        f"of {len(labels)} tags, that of its first token; words are tokenized alone (`is_split_into_words=True`)."
    )
