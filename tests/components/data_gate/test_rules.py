from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from components.data_gate import rules
from components.data_gate.report import Finding, Rule
from components.settings import DataGateSettings, DataSettings
from models.tasks.label_domain import LabelDomain
from models.tasks.task import TASKS

FACTS = TASKS["single_label"].facts()
LABELS = frozenset({"ABBR", "NUM", "3"})
DOMAIN = LabelDomain(LABELS)


def settings(**gate: Any) -> DataSettings:
    return DataSettings(
        path=Path("/data/trec"),
        schema=Path("/schemas/trec.pbtxt"),
        label_list=Path("/data/trec/labels.txt"),
        gate=DataGateSettings(**gate),
    )


def texts(*values: bytes) -> rules.SplitTally:
    tally = rules.SplitTally(rows=len(values))
    for row, value in enumerate(values):
        rules.check_text(tally, "text", [value], "bytes_list", f"shard record {row}")
    return tally


def labels(
    *values: Any, kind: str = "bytes_list", expected: tuple[str, ...] = ("bytes_list", "int64_list")
) -> rules.SplitTally:
    tally = rules.SplitTally(rows=len(values))
    for row, value in enumerate(values):
        rules.check_label(tally, FACTS, "label", value, kind, expected, DOMAIN, f"shard record {row}")
    return tally


def judged(tally: rules.SplitTally, **gate: Any) -> list[str]:
    return [
        f"{f.severity} {f.rule}: {f}" for f in rules.judge_split("train", tally, settings(min_rows=1, **gate))
    ]


@pytest.mark.parametrize(
    "text", [b"How far?", "😀🚀".encode(), "שלום עולם".encode(), "مرحبا".encode(), b"a\0b", b"x" * 1_000_000]
)
def test_unusual_but_legal_text_is_no_finding(text: bytes) -> None:
    assert judged(texts(text)) == []


def test_empty_and_white_space_texts_beyond_the_limit_are_found() -> None:
    tally = texts(b"fine", b"", b" \t\n", "\u3000\u00a0".encode())
    assert judged(tally, max_empty_text_fraction=0.5) == [
        "error empty_text: split 'train', column 'text': 3 of 4 rows have no text, "
        "data.gate.max_empty_text_fraction is 0.5, first '' at shard record 1"
    ]


def test_empty_texts_up_to_the_limit_are_no_finding() -> None:
    assert judged(texts(b"fine", b""), max_empty_text_fraction=0.5) == []


def test_text_that_is_not_utf8_is_a_warning_by_default() -> None:
    assert judged(texts(b"fine", b"\xff\xfe caf\xe9")) == [
        "warn not_utf8: split 'train', column 'text': 1 of 2 rows are not UTF-8, "
        "first b'\\xff\\xfe caf\\xe9' at shard record 1"
    ]


def test_unknown_labels_are_counted_with_samples() -> None:
    tally = labels([b"NUM"], [b"NUMM"], [b"num"], [b"NUMM"])
    assert judged(tally) == [
        "error unknown_label: split 'train', column 'label': 3 of 4 rows have a label that is not in "
        "labels.txt ('NUMM', 'num'), first 'NUMM' at shard record 1"
    ]


def test_unknown_label_is_told_the_label_that_it_looks_like() -> None:
    tally = labels([b"NUM"], ["N\u200bum".encode()])
    found = list(rules.judge_split("train", tally, settings(min_rows=1), LABELS))
    assert [str(finding) for finding in found] == [
        "split 'train', column 'label': 1 of 2 rows have a label that is not in labels.txt (the first looks like 'NUM', "
        "which is), first 'N\\u200bum' at shard record 1"
    ]


def test_labels_of_the_list_that_look_the_same_are_a_warning_that_names_them() -> None:
    listed = ["1", "1.0", "café", "cafe\u0301", "ham", "Spam", "spam"]
    found = list(rules.judge_labels(listed, settings()))
    assert [(f.severity, f.rule, str(f)) for f in found] == [
        (
            "warn",
            "look_alike_labels",
            f"labels.txt lists labels that look the same but are different classes: {told}",
        )
        for told in ("'1' and '1.0'", "'café' (caf\\xe9) and 'cafe\u0301' (cafe\\u0301)", "'Spam' and 'spam'")
    ]


def test_labels_that_look_the_same_stop_the_run_where_the_config_says_so() -> None:
    found = list(rules.judge_labels(["Spam", "spam"], settings(look_alike_labels="error")))
    assert rules.refusal(found) == (
        "Data gate refused: labels.txt lists labels that look the same but are different classes: 'Spam' and "
        "'spam'; correct the data, or set data.gate.look_alike_labels: warn"
    )


def test_labels_that_differ_are_no_finding() -> None:
    assert (
        list(rules.judge_labels(["ham", "spam", "1", "10", "a-b", "a_b", "café", "cafe"], settings())) == []
    )


