"""Reads the output of TFMA and TFDV; their messages are made here with their own classes."""

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tensorflow_metadata.proto.v0 import statistics_pb2
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from components.evaluator.settings import EvaluateSettings
from components.project import PROJECT_DIR
from components.tokenization_gate.report import report_text
from models.tasks.task import TASKS
from pipeline.importing.tfrecord import frame
from pipeline.local.node_run import NodeRun, OutputArtifact
from pipeline.local.outcome import Outcome, as_json, gather
from pipeline.local.summary import print_summary
from pipeline.process.command_line import to_paste
from tests.components.report.sample import PARITY

LABELS = ["neg", "pos"]


def add_metric(message, name: str, value: float, model: str = "", class_id: int | None = None) -> None:
    entry = message.metric_keys_and_values.add()
    entry.key.name, entry.key.model_name = name, model
    entry.value.double_value.value = value
    if class_id is not None:
        entry.key.sub_key.class_id.value = class_id


def evaluation(folder: Path, *slices, validation=None) -> NodeRun:
    folder.mkdir()
    records = b"".join(frame(message.SerializeToString()) for message in slices)
    (folder / "metrics-00000-of-00001.tfrecord").write_bytes(records)
    if validation is not None:
        (folder / "validations.tfrecord").write_bytes(frame(validation.SerializeToString()))
    outputs = {
        "evaluation": [OutputArtifact(str(folder), {})],
        "blessing": [
            OutputArtifact("", {"blessed": 1 if validation is None or validation.validation_ok else 0})
        ],
    }
    return NodeRun("Evaluator", "done", 9.0, outputs)


def pusher(state: str, **properties) -> NodeRun:
    return NodeRun("Pusher", state, 0.1, {"pushed_model": [OutputArtifact("", properties)]})


def whole_split(accuracy: float, baseline: float | None = None):
    message = metrics_for_slice_pb2.MetricsForSlice()
    message.slice_key.SetInParent()
    model = "" if baseline is None else "candidate"
    add_metric(message, "accuracy", accuracy, model)
    add_metric(message, "example_count", 60, model)
    for class_id, f1 in enumerate((0.8, 0.9)):
        add_metric(message, "macro_f1", f1, model, class_id)
    if baseline is not None:
        add_metric(message, "accuracy", baseline, "baseline")
        add_metric(message, "accuracy", accuracy - baseline, "candidate")
        message.metric_keys_and_values[-1].key.is_diff = True
        add_metric(message, "macro_f1", 0.85, "baseline", class_id=0)
    return message


def refusal(name: str, diff: bool = False, **bounds):
    result = validation_result_pb2.ValidationResult(validation_ok=False)
    failure = result.metric_validations_per_slice.add().failures.add()
    failure.metric_key.name, failure.metric_key.is_diff = name, diff
    if diff:
        failure.metric_threshold.change_threshold.absolute.value = bounds["absolute"]
    else:
        for side, value in bounds.items():
            getattr(failure.metric_threshold.value_threshold, side).value = value
    return result


EVALUATE = EvaluateSettings(
    thresholds={"accuracy": {"min": 0.93, "max_drop": 0.01}},
    slices=[{"columns": ["label"]}, {"columns": ["lang", "channel"]}],
)


def gathered(*nodes: NodeRun, **kwargs) -> Outcome:
    return gather("run-1", 12.0, nodes, "label", Path("/serving/tiny"), EVALUATE, **kwargs)


def sliced(accuracy: float, **values: bytes):
    """The metrics of one slice, averages over classes among them."""
    message = metrics_for_slice_pb2.MetricsForSlice()
    for column, value in values.items():
        message.slice_key.single_slice_keys.add(column=column, bytes_value=value)
    for name in ("accuracy", "macro_f1", "macro_precision", "macro_recall", "auc", "example_count"):
        add_metric(message, name, accuracy)
    return message


def test_a_pushed_model_has_version_metrics_and_classes(tmp_path):
    outcome = gathered(
        evaluation(tmp_path / "e", whole_split(0.95)),
        pusher("done", pushed=1, pushed_version="3", pushed_destination="/serving/tiny/3"),
    )
    assert (outcome.status, outcome.blessed, outcome.pushed, outcome.version) == ("pushed", True, True, 3)
    assert outcome.evaluation.metrics == {"accuracy": 0.95, "example_count": 60}
    assert outcome.evaluation.baseline is None
    assert outcome.evaluation.per_class == {"f1": {0: 0.8, 1: 0.9}}
    assert outcome.reason is None


