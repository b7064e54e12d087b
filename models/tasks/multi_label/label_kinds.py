"""Reads the labels of a row for `import`: a list, a text with a separator, or columns of 0 and 1."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.tasks.importing import BETWEEN, LabelForm, Misfit, ordered_labels

FEWEST_LABELS = 1
TAKES_FORM = True
_YES, _NO = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})


def parse(value: Any, form: LabelForm) -> str:
    """The labels of a row, sorted and without repetition: `"b; a"` with separator ";" `-> "a\\nb"`.

    Raises:
        ValueError: with the reason, as the end of a sentence.
    """
    labels = _labels(value, form)
    for label in labels:
        if not label:
            raise ValueError("has an empty label in the list; remove it")
        if len(label.splitlines()) > 1:
            raise ValueError(f"has the label {label[:40]!r}, which has several lines; correct it")
        if form.separator and form.separator in label:
            raise ValueError(
                f"has the label {label[:40]!r}, which contains the separator {form.separator!r}; use another --separator"
            )
    if not labels and not form.may_be_empty:
        raise ValueError(
            "has no label; if none may apply to a row, use --allow-unlabelled, otherwise remove the row"
        )
    return BETWEEN.join(sorted(set(labels)))


def _labels(value: Any, form: LabelForm) -> list[str]:
    if isinstance(value, Mapping):
        return [label.strip() for label, flag in value.items() if _applies(flag, label)]
    if isinstance(value, list | tuple):
        return [_label(item) for item in value]
    if value is None:
        return []
    if not isinstance(value, str):
        raise ValueError(f"must be a list of labels or a text, got {type(value).__name__}")
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        return _written_list(text)
    if form.separator:
        return [part.strip() for part in text.split(form.separator)] if text else []
    if not text:
        return []
    raise ValueError(
        f"is one text, {text[:60]!r}; say what is between its labels, such as --separator ';', or give lists"
    )


def _written_list(text: str) -> list[str]:
    """`["a", "b"]`, as JSON or Python write it."""
    try:
        items = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"looks like a list but is not one, {text[:60]!r}; quote its labels") from None
    return [_label(item) for item in items]


def _label(item: Any) -> str:
    if isinstance(item, str):
        return item.strip()
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    raise ValueError(f"has {item!r} ({type(item).__name__}) in the list; labels are strings or integers")


def _applies(flag: Any, label: str) -> bool:
    text = str(flag).strip().lower()
    if text in _YES | _NO:
        return text in _YES
    raise ValueError(f"has {flag!r} in the column {label!r}, which must be 0 or 1")


def counted(text: str, name: str) -> Sequence[str]:
    """The labels of a row: `"a\\nb" -> ["a", "b"]`."""
    del name
    return text.split(BETWEEN) if text else []


def stored(text: str) -> Sequence[bytes]:
    """The values of the label column: `"a\\nb" -> [b"a", b"b"]`."""
    return [label.encode() for label in counted(text, "")]


def number(text: str) -> float | None:
    """None: labels are not numbers."""
    del text
    return None


def ordered(labels: Iterable[str]) -> list[str]:
    """The label list: `{"b", "a"} -> ["a", "b"]`."""
    return ordered_labels(labels)


def not_labels(counts: Mapping[str, int]) -> Misfit | None:
    """Nothing more is known from the labels together."""
    del counts
    return None


def suspicions(counts: Mapping[str, int]) -> Iterator[str]:
    """None."""
    del counts
    yield from ()
