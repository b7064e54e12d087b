"""Rows of words and tags, or of a text and its spans, as rows of a text with one tag for each of its words.

| text column | label column |
|---|---|
| a list of words | a list of tags |
| a text | a list of spans, with start, end and label |
| a text | tags of its words: a list, or separated by white space |

Lists may be written as text, as in CSV: `["B-PER", "O"]`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

from models.errors import PipelineError
from models.tasks.task import LabelKinds
from models.tokenizers.word_rules import WordRule
from pipeline.importing.row_values import Layout, Table, is_missing, no_unicode
from pipeline.importing.rows import ReadNotes, Row, short
from pipeline.importing.tagged_words import TaggedText, from_spans, from_tags, from_words


def tagged_rows(table: Table, layout: Layout, notes: ReadNotes) -> Iterator[Row]:
    """Yields the rows of a table, with the text as one string and the label as a tuple of tags.

    Raises:
        PipelineError: tags do not fit their words, or spans their text; with file, line and values.
    """
    at, kinds = layout.label_index, layout.task.label_kinds()
    tagged_at = empty_at = ""
    for row in table.rows:
        values, where = list(row.values), table.where(row.number)
        text, label = values[0], _listed(values[at])
        try:
            tagged = _tagged(text, label, layout.words, kinds)
        except UnicodeEncodeError as error:
            raise no_unicode(where, error) from None
        except ValueError as error:
            raise PipelineError(f"{where}: column {layout.column(at)} {error}") from None
        if tagged.divided:
            notes.divided.add(where)
        if tagged.text.strip() and isinstance(text, str):
            # An empty list is a text without spans, but not one without tags.
            empty_at = empty_at or (where if label == [] else "")
            tagged_at = tagged_at or (where if _are_tags(label) else "")
            if empty_at and tagged_at:
                raise PipelineError(
                    f"{empty_at}: column {layout.column(at)} has no tag for the text {short(text, 60)}, but {tagged_at} has a "
                    "tag for each word; write O for words outside of spans"
                )
        values[0], values[at] = tagged.text, tagged.tags
        yield Row(row.number, values)


def _tagged(text: Any, label: Any, rule: WordRule, kinds: LabelKinds) -> TaggedText:
    if is_missing(text):
        text = ""
    if isinstance(label, str):
        label = label.split()
    if not isinstance(label, list | tuple):
        raise ValueError(
            f"has {short(label, 60)} ({type(label).__name__}); write a list of tags, one for each word, or a list of spans"
        )
    words = _listed(text) if label and _are_tags(label) else text
    if isinstance(words, list | tuple):
        return from_words(words, label, rule, kinds)
    if not isinstance(text, str):
        raise ValueError(
            f"stands beside {short(text, 60)} ({type(text).__name__}), which is neither a text nor words"
        )
    return (from_tags if label and _are_tags(label) else from_spans)(text, label, rule, kinds)


def _are_tags(label: Any) -> bool:
    """Whether a label that is not empty contains tags, not spans; text is of tags."""
    return bool(label) and not isinstance(label[0], Mapping | list | tuple)


def _listed(value: Any) -> Any:
    """A list that is written as text, as JSON or Python write it; other values as they are."""
    if not isinstance(value, str) or (value.strip()[:1], value.strip()[-1:]) != ("[", "]"):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value.strip())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    return value
