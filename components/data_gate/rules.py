"""The data gate's rules: what is a finding, its message, and what stops the run.

Imports neither TensorFlow nor TFX: the rules work on counts that the executor takes from the artifacts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from components.data_gate.report import Finding, Rule
from components.settings import DataSettings
from models.look_alikes import listed, look_alikes, quoted
from models.section import Severity
from models.tasks.label_domain import LabelDomain
from models.tasks.task import Facts

_SAMPLE_LENGTH = 60
_DISTINCT_SAMPLES = 5


@dataclass
class Tally:
    """How often a problem was seen in a column, and its first occurrence."""

    count: int = 0  # rows
    times: int = 0  # more than the rows if a row has a problem several times
    sample: str = ""
    where: str = ""
    first: object = None
    distinct: set[str] = field(default_factory=set)  # at most _DISTINCT_SAMPLES values

    def add(self, value: object, where: str, *further: object) -> None:
        """Counts one row; `value` is None if there is no value to show, `further` are more values of the row."""
        self.count += 1
        self.times += 1 + len(further)
        if self.count == 1:
            self.where = where
            self.first = value
            self.sample = "" if value is None else shorten(value)
        for shown in (value, *further):
            if shown is not None and len(self.distinct) < _DISTINCT_SAMPLES:
                self.distinct.add(shorten(shown))


@dataclass
class SplitTally:
    """Counts of one pass over the rows of a split; memory does not grow with the rows."""

    rows: int = 0
    columns: tuple[str, ...] = ()  # of the first row, if known
    scheme: str = ""  # in which the spans of labels of words are written
    seen: dict[tuple[Rule, str], Tally] = field(default_factory=dict)  # (rule, column) -> tally

    def add(self, rule: Rule, column: str, value: object, where: str, *further: object) -> None:
        self.seen.setdefault((rule, column), Tally()).add(value, where, *further)


def shorten(value: object) -> str:
    """Returns the repr of a value, shortened to fit a message."""
    if isinstance(value, bytes | str) and len(value) > _SAMPLE_LENGTH:
        return f"{value[:_SAMPLE_LENGTH]!r}... ({len(value)} {'bytes' if isinstance(value, bytes) else 'characters'})"
    text = repr(value)
    return text if len(text) <= 2 * _SAMPLE_LENGTH else text[: 2 * _SAMPLE_LENGTH] + "..."


# --- one row --------------------------------------------------------------------------------------


def check_text(tally: SplitTally, column: str, values: list[bytes] | None, kind: str, where: str) -> None:
    """Counts problems with the text of one row; `kind` is the tf.Example's list, "" if absent."""
    if not values:
        tally.add("missing_column", column, None, where)
    elif kind != "bytes_list":
        tally.add("wrong_type", column, values[0], where)
    elif len(values) > 1:
        tally.add("wrong_type", column, values[:2], where)
    else:
        _check_string(tally, column, values[0], where)


def _check_string(tally: SplitTally, column: str, value: bytes, where: str) -> None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        tally.add("not_utf8", column, value, where)
        return
    if not text.strip():
        tally.add("empty_text", column, text, where)


def check_label(
    tally: SplitTally,
    facts: Facts,
    column: str,
    values: list[Any] | None,
    kind: str,
    expected: tuple[str, ...],
    domain: LabelDomain,
    where: str,
    words: int | None = None,
) -> None:
    """Counts problems with the label of one row, which has to be in one of the `expected` lists and fit the task.

    Args:
        words: how many its text has, if the label has a value for each.
    """
    if not kind or values is None:
        tally.add("missing_column", column, None, where)
    elif values and kind not in expected:
        tally.add("wrong_type", column, values[0], where)
    else:
        fault, shown = facts.label_fault(values, domain)
        if fault:
            tally.add(cast(Rule, fault), column, shown, where)
        elif words is not None:
            _check_sequence(tally, facts, column, values, words, where)


def _check_sequence(
    tally: SplitTally, facts: Facts, column: str, values: list[Any], words: int, where: str
) -> None:
    by_rule: dict[str, list[str]] = {}
    for fault, shown in facts.sequence_faults(values, words, tally.scheme):
        by_rule.setdefault(fault, []).append(shown)
    for fault, (first, *further) in by_rule.items():
        tally.add(cast(Rule, fault), column, first, where, *further)


# --- one split ------------------------------------------------------------------------------------