def test_the_baselines_metrics_are_kept_apart_from_the_candidates(tmp_path):
    outcome = gathered(evaluation(tmp_path / "e", whole_split(0.95, baseline=0.9)))
    assert outcome.evaluation.metrics["accuracy"] == 0.95
    assert outcome.evaluation.baseline == {"accuracy": 0.9}
    assert outcome.evaluation.per_class == {"f1": {0: 0.8, 1: 0.9}}
    assert outcome.evaluation.per_class_baseline == {"f1": {0: 0.85}}


def test_a_push_of_an_earlier_run_counts_as_cached():
    outcome = gathered(pusher("cached", pushed=1, pushed_version="1"))
    assert (outcome.status, outcome.pushed, outcome.all_cached) == ("cached", True, True)


@pytest.mark.parametrize(
    ("message", "validation", "reason"),
    [
        (
            whole_split(0.912),
            refusal("accuracy", lower_bound=0.93),
            "not blessed: accuracy 0.912 is below the threshold 0.93",
        ),
        (
            whole_split(0.912),
            refusal("accuracy", upper_bound=0.9),
            "not blessed: accuracy 0.912 is above the threshold 0.9",
        ),
        (
            whole_split(0.912, baseline=0.942),
            refusal("accuracy", diff=True, absolute=-0.01),
            "not blessed: accuracy 0.912 is 0.03 worse than the last blessed model's 0.942 "
            "(at most 0.01 is allowed)",
        ),
        (
            whole_split(0.912),
            refusal("auc", lower_bound=0.9),
            "not blessed: auc could not be computed",
        ),
        (
            whole_split(float("nan")),
            refusal("accuracy", lower_bound=0.9),
            "not blessed: accuracy is undefined (too few different labels)",
        ),
    ],
)
def test_a_refusal_says_which_bound_does_not_hold(tmp_path, message, validation, reason):
    outcome = gathered(evaluation(tmp_path / "e", message, validation=validation), pusher("done", pushed=0))
    assert (outcome.status, outcome.pushed, outcome.version) == ("refused", False, None)
    assert outcome.reason == reason


def test_a_refusal_on_a_slice_names_the_slice(tmp_path):
    message, validation = whole_split(0.5), refusal("accuracy", lower_bound=0.9)
    for slice_key in (message.slice_key, validation.metric_validations_per_slice[0].slice_key):
        slice_key.single_slice_keys.add(column="lang", bytes_value=b"de")
    outcome = gathered(evaluation(tmp_path / "e", whole_split(0.95), message, validation=validation))
    assert outcome.reason == "not blessed: accuracy 0.5 is below the threshold 0.9 on slice lang=de"
    assert outcome.evaluation.slices["lang=de"]["accuracy"] == 0.5
    assert outcome.evaluation.metrics["accuracy"] == 0.95


def test_a_refusal_on_many_slices_tells_the_first_six_and_how_many_more(tmp_path):
    validations = [refusal(f"metric_{i}", lower_bound=0.9) for i in range(300)]
    for other in validations[1:]:
        validations[0].MergeFrom(other)
    outcome = gathered(evaluation(tmp_path / "e", whole_split(0.95), validation=validations[0]))
    assert outcome.reason == (
        "not blessed: metric_0 could not be computed; metric_1 could not be computed; "
        "metric_2 could not be computed; metric_3 could not be computed; metric_4 could not be computed; "
        "metric_5 could not be computed; and 294 more"
    )
    assert len(outcome.evaluation.refusals) == 300


def statistics(folder: Path) -> NodeRun:
    listed = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = listed.datasets.add(num_examples=3)
    feature = dataset.features.add()
    feature.path.step.append("label")
    for label, count in (("pos", 2), ("neg", 1)):
        feature.string_stats.rank_histogram.buckets.add(label=label, sample_count=count)
    (folder / "Split-train").mkdir(parents=True)
    (folder / "Split-train" / "FeatureStats.pb").write_bytes(listed.SerializeToString())
    return NodeRun("StatisticsGen", "done", 1.0, {"statistics": [OutputArtifact(str(folder), {})]})


def test_rows_and_labels_of_each_split_come_from_the_statistics(tmp_path):
    [split] = gathered(statistics(tmp_path / "s")).splits
    assert (split.name, split.rows, split.labels) == ("train", 3, {"pos": 2, "neg": 1})


