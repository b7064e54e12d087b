"""Clean-up of published datasets, one function per pitfall; a recipe names those it needs, in order.

Each takes the rows of one file and yields rows; the last one yields values in the order
text, pair (if the recipe has pairs), label, group (if it splits by one).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator

from pipeline.importing.rows import Row


class UnexpectedRow(ValueError):
    """A row differs from what the clean-up expects; the message begins with the line, without the file."""


_SMS_LABELS = {"0": "ham", "1": "spam"}
_SMS_EMBEDDED = re.compile(r"(ham|spam)\t(.*)", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_NO_NAMES = frozenset({"I", "I'm"})
_TREC_LINE = re.compile(r"([A-Z]+):([a-z]+) (.*)")


def trec_coarse_label(rows: Iterable[Row]) -> Iterator[Row]:
    """Splits `DESC:manner How did ... ?` into the text `How did ... ?` and the label `DESC`."""
    for number, text, coarse, _ in _trec_parts(rows):
        yield Row(number, (text, coarse))


def trec_both_labels(rows: Iterable[Row]) -> Iterator[Row]:
    """Splits `DESC:manner How did ... ?` into the text `How did ... ?` and the labels `DESC` and `DESC:manner`."""
    for number, text, coarse, fine in _trec_parts(rows):
        yield Row(number, (text, [coarse, f"{coarse}:{fine}"]))


def trec_question_pairs(rows: Iterable[Row]) -> Iterator[Row]:
    """Pairs of questions with the label `same` or `different`, for their coarse class, and the group of both questions.

    Questions are divided into groups, which later belong to one split each, by a hash, so no question is in two splits. In the
    order of the hashes, each question of a group is paired with the next one of the same class and of another class, in turn.
    Questions of several classes, and the last ones of a group if no such question follows, have no pair.
    """
    classes: dict[str, set[str]] = {}
    lines: dict[str, int | str] = {}
    for number, text, coarse, _ in _trec_parts(rows):
        classes.setdefault(text, set()).add(coarse)
        lines.setdefault(text, number)
    of_group: dict[int, list[str]] = {}
    of_one_class = [text for text in classes if len(classes[text]) == 1]
    for text in sorted(of_one_class, key=lambda text: (_question_hash(text), text)):
        of_group.setdefault(_question_hash(text)[0], []).append(text)
    for group, texts in of_group.items():
        for i, text in enumerate(texts):
            label = ("same", "different")[i % 2]
            others = (
                other for other in texts[i + 1 :] if (classes[other] == classes[text]) == (label == "same")
            )
            if (other := next(others, None)) is not None:
                yield Row(lines[text], (text, other, label, f"{group:03d}"))


def _question_hash(text: str) -> bytes:
    """Of the question without regard to case and white space; its first byte is the group."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=8).digest()


def trec_name_tags(rows: Iterable[Row]) -> Iterator[Row]:
    """Words in lower case, and tags of what the question writes with capitals: `Who is Bill Gates ?` -> O O B-NAME I-NAME O.

    The first word of a question and "I" are always written with a capital, so they say nothing.
    """
    for number, text, _, _ in _trec_parts(rows):
        words, tags = text.split(), list[str]()
        for word in words:
            letter = _LETTER.search(word)
            named = bool(tags) and letter is not None and letter[0].isupper() and word not in _NO_NAMES
            tags.append(("I-NAME" if tags and tags[-1] != "O" else "B-NAME") if named else "O")
        yield Row(number, ([word.lower() for word in words], tags))


def _trec_parts(rows: Iterable[Row]) -> Iterator[tuple[int | str, str, str, str]]:
    for number, (line,) in rows:
        match = _TREC_LINE.fullmatch(line)
        if match is None:
            raise UnexpectedRow(f"line {number}: expected 'COARSE:fine question', got {line[:60]!r}")
        coarse, fine, text = match.groups()
        yield number, text, coarse, fine


def sms_label_names(rows: Iterable[Row]) -> Iterator[Row]:
    """Replaces the labels `0` and `1` by `ham` and `spam`."""
    for number, (text, spam) in rows:
        if spam not in _SMS_LABELS:
            raise UnexpectedRow(f"line {number}: column 'spam' must be 0 or 1, got {spam!r}")
        yield Row(number, (text, _SMS_LABELS[spam]))


def sms_split_swallowed_lines(rows: Iterable[Row]) -> Iterator[Row]:
    """Splits messages that were joined to the previous message by stray quotes in the original file.

    `("Gimme a few\\nspam\\tLast Chance!", "ham")` -> `("Gimme a few", "ham")`, `("Last Chance!", "spam")`
    """
    for number, (text, label) in rows:
        first, *others = text.split("\n")
        yield Row(number, (first, label))
        for line in others:
            match = _SMS_EMBEDDED.fullmatch(line)
            if match is None:
                raise UnexpectedRow(f"line {number}: expected 'ham<TAB>text' inside it, got {line[:60]!r}")
            yield Row(number, (match[2], match[1]))


def rotten_tomatoes_drop_plots(rows: Iterable[Row]) -> Iterator[Row]:
    """Keeps reviewers' quotes (`fresh`, `rotten`) and drops plot summaries, which are not opinions."""
    for row in rows:
        if row.values[1] != "plot":
            yield row


CLEANUPS: dict[str, Callable[[Iterable[Row]], Iterator[Row]]] = {
    "trec_both_labels": trec_both_labels,
    "trec_coarse_label": trec_coarse_label,
    "trec_question_pairs": trec_question_pairs,
    "trec_name_tags": trec_name_tags,
    "sms_label_names": sms_label_names,
    "sms_split_swallowed_lines": sms_split_swallowed_lines,
    "rotten_tomatoes_drop_plots": rotten_tomatoes_drop_plots,
}