def judge_labels(labels: Sequence[str], data: DataSettings) -> Iterator[Finding]:
    """Yields a finding for each group of labels of the list that look the same."""
    for group in look_alikes(labels):
        what = f"{data.label_list.name} lists labels that look the same but are different classes: {listed(group)}"
        yield Finding(
            "look_alike_labels",
            data.gate.look_alike_labels,
            "",
            data.label_column,
            len(group),
            len(labels),
            what,
        )


def judge_split(
    split: str, tally: SplitTally, data: DataSettings, labels: Collection[str] = ()
) -> Iterator[Finding]:
    """Yields the findings of the scan of one split, the most severe rule first.

    Args:
        labels: the label list, to name the label that an unknown one looks like.
    """
    gate = data.gate
    if tally.rows == 0:
        pattern = data.splits.get(split, "")
        yield Finding(
            "missing_split",
            gate.missing_split,
            split,
            "",
            0,
            0,
            f"no row in {pattern!r} of {data.path}",
        )
        return
    for (rule, column), seen in sorted(tally.seen.items(), key=lambda item: _ORDER.index(item[0][0])):
        if rule == "empty_text" and seen.count <= gate.max_empty_text_fraction * tally.rows:
            continue
        if getattr(gate, rule) == "ignore":
            continue
        yield Finding(
            rule,
            getattr(gate, rule),
            split,
            column,
            seen.count,
            tally.rows,
            _what(rule, column, seen, tally, data, labels),
            seen.sample,
            seen.where,
        )
    if tally.rows < gate.min_rows:
        yield Finding(
            "too_few_rows",
            gate.too_few_rows,
            split,
            "",
            tally.rows,
            tally.rows,
            f"only {tally.rows} rows, data.gate.min_rows is {gate.min_rows}",
        )


_ORDER: tuple[Rule, ...] = (
    "missing_split",
    "missing_column",
    "wrong_type",
    "unknown_label",
    "tag_count",
    "not_finite",
    "out_of_bounds",
    "repeated_label",
    "illegal_transition",
    "look_alike_labels",
    "empty_text",
    "too_few_rows",
    "schema_anomaly",
    "not_utf8",
)


def _what(
    rule: Rule, column: str, seen: Tally, tally: SplitTally, data: DataSettings, labels: Collection[str]
) -> str:
    if rule == "unknown_label":
        several = f" ({', '.join(sorted(seen.distinct))})" if len(seen.distinct) > 1 else ""
        return f"have a label that is not in {data.label_list.name}{several}{_like_known(seen.first, labels)}"
    if rule == "illegal_transition":
        times = f"{seen.times} transition{'s' * (seen.times != 1)}"
        return f"have {times} that the scheme {tally.scheme} forbids ({', '.join(sorted(seen.distinct))})"
    if rule == "empty_text":
        return f"have no text, data.gate.max_empty_text_fraction is {data.gate.max_empty_text_fraction}"
    if rule == "wrong_type":
        return "hold another type than the schema's, or more than one value"
    if rule in _PLAIN:
        return _PLAIN[rule]
    if rule == "missing_column":
        absent = tally.columns and column not in tally.columns
        present = f" (the first row has {', '.join(tally.columns)})" if absent else ""
        return f"lack the column or have no value in it{present}"
    return "are not UTF-8"


_PLAIN: Mapping[Rule, str] = {
    "tag_count": "do not have one tag for each word that transform.words finds",
    "repeated_label": "have a label more than once",
    "not_finite": "have a target that is not a finite number",
    "out_of_bounds": "have a target outside the domain in data.schema",
}


def _like_known(unknown: object, labels: Collection[str]) -> str:
    if not isinstance(unknown, str):
        return ""
    group = next((group for group in look_alikes([*sorted(labels), unknown]) if unknown in group), [unknown])
    return f" (the first looks like {quoted(group[0])}, which is)" if len(group) > 1 else ""


# --- TFDV anomalies -------------------------------------------------------------------------------

