"""Executor of DataGate: counts problems in the artifacts, which the rules then judge."""

from __future__ import annotations

import json
import logging
import math
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tensorflow.core.example import example_pb2
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_gate import rules
from components.data_gate.artifacts import ROWS_PROPERTY, WARNINGS_PROPERTY
from components.data_gate.report import REPORT_FILE, Finding, GateReport, report_text
from components.data_gate.spec import (
    ANOMALIES_KEY,
    EXAMPLES_KEY,
    REFUSAL_DIR_KEY,
    REPORT_KEY,
    SCHEMA_KEY,
    SETTINGS_KEY,
    STATISTICS_KEY,
)
from components.example_gen.tfrecord import read_records
from components.settings import DataSettings
from models.errors import GateRefused
from models.tasks.label_domain import LabelDomain
from models.tasks.task import TASKS, Facts, Task
from models.tokenizers.word_rules import DEFAULT_RULE, WordRule, split_words

REFUSAL_FILE = "data_gate.json"

_LIST_OF_TYPE = {
    schema_pb2.BYTES: "bytes_list",
    schema_pb2.INT: "int64_list",
    schema_pb2.FLOAT: "float_list",
}

_log = logging.getLogger(__name__)


class WordLabels(NamedTuple):
    """What is known of labels of words: the rule that finds the words, and how spans are written."""

    rule: WordRule
    scheme: str


def scan_split(
    folder: str,
    data: DataSettings,
    facts: Facts,
    domain: LabelDomain,
    label_lists: tuple[str, ...],
    of_words: WordLabels | None = None,
) -> rules.SplitTally:
    """Reads the rows of one split once and counts problems with texts and labels."""
    tally = rules.SplitTally(scheme=of_words.scheme if of_words else "")
    for where, example in _examples(folder):
        features = example.features.feature
        if tally.rows == 0:
            tally.columns = tuple(sorted(features))
        tally.rows += 1
        for column in data.text_columns:
            values, kind = _values(features, column)
            rules.check_text(tally, column, values, kind, where)
        words = _words(features, data.text, of_words.rule) if of_words else None
        values, kind = _values(features, data.label_column)
        rules.check_label(tally, facts, data.label_column, values, kind, label_lists, domain, where, words)
    return tally


def _words(features: Any, column: str, rule: WordRule) -> int | None:
    """How many words a row's text has; None if it has no text."""
    values, kind = _values(features, column)
    return (
        len(split_words(values[0].decode(errors="replace"), rule))
        if values and kind == "bytes_list"
        else None
    )


def _scheme(folders: Iterable[str], column: str, facts: Facts, labels: Sequence[str]) -> str:
    """How the spans of all splits are written, from the rows with known labels. Usually a few rows say it."""
    known = {label.encode() for label in labels}
    columns = (_values(row.features.feature, column) for folder in folders for _, row in _examples(folder))
    return facts.scheme(
        labels, (values for values, kind in columns if kind == "bytes_list" and known.issuperset(values))
    )


def _examples(folder: str) -> Iterator[tuple[str, example_pb2.Example]]:
    for path in sorted(fileio.glob(posixpath.join(folder, "*"))):
        name = posixpath.basename(path)
        with fileio.open(path, "rb") as file:
            for index, record in enumerate(read_records(file, path)):
                yield f"{name} record {index}", example_pb2.Example.FromString(record)


def _values(features: Any, column: str) -> tuple[Any, str]:
    if column not in features:
        return None, ""
    kind = features[column].WhichOneof("kind")
    return (getattr(features[column], kind).value, kind) if kind else (None, "")


def label_lists(schema: schema_pb2.Schema, label: str, facts: Facts) -> tuple[str, ...]:
    """Returns the tf.Example lists that may hold the label: the schema's, otherwise bytes or int64."""
    kinds = [feature.type for feature in schema.feature if feature.name == label]
    lists = tuple(f"{kind}_list" for kind in facts.LABEL_KINDS)
    named = _LIST_OF_TYPE.get(kinds[0]) if kinds else None
    return (named,) if named in lists else lists


def label_domain(schema: schema_pb2.Schema, label: str, labels: frozenset[str]) -> LabelDomain:
    """The label list, and the bounds of the schema's `float_domain` or `int_domain` of the label column."""
    for feature in schema.feature:
        bounds = feature.WhichOneof("domain_info")
        if feature.name == label and bounds in ("float_domain", "int_domain"):
            domain = getattr(feature, bounds)
            low = domain.min if domain.HasField("min") else -math.inf
            return LabelDomain(labels, low, domain.max if domain.HasField("max") else math.inf)
    return LabelDomain(labels)


