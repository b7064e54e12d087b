"""What a model of the imported rows learns: several labels or a number for each row, decided and said, or asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.tfrecord import read_records
from models.errors import PipelineError, UsageError
from models.tasks.importing import LabelForm
from pipeline.config import load_config
from pipeline.importing.import_report import ImportReport
from pipeline.importing.importer import import_files
from pipeline.importing.tfrecord import decode_example


@pytest.fixture
def import_labels(tmp_path: Path) -> Callable[..., ImportReport]:
    """import_labels(labels, **options): imports 120 different texts with those labels in turn, as JSON Lines."""

    def run(labels: Sequence[Any], **options: Any) -> ImportReport:
        path = tmp_path / "x.jsonl"
        records = [{"text": f"text number {i}", "y": labels[i % len(labels)]} for i in range(120)]
        path.write_text("\n".join(json.dumps(record) for record in records))
        return import_files([path], out_dir=tmp_path / "out", label="y", overwrite=True, **options)

    return run


def written(folder: Path) -> set[tuple[Any, ...]]:
    """The distinct values of the label column of all rows."""
    values = set()
    for shard in sorted(folder.glob("*.tfrecord.gz")):
        with shard.open("rb") as file:
            values |= {tuple(decode_example(record)["label"][1]) for record in read_records(file, str(shard))}
    return values


# --- several labels -----------------------------------------------------------------------------


def test_lists_are_several_labels_which_is_said(import_labels, tmp_path: Path) -> None:
    report = import_labels([["b", "a"], ["a"], [" c ", "a", "a"]])
    assert report.labels == ["a", "b", "c"]
    assert report.notes[0].endswith(
        "a list: several labels of one row (multi-label); use --task multi_label: imported as multi_label; --task "
        "single_label keeps them whole"
    )
    assert written(tmp_path / "out") == {(b"a", b"b"), (b"a",), (b"a", b"c")}
    assert sum(report.rows.values()) == report.rows_written == 120
    assert sum(sum(counts.values()) for counts in report.splits.values()) == 40 + 40 + 40 + 80
    assert load_config(report.config).task == "multi_label"


def test_a_separator_is_recognized_where_parts_occur_in_other_labels(import_labels, tmp_path: Path) -> None:
    report = import_labels(["a;b", "b", "c; a"])
    assert (report.task, report.labels) == ("multi_label", ["a", "b", "c"])
    assert "with ';' between: 'a' and 'b': imported as multi_label" in report.notes[0]
    assert written(tmp_path / "out") == {(b"a", b"b"), (b"b",), (b"a", b"c")}


def test_lists_written_as_text_are_read(import_labels, tmp_path: Path) -> None:
    report = import_labels(['["a", "b"]', "['b']"])
    assert (report.task, written(tmp_path / "out")) == ("multi_label", {(b"a", b"b"), (b"b",)})


def test_columns_of_0_and_1_are_labels_and_a_row_may_have_none(tmp_path: Path) -> None:
    lines = [f"text number {i},{i % 2},{int(i % 3 == 0)}" for i in range(120)]
    (tmp_path / "x.csv").write_text("\n".join(["text,toxic,threat", *lines]))
    form = LabelForm(columns=("toxic", "threat"), may_be_empty=True)
    report = import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out", form=form)
    assert (report.task, report.labels) == ("multi_label", ["threat", "toxic"])
    assert written(tmp_path / "out") == {(), (b"toxic",), (b"threat",), (b"threat", b"toxic")}


def test_a_flag_other_than_0_and_1_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,a,b\none,1,0\ntwo,2,0\n")
    with pytest.raises(
        PipelineError, match=r"x\.csv line 3: column 'a, b' has '2' in the column 'a', which must"
    ):
        import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out", form=LabelForm(columns=("a", "b")))


@pytest.mark.parametrize(
    ("labels", "separator", "message"),
    [
        (
            [["a"], []],
            "",
            r"line 2: column 'y' has no label; if none may apply to a row, use --allow-unlabelled",
        ),
        (["a;b", ""], ";", r"line 2: column 'y' has no label"),
        (
            [["a"], ["a;b"]],
            ";",
            r"line 2: column 'y' has the label 'a;b', which contains the separator ';'; use",
        ),
        (["a;;b"], ";", r"line 1: column 'y' has an empty label in the list; remove it"),
        ([["a", " "]], "", r"line 1: column 'y' has an empty label in the list"),
        (
            [["a", 1.5]],
            "",
            r"line 1: column 'y' has 1.5 \(float\) in the list; labels are strings or integers",
        ),
        (
            ["a;b"],
            "",
            r"line 1: column 'y' is one text, 'a;b'; say what is between its labels, such as --sep",
        ),
        (
            ["[a, b]"],
            "",
            r"line 1: column 'y' looks like a list but is not one, '\[a, b\]'; quote its labels",
        ),
        (["[{[]: 1}]"], "", r"line 1: column 'y' looks like a list but is not one, '\[\{\[\]: 1\}\]'"),
    ],
)
def test_labels_that_cannot_be_are_told_with_file_and_line(import_labels, labels, separator, message) -> None:
    with pytest.raises(PipelineError, match=r"x\.jsonl " + message):
        import_labels(labels, task="multi_label", form=LabelForm(separator))


def test_rows_without_labels_are_kept_where_the_user_says_so(import_labels, tmp_path: Path) -> None:
    import_labels([["a"], [], None], task="multi_label", form=LabelForm(may_be_empty=True))
    assert written(tmp_path / "out") == {(b"a",), ()}


def test_data_without_any_label_is_refused(import_labels) -> None:
    with pytest.raises(PipelineError, match=r"x\.jsonl: none of the 120 rows has a label"):
        import_labels([[], None], task="multi_label", form=LabelForm(may_be_empty=True))


def test_a_column_without_a_1_is_no_label_which_is_said(tmp_path: Path) -> None:
    lines = [f"text number {i},{i % 2},0" for i in range(120)]
    (tmp_path / "x.csv").write_text("\n".join(["text,toxic,threat", *lines]))
    form = LabelForm(columns=("toxic", "threat"), may_be_empty=True)
    report = import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out", form=form)
    assert report.labels == ["toxic"]
    assert "columns without a 1, which are no labels of the model: 'threat'" in report.warnings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"form": LabelForm(columns=("a", "b", "a"))},
            "--label-column a: given twice; give each column once",
        ),
        (
            {"task": "regression", "as_classes": True},
            "--as-classes: only for --task single_label, not for regr",
        ),
    ],
)
def test_options_that_contradict_one_another_are_wrong_usage(import_labels, options, message) -> None:
    with pytest.raises(UsageError, match=message):
        import_labels([1.0, 2.0], **options)


def test_labels_that_look_the_same_are_merged_inside_lists(import_labels, tmp_path: Path) -> None:
    report = import_labels([["Spam", "ad"], ["spam"], ["spam"]], merge_labels=True)
    assert report.labels == ["ad", "spam"]
    assert written(tmp_path / "out") == {(b"ad", b"spam"), (b"spam",)}


def test_the_user_can_keep_combinations_whole(import_labels) -> None:
    assert import_labels(["a;b", "b"], task="single_label").labels == ["a;b", "b"]


def test_a_separator_without_several_labels_is_wrong_usage(import_labels) -> None:
    with pytest.raises(UsageError, match="--separator: only for --task multi_label; add it, or remove"):
        import_labels(["a", "b"], form=LabelForm(";"))


# --- numbers ------------------------------------------------------------------------------------


def test_numbers_are_targets_with_their_bounds_in_the_schema(import_labels, tmp_path: Path) -> None:
    report = import_labels(["1.5", 2, "-3e0", 4.25], task="regression")
    assert (report.labels, (tmp_path / "out/labels.txt").read_text()) == (["y"], "y\n")
    assert written(tmp_path / "out") == {(1.5,), (2.0,), (-3.0,), (4.25,)}
    schema = (tmp_path / "out/schema.pbtxt").read_text()
    assert "float_domain { min: -3.0 max: 4.25 disallow_nan: true disallow_inf: true }" in schema
    config = load_config(report.config)
    assert (config.task, config.train.metric_for_best_model) == ("regression", "rmse")
    assert config.evaluate.thresholds["rmse"].max == pytest.approx(
        0.95 * report.targets["test"]["deviation"], rel=1e-3
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nan", r"has 'nan': a target must be a finite number; correct or remove the row"),
        (float("inf"), r"has inf: a target must be a finite number"),
        ("-inf", r"has '-inf': a target must be a finite number"),
        ("good", r"has 'good', which is no number; a target has digits only, without units"),
        ("12 kg", r"has '12 kg', which is no number"),
        ("1,250.5", r"has '1,250\.5': write numbers without separators of thousands"),
        ("1,5", r"has '1,5': write numbers with a decimal point"),
        ("", r"is empty; fill it or remove the row"),
        (None, r"has None \(NoneType\), which is no number"),
        (True, r"has True \(bool\), which is no number"),
        (1e300, r"has 1e\+300, which is too large for float32"),
        (10**400, r"has 10000000000000000000\.\.\., which is too large for float32"),
    ],
)
def test_a_target_that_is_no_number_is_told_with_file_and_line(import_labels, value, message) -> None:
    with pytest.raises(PipelineError, match=r"x\.jsonl line 2: column 'y' " + message):
        import_labels([1.0, value], task="regression")


def test_rows_that_all_have_the_same_number_are_refused(import_labels) -> None:
    with pytest.raises(PipelineError, match=r"all 120 rows have the number 3: there is nothing to learn"):
        import_labels([3, "3.0"], task="regression")


def test_zero_and_minus_zero_are_the_same_number(tmp_path: Path) -> None:
    lines = [f"text number {i},{i}" for i in range(1, 120)]
    (tmp_path / "x.csv").write_text("\n".join(["text,y", "same,0.0", "same,-0.0", *lines]))
    report = import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out", label="y", task="regression")
    assert (report.duplicates, report.conflicting_texts) == (1, 0)


def test_the_name_of_a_number_is_one_line_of_the_label_list(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text number {i}", "price in\n€": i}) for i in range(120)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    options = {"label": "price in\n€", "task": "regression"}
    report = import_files([tmp_path / "x.jsonl"], out_dir=tmp_path / "out", **options)
    assert report.labels == ["price in €"]
