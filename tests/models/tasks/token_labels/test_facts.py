"""Facts about labels of words: which label lists can be learned, and what the data gate says of a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UsageError
from models.tasks.label_domain import LabelDomain
from models.tasks.token_labels import facts


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["O", "PER"], "labels.txt:2: 'PER' is no tag"),
        (
            ["B-PER", "I-PER"],
            "labels.txt: 2 tags; labels of words need O and the tags of at least one type of span",
        ),
        (["O"], "labels.txt: 1 tags; labels of words need O"),
    ],
)
def test_lists_that_no_model_can_learn_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        facts.check_labels(labels, Path("labels.txt"))
    assert str(raised.value).startswith(message)
    facts.check_labels(["O", "B-PER"], Path("labels.txt"))


def test_unknown_tags_of_a_row_are_told() -> None:
    domain = LabelDomain(labels=frozenset({"O", "B-PER"}))
    assert facts.label_fault([b"B-PER", b"O"], domain) == ("", None)
    assert facts.label_fault([b"O", b"B-HAM", b"\xff"], domain) == ("unknown_label", "B-HAM")
    assert facts.label_text([b"B-PER", b"\xff"]) == "B-PER \ufffd"


def test_figures_of_a_type_are_under_its_first_tag() -> None:
    assert facts.measured_labels(["O", "I-PER", "B-PER", "B-LOC"]) == ["I-PER", "B-LOC"]


def test_card_names_the_types() -> None:
    summary = facts.card_summary(["O", "B-PER", "I-PER", "B-LOC"])
    assert summary == (
        "A model that finds spans of 2 types in texts: LOC, PER. Each word gets one of 4 tags, that of its "
        "first token; words are tokenized alone (`is_split_into_words=True`)."
    )
