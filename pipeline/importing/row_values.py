"""Converts the values of a row for its tf.Example: texts are unchanged; label, group and others become categories."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import PipelineError
from models.tasks.importing import Category, LabelForm, Misfit
from models.tasks.task import DEFAULT_TASK, TASKS, Task
from models.tokenizers.word_rules import DEFAULT_RULE, WordRule
from pipeline.importing.rows import Row, Sightings, short

TOKEN_LABELS = "token_labels"  # the task whose texts may be lists of words
# Larger whole numbers are not exact as floats.
_EXACT = 2**53


class OtherTaskError(PipelineError):
    """The values are certainly the labels of another task, which `misfit` names."""

    def __init__(self, message: str, misfit: Misfit) -> None:
        super().__init__(message)
        self.misfit = misfit


class Table(NamedTuple):
    """One source of rows, whose values are in the order of the layout's features."""

    path: Path
    kind: str  # of `readers.read_rows`
    rows: Iterable[Row]
    split: str = ""  # of all its rows, if that is known

    def where(self, number: int | str) -> str:
        """`"rows.csv line 7"`, `"rows.parquet row 7"`, `"folder/spam/1.txt"`."""
        if self.kind == "folder":
            return f"{self.path}/{number}"
        return f"{self.path} {'row' if self.kind == 'parquet' else 'line'} {number}"


class Layout(NamedTuple):
    """The meaning of a row's values: text, the pair if any, label, the group if any, then further columns."""

    features: tuple[str, ...]
    pair: bool = False
    group: bool = False
    columns: tuple[str, ...] = ()  # the user's names of the features; empty: the same names
    as_classes: bool = False  # whether numbers and dates are allowed as labels
    task: Task = TASKS[DEFAULT_TASK]  # what a model of the rows learns: it knows its labels
    form: LabelForm = LabelForm()  # how the files give the labels
    split_column: str = (
        ""  # the user's name of a further column, the last value of a row, which names its split
    )
    words: WordRule = DEFAULT_RULE  # what ends a word, if the label has a value for each word

    @property
    def label_index(self) -> int:
        """The position of the label among the values."""
        return 2 if self.pair else 1

    @property
    def extra(self) -> tuple[str, ...]:
        """The columns that are kept for slicing the evaluation."""
        return self.features[self.label_index + (2 if self.group else 1) :]

    @property
    def label_name(self) -> str:
        """The user's name of the label column."""
        return (self.columns or self.features)[self.label_index]

    def column(self, index: int) -> str:
        """The user's name of a column, quoted."""
        return repr((self.columns or self.features)[index])


def values_of(row: Row, table: Table, layout: Layout, whole_floats: Sightings) -> list[str]:
    """Returns the row's values as text, in the order of the features.

    Args:
        whole_floats: receives the places of categories such as 1.0, which become "1".

    Raises:
        PipelineError: a value is not a text or category, or the label or group is empty.
    """
    values = list(row.values)
    where = table.where(row.number)
    texts = layout.label_index
    for index in range(texts):
        values[index] = _text(values[index], index, where, layout)
    label = _label(values[texts], where, layout)
    # Other columns are categories; the label is one in some tasks.
    first = texts if isinstance(label, Category) else texts + 1
    values[texts] = values[texts] if isinstance(label, Category) else label
    for index in range(first, len(values)):
        category = _category(values[index], where, layout, whole_floats)
        if category is None:
            raise _no_category(values[index], index, where, layout, label)
        values[index] = category
    for index in range(first, texts + (2 if layout.group else 1)):
        if not values[index]:
            what = "label" if index == texts else "group"
            raise PipelineError(
                f"{where}: the {what} in column {layout.column(index)} is empty; fill it or remove the row "
                f"(text {short(values[0], 60)})"
            )
    return values


def _label(value: Any, where: str, layout: Layout) -> str | Category:
    """The label's canonical text, or what says that the task reads it as a category."""
    try:
        return layout.task.label_kinds().parse(value, layout.form)
    except ValueError as error:
        raise PipelineError(f"{where}: column {layout.column(layout.label_index)} {error}") from None


def encoded(values: list[str], row: Row, table: Table) -> tuple[bytes, ...]:
    """Returns the values in UTF-8.

    Raises:
        PipelineError: a value contains a lone surrogate, which is possible in JSON escapes and file names.
    """
    try:
        return tuple([value.encode() for value in values])
    except UnicodeEncodeError as error:
        raise no_unicode(table.where(row.number), error) from None


def no_unicode(where: str, error: UnicodeEncodeError) -> PipelineError:
    """The error for a text with a lone surrogate."""
    bad = error.object[error.start]
    return PipelineError(f"{where}: not valid Unicode, a lone surrogate {bad!a} at character {error.start}")


def _text(value: Any, index: int, where: str, layout: Layout) -> str:
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    message = (
        f"{where}: the text in column {layout.column(index)} must be a string, got {short(value, 60)} "
        f"({type(value).__name__})"
    )
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        advice = "words with tags? use --task token_labels"
        raise OtherTaskError(f"{message}: {advice}", Misfit(advice, TOKEN_LABELS))
    raise PipelineError(message)


def is_missing(value: Any) -> bool:
    """Whether a value is absent: null, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float | decimal.Decimal) and math.isnan(value))


def _category(value: Any, where: str, layout: Layout, whole_floats: Sightings) -> str | None:
    """`" ham "` -> `"ham"`, `3` -> `"3"`, `3.0` -> `"3"`, `True` -> `"true"`, `None` -> `""`; None for other values."""
    if isinstance(value, str):
        category = value.strip()
        # The label list has one label per line.
        if len(category.splitlines()) <= 1:
            return category
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, int):
        return str(value)
    elif is_missing(value):
        return ""
    elif isinstance(value, float | decimal.Decimal) and -_EXACT < value < _EXACT and value == int(value):
        whole_floats.add(where)
        return str(int(value))
    elif layout.as_classes and isinstance(value, float | decimal.Decimal | datetime.date):
        return str(value)
    return None


def _no_category(value: Any, index: int, where: str, layout: Layout, label: str | Category) -> PipelineError:
    start = f"{where}: column {layout.column(index)} contains {short(value, 60)} ({type(value).__name__})"
    if index != layout.label_index or not isinstance(label, Category):
        return PipelineError(f"{start}, but must contain integers or strings of one line")
    misfit = label.why_not(value)
    return (
        OtherTaskError(start + misfit.reason, misfit) if misfit.task else PipelineError(start + misfit.reason)
    )
