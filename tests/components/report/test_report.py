"""The node on a real SavedModel and real TFMA output.

The model answers what its text says ("1 0.8": class b with a probability of 0.8), so figures are known.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types import standard_artifacts

from components.data_gate.artifacts import DataGateReport
from components.data_gate.report import Finding, GateReport, report_text
from components.report import predictions
from components.report.artifacts import ClassificationMetrics, HtmlPage, MarkdownPage, Metrics
from components.report.executor import Executor
from components.settings import DataSettings
from components.tokenization_gate.artifacts import TokenizationReport
from components.tokenization_gate.report import report_text as parity_text
from tests.components.evaluator.test_metrics import LABELS, ROWS, analyse
from tests.components.report.sample import PARITY
from tests.components.report.test_page import Reader
from tests.support.local_run import example, tfrecord, tfrecord_gz

EVALUATE = {"split": "test", "thresholds": {"accuracy": {"min": 0.6}}, "slices": [{"columns": ["label"]}]}
DATA = {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt"}
HISTORY = {
    "step": 1,
    "total_steps": 1,
    "train_rows": 6,
    "stopped_early": False,
    "best": {},
    "evaluations": [],
}
OUTPUTS = {
    "classification": ClassificationMetrics,
    "metrics": Metrics,
    "page": HtmlPage,
    "summary": MarkdownPage,
}
Report = Callable[..., dict[str, Any]]


def artifact(kind: type, folder: Path, **properties: int) -> Any:
    made = kind()
    made.uri = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in properties.items():
        made.set_int_custom_property(key, value)
    return made


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(content), encoding="utf-8")


def write_data(folder: Path, rows: list[bytes]) -> None:
    """Two shards, statistics and anomalies of the split `test`."""
    for part in ("examples", "statistics", "anomalies"):
        (folder / part / "Split-test").mkdir(parents=True)
    split = folder / "examples" / "Split-test"
    (split / "data-00000-of-00002").write_bytes(tfrecord(rows[:2]))
    (split / "data-00001-of-00002.gz").write_bytes(tfrecord_gz(rows[2:]))
    listed = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = listed.datasets.add(num_examples=len(rows))
    label = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
    label.path.step.append("label")
    label.string_stats.unique = 3
    for name, count in (("a", 3), ("b", 2), ("c", 1)):
        label.string_stats.rank_histogram.buckets.add(label=name, sample_count=count)
    (folder / "statistics/Split-test/FeatureStats.pb").write_bytes(listed.SerializeToString())
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["label"].description = "Examples contain values missing from the schema: d."
    found.anomaly_info["label"].severity = anomalies_pb2.AnomalyInfo.WARNING
    (folder / "anomalies/Split-test/SchemaDiff.pb").write_bytes(found.SerializeToString())


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model/Format-Serving` and TFMA's `evaluation`."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "rows.tfrecord").write_bytes(tfrecord(row_bytes()))
    analyse(str(folder / "rows.tfrecord"), folder, EVALUATE)
    (folder / "model").mkdir()
    (folder / "candidate").rename(folder / "model" / "Format-Serving")
    (folder / "model/Format-Serving/assets.extra").mkdir()
    (folder / "model/Format-Serving/assets.extra/labels.txt").write_text("".join(f"{c}\n" for c in LABELS))
    return folder


def row_bytes() -> list[bytes]:
    return [example(text=text.encode(), label=label.encode()) for label, text in ROWS]


@pytest.fixture
def report(evaluated: Path, tmp_path: Path) -> Report:
    """`report(blessed=1, canary=1, as_files=False, rows=..., **report settings)` -> output artifacts."""

    def run(
        blessed: int = 1,
        canary: int = 1,
        as_files: bool = False,
        rows: list[bytes] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        write_data(tmp_path, rows or row_bytes())
        write_json(tmp_path / "run/history.json", HISTORY)
        odd = Finding("look_alike_labels", "warn", "", "label", 1, 6, "1 of 6 rows is odd")
        (tmp_path / "gate").mkdir(exist_ok=True)
        (tmp_path / "gate/report.json").write_text(report_text(GateReport({"test": 6}, [odd], {})))
        (tmp_path / "parity").mkdir(exist_ok=True)
        (tmp_path / "parity/report.json").write_text(parity_text(PARITY))
        tried = {
            "blessed": bool(canary),
            "reasons": [] if canary else ["p99 latency 9 ms"],
            "figures": {"rows": 5.0},
        }
        write_json(tmp_path / "canary/canary.json", tried)
        examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
        examples.split_names = '["test"]'
        inputs = {
            "examples": examples,
            "statistics": artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics"),
            "anomalies": artifact(standard_artifacts.ExampleAnomalies, tmp_path / "anomalies"),
            "data_gate": artifact(DataGateReport, tmp_path / "gate"),
            "tokenization_gate": artifact(TokenizationReport, tmp_path / "parity"),
            "model": artifact(standard_artifacts.Model, evaluated / "model"),
            "model_run": artifact(standard_artifacts.ModelRun, tmp_path / "run"),
            "evaluation": artifact(standard_artifacts.ModelEvaluation, evaluated / "evaluation"),
            "model_blessing": artifact(standard_artifacts.ModelBlessing, tmp_path / "b", blessed=blessed),
            "infra_blessing": artifact(standard_artifacts.InfraBlessing, tmp_path / "canary", blessed=canary),
        }
        outputs = {key: artifact(kind, tmp_path / "out" / key) for key, kind in OUTPUTS.items()}
        for made in outputs.values() if as_files else ():
            Path(made.uri).rmdir()
        Executor().Do(
            {key: [value] for key, value in inputs.items()},
            {key: [value] for key, value in outputs.items()},
            {
                "name": "tiny",
                "serving_dir": "/serving",
                "settings": json.dumps(
                    {"data": DATA, "evaluate": EVALUATE, "report": settings, "task": "single_label"}
                ),
                "code_fingerprint": "",
            },
        )
        return outputs

    return run


def properties(made: Any) -> dict[str, Any]:
    return {key: value.double_value for key, value in made.mlmd_artifact.custom_properties.items()}


def test_figures_are_those_of_the_evaluator_and_of_the_rows(report):
    made = report()
    figures = properties(made["metrics"])
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert (figures["accuracy.min"], figures["blessed"], figures["canary.blessed"]) == (0.6, 1.0, 1.0)
    assert "accuracy.baseline" not in figures
    matrix = made["classification"].get_json_value_custom_property("confusionMatrix")
    assert matrix == {
        "annotationSpecs": [{"displayName": label} for label in LABELS],
        "rows": [{"row": [2.0, 1.0, 0.0]}, {"row": [0.0, 2.0, 0.0]}, {"row": [1.0, 0.0, 0.0]}],
    }
    assert not made["classification"].has_custom_property("confidenceMetrics")


def test_pages_lie_in_the_folders_that_the_local_runner_makes(report):
    made = report()
    read = Reader((Path(made["page"].uri) / "index.html").read_text(encoding="utf-8"))
    text = "".join(read.texts)
    for told in (
        "From all 6 rows.",
        "label=c",
        "Examples contain values missing",
        "1 of 6 rows is odd",
        "3 (50.0%)",
        "1 of 2,000 rows (0.050%) are tokenized differently in the graph",
        "##the",
    ):
        assert told in text, told
    # Least probable labels first: "1 0.8" leaves 0.1 for a, "0 0.7" leaves 0.15 for c.
    assert read.quotes == ["1 0.8", "0 0.7"]
    assert "accepted" in (Path(made["summary"].uri) / "summary.md").read_text(encoding="utf-8")


def test_pages_are_the_files_at_the_uris_where_kubeflow_wants_files(report):
    made = report(as_files=True)
    assert Path(made["page"].uri).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert Path(made["summary"].uri).read_text(encoding="utf-8").startswith("# tiny: accepted")


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({"blessed": 0}, "Rejected by the Evaluator"),
        ({"canary": 0}, "rejected by the Canaryp99 latency 9 ms"),
    ],
)
def test_refused_model_is_reported_too(report, verdicts, told):
    made = report(**verdicts)
    assert told in "".join(Reader((Path(made["page"].uri) / "index.html").read_text(encoding="utf-8")).texts)
    figures = properties(made["metrics"])
    assert (figures["blessed"], figures["canary.blessed"]) == (
        verdicts.get("blessed", 1),
        verdicts.get("canary", 1),
    )


def test_settings_bound_the_rows_looked_at_and_the_texts_shown(report):
    made = report(max_rows=3, mistakes=0)
    document = (Path(made["page"].uri) / "index.html").read_text(encoding="utf-8")
    assert "From 3 of 6 rows, evenly spaced over the split (report.max_rows)." in document
    assert "<blockquote" not in document
    assert "1 of 2,000 rows (0.050%) are tokenized differently in the graph" in document
    assert "##the" not in document
    matrix = made["classification"].get_json_value_custom_property("confusionMatrix")
    assert sum(sum(row["row"]) for row in matrix["rows"]) == 3


def test_rows_whose_label_is_no_class_or_no_text_are_left_out_of_the_matrix(report):
    odd = [example(text=b"0 0.9", label=b"\xff"), example(text=b"0 0.9"), example(text=b"1 0.9", label=1)]
    made = report(rows=[*row_bytes(), *odd])
    matrix = made["classification"].get_json_value_custom_property("confusionMatrix")
    assert sum(sum(row["row"]) for row in matrix["rows"]) == 6


@pytest.mark.parametrize(
    ("rows", "limit", "chosen"), [(6, 3, [1, 3, 5]), (5, 9, [0, 1, 2, 3, 4]), (7, 1, [6])]
)
def test_chosen_rows_are_spread_evenly_and_exactly_as_many(rows, limit, chosen):
    assert [i for i in range(rows) if predictions.is_chosen(i, rows, limit)] == chosen


def test_pair_of_texts_integer_labels_and_rows_without_text_are_read(tmp_path):
    data = DataSettings.model_validate({**DATA, "text_pair": "second"})
    records = [example(text=b"one", second=b"two", label=3), example(label=b"x")]
    (tmp_path / "shard").write_bytes(tfrecord(records))
    assert list(predictions.read_rows(tmp_path, data)) == [
        predictions.Row((b"one", b"two"), (3,)),
        predictions.Row((b"", b""), (b"x",)),
    ]


def test_long_text_is_cut_and_broken_bytes_are_replaced():
    assert predictions._shown(b"a" * 5000) == "a" * 1000 + "…"
    assert predictions._shown("é".encode() * 1000) == "é" * 1000
    assert predictions._shown(b"\xff\xfe ok") == "\ufffd\ufffd ok"