def test_rows_that_are_tokenized_otherwise_and_may_be_are_a_warning(tmp_path):
    (tmp_path / "report.json").write_text(report_text(PARITY), encoding="utf-8")
    node = NodeRun("TokenizationGate", "done", 1.0, {"report": [OutputArtifact(str(tmp_path), {})]})
    assert gathered(node).warnings == [
        "tokenization: 1 of 2,000 rows (0.050%) are tokenized differently in the graph and by transformers, "
        "parity.max_mismatch_rate is 0.01: split 'train', row 17, '</blockquote><script>alert(1)</script>': "
        "token 3 is '<b>the</b>' (1996) in the graph, '##the' (2178) by transformers"
    ]
    equal = dataclasses.replace(PARITY, mismatches={"train": 0, "test": 0}, examples=())
    (tmp_path / "report.json").write_text(report_text(equal), encoding="utf-8")
    assert gathered(node).warnings == []


def test_a_run_that_failed_early_tells_what_there_is():
    nodes = [NodeRun("StatisticsGen", "failed", 1.0), NodeRun("Pusher", "waiting")]
    outcome = gathered(*nodes, failure=("failed", "disk full"))
    assert as_json(outcome) == {
        "run_id": "run-1",
        "status": "failed",
        "blessed": None,
        "pushed": False,
        "version": None,
        "metrics": {},
        "baseline_metrics": None,
        "nodes": [
            {"id": "StatisticsGen", "state": "failed", "seconds": 1.0},
            {"id": "Pusher", "state": "waiting", "seconds": 0.0},
        ],
        "seconds": 12.0,
        "serving_dir": "/serving/tiny",
        "reason": "disk full",
        "warnings": [],
        "exports": [],
    }


@pytest.mark.parametrize(
    ("bound", "pushed", "reason"),
    [
        (0.9, 1, "node Report failed: OSError: disk full; before that: pushed as version 3"),
        (
            0.96,
            0,
            "node Report failed: OSError: disk full; before that: not blessed: "
            "accuracy 0.95 is below the threshold 0.96",
        ),
    ],
)
def test_a_failing_report_tells_what_the_gates_had_decided(tmp_path, bound, pushed, reason):
    validation = None if pushed else refusal("accuracy", lower_bound=bound)
    outcome = gathered(
        evaluation(tmp_path / "e", whole_split(0.95), validation=validation),
        pusher("done", pushed=pushed, pushed_version="3"),
        NodeRun("Report", "failed", 1.0),
        failure=("failed", "node Report failed: OSError: disk full"),
    )
    assert (outcome.status, outcome.pushed, outcome.reason) == ("failed", bool(pushed), reason)


def test_the_summary_names_the_report_as_a_path_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = OutputArtifact(str(tmp_path / "runs/tiny/artifacts/Report/page/9"), {})
    text = printed(gathered(pusher("done", pushed=1), NodeRun("Report", "done", 1.0, {"page": [page]})))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "the report runs/tiny/artifacts/Report/page/9/index.html" in lines


def test_a_metric_that_is_not_a_number_is_null_in_json(tmp_path):
    outcome = gathered(evaluation(tmp_path / "e", whole_split(float("nan"))))
    assert json.loads(json.dumps(as_json(outcome), allow_nan=False))["metrics"]["accuracy"] is None


def printed(outcome: Outcome, width: int = 120, config: tuple[str, ...] = ("configs/tiny.yaml",)) -> str:
    console = Console(file=io.StringIO(), width=width)
    task, log = TASKS["single_label"], Path("runs/tiny/logs/1.log")
    print_summary(console, outcome, EVALUATE, LABELS, task, config, log)
    return console.file.getvalue()


def test_averages_over_classes_are_left_out_of_slices_by_the_label(tmp_path):
    slices = (
        sliced(0.9, label=b"pos"),
        sliced(0.8, lang=b"de", channel=b"mail"),
        sliced(0.7, label=b"neg", lang=b"de"),
    )
    found = gathered(evaluation(tmp_path / "e", whole_split(0.95), *slices)).evaluation.slices
    assert found["label=pos"] == {"accuracy": 0.9, "example_count": 0.9}
    assert found["label=neg, lang=de"] == {"accuracy": 0.7, "example_count": 0.7}
    assert found["lang=de, channel=mail"]["macro_f1"] == 0.8


def test_slices_that_no_row_is_in_are_warned_of(tmp_path):
    outcome = gathered(
        evaluation(tmp_path / "e", whole_split(0.95), sliced(0.9, label=b"pos")), pusher("done")
    )
    warning = (
        "evaluate.slices: no row of split 'test' has a value in lang, channel, so there is no such slice"
    )
    assert as_json(outcome)["warnings"] == [warning]
    assert f"  warning: {warning}" in printed(outcome).splitlines()
    both = sliced(0.9, label=b"pos"), sliced(0.8, channel=b"mail", lang=b"de")
    assert gathered(evaluation(tmp_path / "f", whole_split(0.95), *both)).warnings == []