_MISSING = {
    "SCHEMA_MISSING_COLUMN",
    "FEATURE_TYPE_NOT_PRESENT",
    "FEATURE_TYPE_NO_VALUES",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT",
    "FEATURE_TYPE_LOW_NUMBER_VALUES",
}
_WRONG_TYPE = {
    "BOOL_TYPE_BYTES_NOT_INT",
    "BOOL_TYPE_BYTES_NOT_STRING",
    "BOOL_TYPE_FLOAT_NOT_INT",
    "BOOL_TYPE_FLOAT_NOT_STRING",
    "BOOL_TYPE_INT_NOT_STRING",
    "BOOL_TYPE_STRING_NOT_INT",
    "ENUM_TYPE_BYTES_NOT_STRING",
    "ENUM_TYPE_FLOAT_NOT_STRING",
    "ENUM_TYPE_INT_NOT_STRING",
    "FEATURE_TYPE_HIGH_NUMBER_VALUES",
    "FEATURE_TYPE_UNEXPECTED_REPEATED",
    "FLOAT_TYPE_NOT_FLOAT",
    "FLOAT_TYPE_NON_STRING",
    "FLOAT_TYPE_STRING_NOT_FLOAT",
    "INT_TYPE_INT_EXPECTED",
    "INT_TYPE_NOT_INT_STRING",
    "INT_TYPE_NOT_STRING",
    "INT_TYPE_STRING_EXPECTED",
    "INVALID_FEATURE_SHAPE",
    "STRING_TYPE_NOW_FLOAT",
    "STRING_TYPE_NOW_INT",
    "UNEXPECTED_DATA_TYPE",
}
_OUT_OF_BOUNDS = {"FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT"}
_NOT_FINITE = {"FLOAT_TYPE_HAS_NAN", "FLOAT_TYPE_HAS_INF"}
_OUTSIDE_DOMAIN = {"ENUM_TYPE_UNEXPECTED_STRING_VALUES", "INT_TYPE_BIG_INT", "INT_TYPE_SMALL_INT"}


def rule_of_anomaly(reason: str, column: str, label: str) -> Rule:
    """Returns the rule for a TFDV anomaly type: "SCHEMA_MISSING_COLUMN" -> missing_column."""
    if reason in _MISSING:
        return "missing_column"
    if reason in _WRONG_TYPE:
        return "wrong_type"
    if reason in _OUTSIDE_DOMAIN and column == label:
        return "unknown_label"
    if reason in _OUT_OF_BOUNDS | _NOT_FINITE and column == label:
        return "out_of_bounds" if reason in _OUT_OF_BOUNDS else "not_finite"
    return "not_utf8" if reason == "ENUM_TYPE_INVALID_UTF8" else "schema_anomaly"


def judge_anomaly(
    split: str,
    column: str,
    reason: str,
    description: str,
    only_warning: bool,
    rows: int,
    missing: int,
    data: DataSettings,
) -> Finding:
    """Returns the finding for one reason of a TFDV anomaly.

    Args:
        only_warning: TFDV itself reports a warning, which does not stop the run.
        missing: rows without a value in the column, from the statistics.
    """
    rule = rule_of_anomaly(reason, column, data.label_column)
    severity: Severity = "warn" if only_warning else getattr(data.gate, rule)
    count = missing if rule == "missing_column" and missing else rows
    text = " ".join(description.split()).rstrip(".")
    return Finding(
        rule, severity, split, column, count, rows, f"are not as the schema says: {text} [{reason}]"
    )


def without_repeats(scanned: list[Finding], anomalies: Iterable[Finding]) -> list[Finding]:
    """Returns both lists as one, without anomalies that the scan also found, because the scan names the rows."""
    known = {(f.split, f.column, f.rule) for f in scanned}
    # A wrong type also causes anomalies about missing values or values outside the domain.
    broken = {(f.split, f.column) for f in scanned if f.rule in ("wrong_type", "missing_column")}
    kept = [
        f for f in anomalies if (f.split, f.column, f.rule) not in known and (f.split, f.column) not in broken
    ]
    return scanned + kept


# --- the decision ---------------------------------------------------------------------------------


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings sorted by severity, errors first, then by rule, the most severe first."""
    return sorted(findings, key=lambda f: (f.severity != "error", _ORDER.index(f.rule)))


def refusal(findings: list[Finding]) -> str | None:
    """Returns the one-line message that stops the run, None if no finding is an error."""
    errors = [f for f in findings if f.severity == "error"]
    if not errors:
        return None
    first = errors[0]
    more = f" (and {len(errors) - 1} more, all in the log)" if len(errors) > 1 else ""
    alternative = "" if _stops_later(first) else f", or set data.gate.{first.rule}: warn"
    return f"Data gate refused: {first}; correct the data{alternative}{more}"


def _stops_later(finding: Finding) -> bool:
    """Whether a later node fails on the rows if the gate lets them pass."""
    required = finding.rule == "missing_split" and finding.split in ("train", "eval")
    absent = finding.rule == "missing_column" and finding.count == finding.rows
    return required or absent or finding.rule in ("unknown_label", "tag_count", "not_finite")