def test_label_with_a_trailing_space_shows_it() -> None:
    assert "first 'NUM '" in judged(labels([b"NUM "]))[0]


def test_label_that_is_not_utf8_is_unknown() -> None:
    assert "first b'\\xff'" in judged(labels([b"\xff"]))[0]


def test_integer_labels_are_looked_up_as_written_in_the_list() -> None:
    assert judged(labels([3], kind="int64_list")) == []
    assert "first '7' at shard record 1" in judged(labels([3], [7], kind="int64_list"))[0]


def test_many_distinct_unknown_labels_take_bounded_memory() -> None:
    tally = labels(*[[b"label %d" % i] for i in range(1000)])
    assert tally.seen["unknown_label", "label"].count == 1000
    assert len(tally.seen["unknown_label", "label"].distinct) == 5


def test_label_of_another_type_than_the_schema_says() -> None:
    tally = labels([3], kind="int64_list", expected=("bytes_list",))
    assert judged(tally) == [
        "error wrong_type: split 'train', column 'label': 1 of 1 rows hold another type than the schema's, or more than one "
        "value, first 3 at shard record 0"
    ]


def test_text_that_is_a_number_and_two_texts_in_a_row_are_wrong_types() -> None:
    tally = rules.SplitTally(rows=2)
    rules.check_text(tally, "text", [7], "int64_list", "shard record 0")
    rules.check_text(tally, "text", [b"a", b"b"], "bytes_list", "shard record 1")
    assert tally.seen["wrong_type", "text"].count == 2


def test_rows_without_the_column_are_counted() -> None:
    assert judged(labels(None, [b"NUM"], [])) == [
        "error missing_column: split 'train', column 'label': 2 of 3 rows lack the column or have no value "
        "in it, first at shard record 0"
    ]


def task_labels(task: str, domain: LabelDomain, kind: str, *values: Any) -> list[str]:
    tally, facts = rules.SplitTally(rows=len(values)), TASKS[task].facts()
    for row, value in enumerate(values):
        rules.check_label(tally, facts, "label", value, kind, (kind,), domain, f"shard record {row}")
    return judged(tally)


def test_of_several_labels_each_has_to_be_in_the_list_and_none_is_fine() -> None:
    assert task_labels("multi_label", DOMAIN, "bytes_list", [b"NUM", b"ABBR"], [], [b"NUM", b"HUM"]) == [
        "error unknown_label: split 'train', column 'label': 1 of 3 rows have a label that is not in labels.txt, "
        "first 'HUM' at shard record 2"
    ]
    assert task_labels("multi_label", DOMAIN, "bytes_list", [b"NUM", b"NUM"]) == [
        "warn repeated_label: split 'train', column 'label': 1 of 1 rows have a label more than once, first "
        "['NUM', 'NUM'] at shard record 0"
    ]


def test_targets_outside_the_schemas_bounds_or_not_finite_are_found() -> None:
    domain = LabelDomain(lowest=0.0, highest=10.0)
    assert task_labels("regression", domain, "float_list", [0.0], [10.5], [float("nan")], [-1.0]) == [
        "error not_finite: split 'train', column 'label': 1 of 4 rows have a target that is not a finite number, "
        "first 'nan' at shard record 2",
        "error out_of_bounds: split 'train', column 'label': 2 of 4 rows have a target outside the domain in "
        "data.schema, first '10.5' at shard record 1",
    ]


def test_split_without_a_row_names_pattern_and_folder() -> None:
    assert judged(rules.SplitTally()) == [
        "error missing_split: split 'train': no row in 'train-*' of /data/trec"
    ]


def test_too_few_rows() -> None:
    found = list(rules.judge_split("train", texts(b"a", b"b"), settings(min_rows=3, too_few_rows="warn")))
    assert [(f.severity, str(f)) for f in found] == [
        ("warn", "split 'train': only 2 rows, data.gate.min_rows is 3")
    ]


@pytest.mark.parametrize(
    ("reason", "column", "rule"),
    [
        ("SCHEMA_MISSING_COLUMN", "topic", "missing_column"),
        ("FEATURE_TYPE_LOW_FRACTION_PRESENT", "text", "missing_column"),
        ("INT_TYPE_INT_EXPECTED", "label", "wrong_type"),
        ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "label", "unknown_label"),
        ("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "topic", "schema_anomaly"),
        ("FLOAT_TYPE_BIG_FLOAT", "label", "out_of_bounds"),
        ("FLOAT_TYPE_HAS_NAN", "label", "not_finite"),
        ("FLOAT_TYPE_BIG_FLOAT", "price", "schema_anomaly"),
        ("SCHEMA_NEW_COLUMN", "extra", "schema_anomaly"),
        ("COMPARATOR_L_INFTY_HIGH", "label", "schema_anomaly"),
    ],
)
def test_rule_of_a_tfdv_anomaly(reason: str, column: str, rule: str) -> None:
    assert rules.rule_of_anomaly(reason, column, "label") == rule


