"""Which label columns are classes, and how others are recognized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from models.tasks.importing import Misfit
from models.tasks.single_label.label_kinds import not_labels, suspicions

MULTI_LABEL = "several labels of one row (multi-label)"
REGRESSION = "numbers to predict (regression)"


def reason_of(counts: Mapping[str, int]) -> str:
    """Why values are no classes, where they are not certainly labels of another task."""
    misfit = not_labels(counts)
    assert misfit is not None
    assert misfit.task == ""
    return misfit.reason


def each(labels: Sequence[str], rows: int) -> dict[str, int]:
    return dict.fromkeys(labels, rows)


@pytest.mark.parametrize(
    "counts",
    [
        each(["a;b", "b"], 60),
        each(["a;b", "a"], 60),
        each(["b;a", "a;b"], 60),
        each(["a; b", "b ; c", "c"], 60),
        each(["a;", "b;", "a;b;"], 60),
        each(["Action|Comedy", "Comedy", "Drama|Action", "Drama", "Horror"], 40),
        each(["toxic,insult", "insult,threat", "threat", "none"], 40),
        each(["sport", "politics", "sport, politics"], 40),
        each([f"{a};{b}" for a in "abcdef" for b in "abcdef" if a < b], 3),
        each(["['a', 'b']", "['b']", "[]"], 30),
        each(['["a"]', '["a", "b"]'], 30),
        each(["{a,b}", "{b}"], 30),
        each(["<python><pandas>", "<java>"], 30),
        each(["1 0 1", "0 0 1", "1 1 1"], 30),
        each(["1,0,1", "0,0,1", "0,0,0"], 30),
    ],
    ids=lambda counts: " / ".join(list(counts)[:3]),
)
def test_several_labels_of_one_row_are_told(counts: dict[str, int]) -> None:
    misfit = not_labels(counts)
    assert misfit is not None
    assert MULTI_LABEL in misfit.reason
    asked = misfit.reason.endswith("if each of these values is a class, use --as-classes")
    assert (misfit.task, asked) in [("multi_label", False), ("", True)]
    assert any(misfit.separator in label for label in counts)


@pytest.mark.parametrize(
    ("counts", "separator"),
    [
        (each(["a;b", "b"], 60), ";"),
        (each(["Action|Comedy", "Comedy", "Drama|Action"], 40), "|"),
        (each(['["a"]', "['a', 'b']"], 30), ""),
    ],
)
def test_certain_labels_name_their_task_and_separator(counts: dict[str, int], separator: str) -> None:
    misfit = not_labels(counts)
    assert misfit is not None
    assert (misfit.task, misfit.separator) == ("multi_label", separator)


@pytest.mark.parametrize("counts", [each(["{a,b}", "{b}"], 30), each(["1 0 1", "0 0 1"], 30)])
def test_lists_that_import_does_not_read_are_a_question(counts: dict[str, int]) -> None:
    misfit = not_labels(counts)
    assert misfit is not None
    assert misfit.task == ""


def test_combination_is_shown_with_its_rows_and_parts() -> None:
    assert not_labels({"b": 30, "a;b": 12}) == Misfit(
        f"looks like {MULTI_LABEL}: 1 of 2 labels, such as 'a;b' (12 rows), are parts of other labels with ';' between: "
        "'a' and 'b'",
        "multi_label",
        ";",
    )


@pytest.mark.parametrize(
    "counts",
    [
        each([f"{i * 0.137:.3f}" for i in range(61)], 2),
        each(["0.25", "0.5", "0.75", "1.0"], 500),
        each(["-1.5", "2.5"], 50),
        each(["1e-3", "2.5e-3", "4e-3"], 50),
        each([f"${i}.99" for i in range(20)], 5),
        each([f"{i}.5 %" for i in range(20)], 5),
        each(["1,250.50", "2,300.75"], 5),
        each([f"{i / 7:.2f}" for i in range(30)] + ["?"], 5),  # one word among thirty numbers
        each([f"{i / 7:.2f}" for i in range(30)] + ["nan", "None"], 5),
        each([str(age) for age in range(18, 80)], 5),
        each([str(price * 7) for price in range(60)], 5),
        each([str(score) for score in range(0, 100, 3)], 2),
        {str(score): 3 + score % 10 for score in range(101)},  # every score is there, but not as classes are
    ],
    ids=lambda counts: " / ".join(list(counts)[:3]),
)
def test_numbers_to_predict_are_told(counts: dict[str, int]) -> None:
    reason = reason_of(counts)
    assert reason.startswith(f"looks like {REGRESSION}: ")
    assert reason.endswith(
        "; regression? use --task regression; if each of these values is a class, use --as-classes"
    )


def test_numbers_with_a_decimal_comma_may_be_either() -> None:
    reason = reason_of(each(["3,5", "2,0", "1,5", "4"], 30))
    assert reason.startswith(
        "looks like numbers with a decimal comma or several labels of one row, such as '3,5'"
    )


@pytest.mark.parametrize(
    "dates", [["2024-01-05", "2024-01-06"], ["1/2/2024", "1/3/2024"], ["05.01.24", "2024-01-06T10:00:00Z"]]
)
def test_dates_are_told(dates: list[str]) -> None:
    reason = reason_of(each(dates, 30))
    assert reason.startswith(f"contains dates, not classes, such as '{dates[0]}'")


@pytest.mark.parametrize(
    "counts", [each([f"id{i}" for i in range(300)], 1), each([f"a text {i}" for i in range(20)], 1)]
)
def test_ids_and_texts_are_told(counts: dict[str, int]) -> None:
    reason = reason_of(counts)
    assert reason.startswith(
        f"contains ids or free text, not classes: {len(counts)} labels in {len(counts)} rows"
    )


@pytest.mark.parametrize(
    "counts",
    [
        each(["ham", "spam"], 5),
        each([f"KIND:fine{i}" for i in range(50)], 100),
        {f"KIND:fine{i}": 1 + i for i in range(50)},
        each([str(stars) for stars in range(1, 21)], 3),
        each([str(code) for code in range(77)], 10),
        each([str(code) for code in range(1, 151)], 3),
        each([str(code) for code in (101, 205, 310, 4000)], 4),
        each([str(code) for code in range(1000, 9000, 100)], 25),
        each(["0.0", "1.0"], 50),
        each(["-1", "0", "1"], 50),
        each([f"intent_{i}" for i in range(150)], 5),
        each(["Books, Music", "Toys", "Home; Garden"], 20),
        each(["Clothing, Shoes & Jewelry", "Books", "Patio, Lawn & Garden", "Sports & Outdoors"], 20),
        each(["Employed, full time", "Employed, part time", "Unemployed, looking", "Retired"], 20),
        each(["Electronics|Phones", "Electronics|Laptops", "Clothing|Shoes"], 20),
        each(["Agree", "Agree, strongly", "Disagree", "Disagree, strongly"], 20),
        each(["Portland, OR", "Portland, ME", "Salem, OR"], 20),
        each(["C", "C++", "C#", "N/A", "TCP/IP"], 20),
        each(["v1.1", "v1.2"], 20),
        each(["1.1.1", "1.1.2"], 20),
        each(["(none)", "[UNK]", "<other>"], 20),
        each(["[NEG]", "[POS]"], 20),
        each(["true", "false"], 20),
        each(["a", "nan"], 20),
    ],
    ids=lambda counts: " / ".join(list(counts)[:3]),
)
def test_honest_classes_are_taken(counts: dict[str, int]) -> None:
    assert not_labels(counts) is None


@pytest.mark.parametrize(
    ("counts", "warning"),
    [
        (
            {"a": 5, "NaN": 2},
            "the label 'NaN' (2 rows) may be a missing value written as text: if it is not a class, remove",
        ),
        (
            {"a": 5, "caf\ufffd": 2},
            "the label 'caf\ufffd' contains U+FFFD, which replaces a lost character",
        ),
        (
            {"0.0": 5, "1.0": 2},
            "the labels are whole numbers written as floats, such as '0.0', '1.0': write integers",
        ),
        (
            {"Agree": 5, "Agree, strongly": 2},
            "the label 'Agree' is part of the label 'Agree, strongly': if these are",
        ),
    ],
)
def test_labels_that_may_be_no_classes_are_a_warning(counts: dict[str, int], warning: str) -> None:
    [told] = suspicions(counts)
    assert told.startswith(warning)


def test_plain_classes_raise_no_suspicion() -> None:
    assert list(suspicions(each(["Books, Music", "Toys", "1", "0", "not spam"], 20))) == []