def test_names_of_metrics_and_classes_are_whole_on_a_narrow_terminal(tmp_path):
    message = whole_split(0.95, baseline=0.955)
    for name in ("macro_precision", "macro_recall", "macro_f1"):
        add_metric(message, name, 0.9, "candidate")
    outcome = gathered(
        evaluation(tmp_path / "e", message, sliced(0.9, label=b"pos" * 20)), pusher("done", pushed=1)
    )
    lines = printed(outcome, width=60).splitlines()
    starts = {line.split()[0] for line in lines if line.startswith("  ") and line.split()}
    assert {"macro_precision", "macro_recall", "macro_f1", "accuracy"} <= starts
    assert "label=" + "pos" * 20 in "".join(
        line.split()[0] for line in lines if line.split() and "pos" in line
    )
    assert "…" not in "".join(lines)


def test_what_to_do_next_can_be_pasted_with_its_spaces_and_overrides(monkeypatch):
    monkeypatch.setattr(sys, "executable", str(PROJECT_DIR / ".venv/bin/python"))
    outcome = gathered(pusher("done", pushed=1, pushed_version="2"))
    config = ("my configs/a.yaml", "--set", "push.serving_dir=/a b")
    monkeypatch.chdir(PROJECT_DIR)
    lines = [" ".join(line.split()) for line in printed(outcome, config=config).splitlines()]
    told = "'my configs/a.yaml' --set 'push.serving_dir=/a b'"
    assert f"serve it .venv/bin/python runner_local.py serve {told}" in lines
    assert f"try something else .venv/bin/python runner_local.py run {told} --set train.seed=1" in lines
    monkeypatch.chdir("/")
    lines = printed(outcome, config=config).splitlines()
    python, runner = (
        str((PROJECT_DIR / name).relative_to("/")) for name in (".venv/bin/python", "runner_local.py")
    )
    assert f"  serve it              {python} {runner} serve {told}" in lines


def test_an_activated_environment_is_called_python(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.chdir(PROJECT_DIR)
    assert to_paste("config", "--explain") == "python runner_local.py config --explain"
    linked = tmp_path / "venv-python"  # as that of a virtual environment, which was not activated
    linked.symlink_to(program)
    monkeypatch.setattr(sys, "executable", str(linked))
    assert to_paste("config", "--explain") == f"{linked} runner_local.py config --explain"


def test_the_summary_shows_data_steps_metrics_classes_and_what_to_do_next(tmp_path):
    text = printed(
        gathered(
            statistics(tmp_path / "s"),
            evaluation(tmp_path / "e", whole_split(0.95, baseline=0.955)),
            pusher("done", pushed=1, pushed_version="2"),
        )
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "train 3 2 1",
        "✓ Evaluator 9.0 s",
        "accuracy 0.9500 0.9550 -0.0050 at least 0.93, at most 0.01 worse ✓",
        "neg 0.800 0.850 -0.050",
        "pos 0.900",
        "Blessed and pushed as version 2: /serving/tiny/2 (12 s)",
    ):
        assert line in lines
    assert "\x1b" not in text


def test_the_summary_of_a_cached_run_says_that_nothing_changed():
    text = printed(gathered(pusher("cached", pushed=1, pushed_version="1")))
    assert "Nothing changed: every step was cached (12 s)." in text
    assert "pushed by an earlier run as version 1: /serving/tiny/1" in text


def test_the_summary_says_when_a_rollback_is_served_instead_of_the_push(tmp_path):
    for number, record in ((1, {}), (2, {}), (3, {"restored_from": 1})):
        extras = tmp_path / "tiny" / str(number) / "assets.extra"
        extras.mkdir(parents=True)
        (extras / "push.json").write_text(json.dumps(record))
    outcome = gathered(pusher("cached", pushed=1, pushed_version="2"))
    served = dataclasses.replace(outcome, serving_dir=str(tmp_path / "tiny"))
    assert "The served version is 3, from a later rollback or promotion" in printed(served)
    shutil.rmtree(tmp_path / "tiny/3")
    assert "The served version" not in printed(served)


def test_the_summary_of_a_refused_model_marks_the_bound_that_does_not_hold(tmp_path):
    node = evaluation(tmp_path / "e", whole_split(0.9), validation=refusal("accuracy", lower_bound=0.93))
    text = printed(gathered(node, pusher("done", pushed=0)))
    assert "Not pushed: not blessed: accuracy 0.9 is below the threshold 0.93" in text
    assert "✗" in text