def test_what_tfdv_calls_a_warning_stops_nothing() -> None:
    finding = rules.judge_anomaly("train", "x", "SCHEMA_NEW_COLUMN", "New\ncolumn. ", True, 9, 0, settings())
    assert (finding.severity, str(finding)) == (
        "warn",
        "split 'train', column 'x': 9 of 9 rows are not as the schema says: New column [SCHEMA_NEW_COLUMN]",
    )


def finding(rule: Rule, severity: str = "error", column: str = "text") -> Finding:
    return Finding(rule, severity, "train", column, 1, 9, f"have {rule}")


def test_anomaly_that_the_scan_found_too_is_told_once() -> None:
    scanned = [finding("unknown_label", column="label"), finding("wrong_type", column="text")]
    anomalies = [
        finding("unknown_label", column="label"),
        finding("schema_anomaly", column="text"),
        finding("schema_anomaly", column="other"),
    ]
    assert rules.without_repeats(scanned, anomalies) == [*scanned, anomalies[2]]


def test_refusal_names_the_gravest_error_and_counts_the_others() -> None:
    found = rules.ordered([finding("not_utf8", "warn"), finding("empty_text"), finding("missing_column")])
    assert rules.refusal(found) == (
        "Data gate refused: split 'train', column 'text': 1 of 9 rows have missing_column; correct the data, "
        "or set data.gate.missing_column: warn (and 1 more, all in the log)"
    )


@pytest.mark.parametrize(
    ("rule", "split", "advised"),
    [
        ("unknown_label", "train", False),
        ("unknown_label", "test", False),
        ("missing_split", "train", False),
        ("missing_split", "eval", False),
        ("missing_split", "test", True),
        ("empty_text", "train", True),
    ],
)
def test_warn_is_advised_only_where_training_would_go_on(rule: Rule, split: str, advised: bool) -> None:
    message = rules.refusal([replace(finding(rule), split=split)])
    assert message is not None
    assert message.endswith(
        f"; correct the data, or set data.gate.{rule}: warn" if advised else "; correct the data"
    )


def test_warn_is_not_advised_for_a_column_that_no_row_has() -> None:
    message = rules.refusal([replace(finding("missing_column", column="category"), count=9)])
    assert message is not None
    assert message.endswith("column 'category': 9 of 9 rows have missing_column; correct the data")


def test_warnings_alone_do_not_refuse() -> None:
    assert rules.refusal([finding("empty_text", "warn")]) is None


def test_samples_are_cut() -> None:
    assert rules.shorten(b"x" * 1_000_000) == repr(b"x" * 60) + "... (1000000 bytes)"
    assert rules.shorten("short") == "'short'"


# --- labels of words ------------------------------------------------------------------------------

WORDS = import_module("models.tasks.token_labels.facts")
TAGS = LabelDomain(frozenset({"O", "B-LOC", "I-LOC"}))


def tagged(*rows: tuple[int, str], scheme: str = "BIO") -> rules.SplitTally:
    """Rows of so many words with these tags."""
    tally = rules.SplitTally(rows=len(rows), scheme=scheme)
    for row, (words, tags) in enumerate(rows):
        values = [tag.encode() for tag in tags.split()]
        where = f"shard record {row}"
        rules.check_label(tally, WORDS, "tags", values, "bytes_list", ("bytes_list",), TAGS, where, words)
    return tally


def test_tags_that_are_not_one_for_each_word_are_found() -> None:
    assert judged(tagged((2, "O B-LOC"), (3, "O B-LOC"), (1, ""))) == [
        "error tag_count: split 'train', column 'tags': 2 of 3 rows do not have one tag for each word that transform.words "
        "finds, first '2 tags for 3 words' at shard record 1"
    ]


def test_unknown_tags_are_found_before_their_number() -> None:
    assert judged(tagged((2, "B-PER"))) == [
        "error unknown_label: split 'train', column 'tags': 1 of 1 rows have a label that is not in labels.txt, first "
        "'B-PER' at shard record 0"
    ]


def test_illegal_transitions_are_counted_and_warned_of() -> None:
    rows = tagged((3, "O B-LOC I-LOC"), (3, "I-LOC O I-LOC"), (2, "O I-LOC"))
    assert judged(rows) == [
        "warn illegal_transition: split 'train', column 'tags': 2 of 3 rows have 3 transitions that the scheme BIO forbids "
        "('I-LOC after O'), first 'I-LOC after O' at shard record 1"
    ]
    assert judged(rows, illegal_transition="error")[0].startswith("error illegal_transition: ")
    assert judged(rows, illegal_transition="ignore") == []


def test_a_row_without_a_text_is_not_found_twice() -> None:
    tally = rules.SplitTally(rows=1, scheme="BIO")
    rules.check_label(tally, WORDS, "tags", [b"O"], "bytes_list", ("bytes_list",), TAGS, "shard record 0")
    assert judged(tally) == []
