"""Label columns that hold no classes: numbers to predict, several labels of one row, ids and dates.

Each would train without an error, as a classifier of classes that mean nothing. Only the labels and their counts
decide; in doubt labels are classes. `--as-classes` says that the user knows better.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.look_alikes import listed
from models.tasks.importing import Category, LabelForm, Misfit, ordered_labels

GO_ON = "if each of these values is a class, use --as-classes"
SEVERAL = "several labels of one row (multi-label)"
QUANTITY = "numbers to predict (regression)"
USE_REGRESSION = "use --task regression"
MULTI_LABEL, TOKEN_LABELS = "multi_label", "token_labels"
FEWEST_LABELS = 2
TAKES_FORM = False
# Spellings of missing values that were converted to text. Some are also names ("None", "NA").
MISSING = frozenset({"nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "nil", "undefined"})
# Scales (1 to 5, 1 to 20) have few values, whatever the number of rows.
_FEW_VALUES = 20
_ROWS_PER_NUMBER = 10
_FEW_LABELS = 10
_ROWS_PER_LABEL = 2
# A comma is also part of many names: "Agree" and "Agree, strongly".
_SEPARATORS = ";|,"
_NEARLY_ALL = 0.9
_NUMBER = re.compile(r"[-+]?[$€£¥]?\s?(\d{1,3}(?:,\d{3})+|\d*)(\.\d*)?(?:[eE][-+]?\d+)?\s?[%$€£¥]?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+(,\d+)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([T ]\d{1,2}:\d{2}.*)?", re.ASCII
)
_WHOLE_FLOAT = re.compile(r"[-+]?\d+\.0+", re.ASCII)
_TAG = re.compile(r"O|[BIES]-\S+")
_BITS = re.compile(r"[01]([ ,;|][01])+")
_BRACKETS = {"[": "]", "{": "}", "(": ")", "<": ">"}


def parse(value: Any, form: LabelForm) -> Category:
    """A class is a category, as the values of other columns."""
    del value, form
    return Category(why_no_label)


def counted(text: str, name: str) -> Sequence[str]:
    """A row has one label: `"a" -> ["a"]`."""
    del name
    return [text]


def stored(text: str) -> Sequence[bytes]:
    """The values of the label column: `"a" -> [b"a"]`."""
    return [text.encode()]


def number(text: str) -> None:
    """None: classes are not numbers."""
    del text


def ordered(labels: Iterable[str]) -> list[str]:
    """The label list: `{"b", "a"} -> ["a", "b"]`."""
    return ordered_labels(labels)


def not_labels(counts: Mapping[str, int]) -> Misfit | None:
    """What a label column contains instead of classes; None if it contains classes.

    `{"3.14": 1, "2.5": 1}` -> `Misfit("looks like numbers to predict: regression? use --task regression ...")`

    Args:
        counts: label -> rows.
    """
    labels = [label for label in counts if label.casefold() not in MISSING]
    if len(labels) < 2:
        return None
    for judge in (_tags, _dates, _lists, _decimal_commas, _combinations, _numbers, _ids):
        if reason := judge(labels, counts):
            return reason
    return None


def why_no_label(value: Any) -> Misfit:
    """Why a value that is neither an integer nor a string of one line is no class."""
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, float | decimal.Decimal):
        return Misfit(f": {QUANTITY}? {USE_REGRESSION}; {GO_ON}")
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        go_on = f" {GO_ON.capitalize()}" if isinstance(value, datetime.date) else ""
        return Misfit(f", a time instead of a class: is it the label column?{go_on}")
    return Misfit(": a label must be an integer or a string of one line")


def _of_list(values: Sequence[Any]) -> Misfit:
    if values and all(isinstance(value, Mapping) and {"start", "end"} <= value.keys() for value in values):
        return Misfit(", a list of spans: labels of words; use --task token_labels", TOKEN_LABELS)
    if values and all(isinstance(value, str) and _TAG.fullmatch(value) for value in values):
        return Misfit(
            f", a list of tags: is each the label of a word, use --task token_labels; are they {SEVERAL}, use --task multi_label"
        )
    return Misfit(f", a list: {SEVERAL}; use --task multi_label", MULTI_LABEL)


def suspicions(counts: Mapping[str, int]) -> Iterator[str]:
    """Yields warnings about labels that may not be classes, if there is too little evidence for an error."""
    for label in counts:
        if label.casefold() in MISSING:
            yield (
                f"the label {label!r} ({counts[label]:,} rows) may be a missing value written as text: if it is not "
                f"a class, remove its rows"
            )
        elif "\ufffd" in label:
            yield f"the label {label!r} contains U+FFFD, which replaces a lost character: correct it"
    if all(_WHOLE_FLOAT.fullmatch(label) for label in counts):
        yield f"the labels are whole numbers written as floats, such as {_samples(list(counts))}: write integers"
    for label, part in _contained(counts):
        yield f"the label {part!r} is part of the label {label!r}: if these are {SEVERAL}, use --task multi_label"
        return  # one example is enough


def _contained(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for separator in _SEPARATORS:
        for label in counts:
            yield from (
                (label, part) for part in _parts(label, separator) if part in counts and part != label
            )


def _tags(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    """Recognizes tags of words (`B-LOC O O`), and files in which each row is a word with its tag."""
    tags = [re.findall(r"[^\s\[\],'\"]+", label) for label in labels]
    if not all(row and all(map(_TAG.fullmatch, row)) for row in tags) or not any("O" in row for row in tags):
        return None
    if max(map(len, tags)) > 1:
        what = (
            f"looks like a tag for each word, such as {_samples(labels)}; use --task token_labels, or {GO_ON}"
        )
        return Misfit(what)
    return Misfit(
        f"looks like the tags of single words, such as {_samples(labels)}: for labels of words, write a word and its tag on each "
        f"line and an empty line after each text, as CoNLL does, into a file named .conll; {GO_ON}"
    )


def _dates(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    if sum(_DATE.fullmatch(label) is not None for label in labels) < _NEARLY_ALL * len(labels):
        return None
    return Misfit(
        f"contains dates, not classes, such as {_samples(labels)}; is it the label column? {GO_ON.capitalize()}"
    )


def _lists(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    """Recognizes lists that pandas wrote to CSV (`['a', 'b']`), database arrays (`{a,b}`), tags (`<a><b>`), 0/1 vectors."""
    if all(_BITS.fullmatch(label) for label in labels):
        what = f"looks like {SEVERAL}: a 0 or 1 for each label, such as {_samples(labels)}"
        return Misfit(f"{what}; write one column for each label and use --label-column for each, or {GO_ON}")
    if not all(_BRACKETS.get(label[:1]) == label[-1:] and len(label) > 1 for label in labels):
        return None
    if all(re.fullmatch(r"""\[\s*(["'].*["'])?\s*\]""", label) for label in labels):
        return Misfit(f"contains lists, such as {_samples(labels)}: {SEVERAL}", MULTI_LABEL)
    if any(re.search(r"[,;|'\"]|><", label) for label in labels):
        what = f"looks like {SEVERAL}: lists, such as {_samples(labels)}"
        return Misfit(f'{what}; write them as ["a", "b"] and use --task multi_label, or {GO_ON}')
    return None


def _decimal_commas(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    matches = [_DECIMAL_COMMA.fullmatch(label) for label in labels]
    if not all(matches) or not any(match and match[1] for match in matches):
        return None
    if all(_NUMBER.fullmatch(label) for label in labels):  # 1,250: a comma between thousands
        return None
    return Misfit(
        f"looks like numbers with a decimal comma or several labels of one row, such as {_samples(labels)}: for numbers, "
        f"write a decimal point and {USE_REGRESSION}; for several labels, use --task multi_label --separator ','; {GO_ON}"
    )


def _combinations(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    """Recognizes labels composed of parts that also occur alone, or in other positions, in other labels.

    `a;b` is composed if `b` is a label too; `Books, Music` is a name if the other label is `Toys`. In a path of
    categories, `Phone|Old` and `Phone|New`, each part has only one position.
    """
    for separator in _SEPARATORS:
        parts_of = {label: _parts(label, separator) for label in labels}
        places: dict[str, set[int]] = {}
        for parts in parts_of.values():
            for place, part in enumerate(parts):
                places.setdefault(part, set()).add(place)
        combined = [label for label in labels if len(parts_of[label]) > 1]
        inner = {part for label in combined for part in parts_of[label]}
        telling = {p for p in inner if len(places[p]) > 1 or (separator != "," and p in parts_of)}
        if telling and 2 * len(_shared(parts_of.values()) & inner) >= len(inner):
            example = next(label for label in combined if telling & set(parts_of[label]))
            return Misfit(
                f"looks like {SEVERAL}: {len(combined):,} of {len(labels):,} labels, such as {example!r} ({counts[example]:,} rows), are "
                f"parts of other labels with {separator!r} between: {listed(parts_of[example])}",
                MULTI_LABEL,
                separator,
            )
    return None


def _parts(label: str, separator: str) -> list[str]:
    return [part for part in (piece.strip() for piece in label.split(separator)) if part]


def _shared(parts_of_labels: Iterable[Sequence[str]]) -> set[str]:
    """Returns the parts that occur in more than one label."""
    seen = Counter(part for parts in parts_of_labels for part in set(parts))
    return {part for part, times in seen.items() if times > 1}


def _numbers(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    values = {label: value for label in labels if (value := _value(label)) is not None}
    if len(values) < _NEARLY_ALL * len(labels):
        return None
    fractions = [label for label, value in values.items() if not value.is_integer()]
    rows = sum(counts[label] for label in values)
    if not fractions and _could_be_classes(values, [counts[label] for label in values]):
        return None
    return Misfit(
        f"looks like {QUANTITY}: {len(values):,} values in {rows:,} rows, such as {_samples(fractions or list(values))}; "
        f"regression? {USE_REGRESSION}; {GO_ON}"
    )


def _could_be_classes(values: Mapping[str, float], rows: Sequence[int]) -> bool:
    """Whether numbers are a scale, have enough rows each, or are codes from 0 or 1 on with about as many rows each."""
    numbers = {int(value) for value in values.values()}
    count = len(numbers)
    if count <= _FEW_VALUES or sum(rows) >= _ROWS_PER_NUMBER * count:
        return True
    codes = numbers in (set(range(count)), set(range(1, count + 1)))
    return codes and max(rows) <= 2 * min(rows)


def _value(label: str) -> float | None:
    """Parses a number: `"1,250.50"` -> 1250.5, `"45 %"` -> 45.0; None if it is not a number."""
    match = _NUMBER.fullmatch(label)
    if match is None or not re.search(r"\d", label):
        return None
    value = float(re.sub(r"[,\s$€£¥%]", "", label))
    return value if abs(value) < 2**53 else None


def _ids(labels: Sequence[str], counts: Mapping[str, int]) -> Misfit | None:
    rows = sum(counts[label] for label in labels)
    if len(labels) <= _FEW_LABELS or rows >= _ROWS_PER_LABEL * len(labels):
        return None
    return Misfit(
        f"contains ids or free text, not classes: {len(labels):,} labels in {rows:,} rows, such as {_samples(labels)}; "
        f"is it the label column? {GO_ON.capitalize()}"
    )


def _samples(labels: Sequence[str]) -> str:
    return ", ".join(repr(label if len(label) <= 40 else label[:37] + "...") for label in labels[:3])