def anomalies_of_split(
    split: str,
    anomalies: anomalies_pb2.Anomalies,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    rows: int,
    data: DataSettings,
) -> Iterator[Finding]:
    """Yields a finding for each reason that TFDV gives; none for a split without rows."""
    missing = _missing_values(statistics)
    by_column = [(_column(info, key), info) for key, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        by_column.append(("", anomalies.dataset_anomaly_info))
    for column, info in by_column if rows else []:
        for reason in info.reason or [info]:
            yield rules.judge_anomaly(
                split,
                column,
                anomalies_pb2.AnomalyInfo.Type.Name(reason.type) if info.reason else "UNKNOWN_TYPE",
                reason.description,
                info.severity == anomalies_pb2.AnomalyInfo.WARNING,
                rows,
                missing.get(column, 0),
                data,
            )


def _column(info: anomalies_pb2.AnomalyInfo, key: str) -> str:
    return ".".join(info.path.step) or key


def _missing_values(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, int]:
    missing = {}
    for dataset in statistics.datasets[:1]:
        for feature in dataset.features:
            kind = feature.WhichOneof("stats")
            stats = getattr(feature, kind) if kind else None
            common = stats.common_stats if stats is not None and hasattr(stats, "common_stats") else stats
            if common is not None:
                missing[".".join(feature.path.step) or feature.name] = common.num_missing
    return missing


class Executor(base_executor.BaseExecutor):
    """Checks every split that the config names."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the report.

        Raises:
            GateRefused: a finding has severity `error`; the message names split, column, count and a
                sample of the first one. All findings are in the log and in `<refusal_dir>/data_gate.json`.
            UsageError: the label list cannot be read.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = json.loads(exec_properties[SETTINGS_KEY])
        task, rule = TASKS[settings.pop("task")], settings.pop("words")
        data = DataSettings.model_validate(settings)
        findings, rows = judge(input_dict, data, task, rule)
        document = report_text(GateReport(rows, findings, data.gate.model_dump(mode="json")))
        for finding in findings:
            _log.log(
                logging.ERROR if finding.severity == "error" else logging.WARNING, "Data gate: %s", finding
            )
        message = rules.refusal(findings)
        if message:
            self._refuse(message, document, exec_properties[REFUSAL_DIR_KEY])
        report = artifact_utils.get_single_instance(output_dict[REPORT_KEY])
        io_utils.write_string_file(posixpath.join(report.uri, REPORT_FILE), document)
        report.set_int_custom_property(ROWS_PROPERTY, sum(rows.values()))
        report.set_int_custom_property(WARNINGS_PROPERTY, len(findings))

    def _refuse(self, message: str, document: str, folder: str) -> None:
        # Not in the output's folder, which TFX removes when a node fails.
        if folder:
            path = posixpath.join(folder, REFUSAL_FILE)
            io_utils.write_string_file(path, document)
            message = message.replace("all in the log", f"all in {path}")
        raise GateRefused(message)


def judge(
    input_dict: dict[str, list[types.Artifact]], data: DataSettings, task: Task, rule: WordRule = DEFAULT_RULE
) -> tuple[list[Finding], dict[str, int]]:
    """Returns the findings of all splits, errors first, and split -> rows; `rule` finds the words of labels of words."""
    facts = task.facts()
    examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
    schema = io_utils.SchemaReader().read(
        io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict[SCHEMA_KEY]))
    )
    existing_splits = artifact_utils.decode_split_names(examples.split_names)
    label_list = task.read_labels(data.label_list)
    kinds = label_lists(schema, data.label_column, facts)
    if kinds == ("int64_list",):
        facts.check_integer_labels(label_list, data.label_list, data.label_column)
    labels = frozenset(label_list)
    domain = label_domain(schema, data.label_column, labels)
    findings = list(rules.judge_labels(label_list, data))
    rows: dict[str, int] = {}
    folders = {
        split: artifact_utils.get_split_uri([examples], split)
        for split in data.splits
        if split in existing_splits
    }
    of_words = None
    if facts.OF_WORDS:
        of_words = WordLabels(rule, _scheme(folders.values(), data.label_column, facts, label_list))
    for split in data.splits:
        folder = folders.get(split, "")
        tally = scan_split(folder, data, facts, domain, kinds, of_words) if folder else rules.SplitTally()
        rows[split] = tally.rows
        scanned = list(rules.judge_split(split, tally, data, labels))
        anomalies = _read_anomalies(input_dict, split, tally.rows, data) if folder else []
        findings += rules.without_repeats(scanned, anomalies)
    return rules.ordered(findings), rows


def _read_anomalies(
    input_dict: dict[str, list[types.Artifact]], split: str, rows: int, data: DataSettings
) -> list[Finding]:
    anomalies = anomalies_pb2.Anomalies.FromString(_only_file(input_dict[ANOMALIES_KEY], split))
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(
        _only_file(input_dict[STATISTICS_KEY], split)
    )
    return list(anomalies_of_split(split, anomalies, statistics, rows, data))


def _only_file(artifacts: list[types.Artifact], split: str) -> bytes:
    path = io_utils.get_only_uri_in_dir(artifact_utils.get_split_uri(artifacts, split))
    return bytes(io_utils.read_bytes_file(path))
