"""Labels of an import: look-alike, rare, missing, of other types, or not classes at all."""

from __future__ import annotations

import datetime
import decimal
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import PipelineError
from pipeline.importing.import_report import ImportReport
from pipeline.importing.importer import import_files


@pytest.fixture
def import_labels(tmp_path: Path) -> Callable[..., ImportReport]:
    """import_labels(labels, **options): imports 120 different texts with those labels in turn, as JSON Lines."""

    def run(labels: Sequence[Any], **options: Any) -> ImportReport:
        path = tmp_path / "x.jsonl"
        records = [{"text": f"text number {i}", "stars": labels[i % len(labels)]} for i in range(120)]
        path.write_text("\n".join(json.dumps(record) for record in records))
        return import_files([path], out_dir=tmp_path / "out", label="stars", overwrite=True, **options)

    return run


# --- alike --------------------------------------------------------------------------------------


def test_labels_that_look_the_same_stay_apart_with_a_warning_that_names_them(import_labels) -> None:
    report = import_labels(["Spam", "spam", "ham", "spam", "sp\u200bam", "ham"])
    assert report.labels == ["Spam", "ham", "spam", "sp\u200bam"]
    assert report.warnings == [
        "labels that look the same are separate classes: 'Spam' (20 rows), 'spam' (40 rows), 'sp\\u200bam' (20 "
        "rows); correct the data, or merge them with --merge-labels"
    ]


def test_merged_labels_become_the_most_frequent_spelling_and_are_told(
    import_labels, tmp_path, rows_of
) -> None:
    report = import_labels(["Spam", "spam", "ham", "spam", "sp\u200bam", "1.0"], merge_labels=True)
    assert report.labels == ["1.0", "ham", "spam"]
    assert report.merged_labels == {"Spam": "spam", "sp\u200bam": "spam"}
    assert report.notes == ["merged into 'spam' (40 rows): 'Spam' (20 rows), 'sp\\u200bam' (20 rows)"]
    assert report.warnings == []
    assert Counter(row["label"] for row in rows_of(tmp_path / "out")) == {"spam": 80, "ham": 20, "1.0": 20}
    assert (tmp_path / "out" / "labels.txt").read_text() == "1.0\nham\nspam\n"


def test_merging_does_not_depend_on_the_order_of_rows(import_csv, plain_csv, rows_of, tmp_path: Path) -> None:
    header, *lines = (plain_csv(60) + "a,Yes\nb,YES\nc,YES\nd,Yes\n").replace(",yes\n", ",no\n").splitlines()
    labels = set()
    for name, order in (("forward", lines), ("backward", lines[::-1])):
        import_csv("\n".join([header, *order]), out_dir=tmp_path / name, merge_labels=True)
        labels.add((tmp_path / name / "labels.txt").read_text())
    assert labels == {"YES\nno\n"}  # of two that are equally frequent, the first by code point


def test_text_whose_labels_only_look_different_is_a_duplicate_once_they_are_merged(
    import_csv, plain_csv
) -> None:
    content = plain_csv(100) + "sentence number 7,Yes\n"
    report, _ = import_csv(content)
    assert (report.conflicting_rows, report.duplicates) == (2, 0)
    report, _ = import_csv(content, merge_labels=True, overwrite=True)
    assert (report.conflicting_rows, report.duplicates) == (0, 1)


# --- rare and missing ---------------------------------------------------------------------------


def test_labels_with_one_row_and_words_for_missing_values_are_told(import_csv, plain_csv) -> None:
    report, _ = import_csv(plain_csv(100) + "a text,rare\nanother text,None\n")
    assert [w for w in report.warnings if "train split" not in w] == [
        "the label 'None' (1 rows) may be a missing value written as text: if it is not a class, remove its rows",
        "labels with a single row, which is not enough to learn and evaluate them: 'None' and 'rare'",
    ]


# --- of other types -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 0.0],
        pa.array([1.0, 0.0], pa.float32()),
        pa.array([1.0, 0.0], pa.float32()).cast(pa.float16()),
        [decimal.Decimal("1.00"), decimal.Decimal("0.00")],
    ],
    ids=["float64", "float32", "float16", "decimal"],
)
def test_whole_numbers_written_as_floats_are_integers_and_told(tmp_path: Path, values) -> None:
    texts = [f"text {i}" for i in range(120)]
    labels = pa.concat_arrays([pa.array(values)] * 60)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "x.parquet")
    report = import_files([tmp_path / "x.parquet"], out_dir=tmp_path / "out")
    assert report.labels == ["0", "1"]
    assert report.notes == [
        "whole numbers written as floats (as pandas does if values are missing) were read as integers, 1.0 as 1, in "
        f"120 rows from {tmp_path}/x.parquet row 1 on"
    ]


def test_missing_float_label_is_an_empty_one(import_labels) -> None:
    with pytest.raises(
        PipelineError, match=r"x\.jsonl line 3: the label in column 'stars' is empty; fill it or"
    ):
        import_labels([1.0, 0.0, float("nan")])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0.5, 1.0],
            r"contains 0\.5 \(float\): numbers to predict \(regression\)\? use --task regression; if each of",
        ),
        ([1e300], r"contains 1e\+300 \(float\): numbers to predict"),
    ],
)
def test_typed_label_that_is_no_class_is_told_at_its_first_row(import_labels, labels, message: str) -> None:
    with pytest.raises(PipelineError, match=r"x\.jsonl line 1: column 'stars' " + message):
        import_labels(labels)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            datetime.datetime(2024, 1, 5),
            r"\(datetime\), a time instead of a class: is it the label column\? If each",
        ),
        (datetime.timedelta(1), r"\(timedelta\), a time instead of a class: is it the label column\?$"),
        ({"a": 1}, r"\{'a': 1\} \(dict\): a label must be an integer or a string of one line"),
    ],
)
def test_parquet_label_of_another_type_is_told(tmp_path: Path, value, message: str) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [value]}), tmp_path / "x.parquet")
    with pytest.raises(PipelineError, match=r"x\.parquet row 1: column 'label' contains .*" + message):
        import_files([tmp_path / "x.parquet"], out_dir=tmp_path / "out")


# --- no classes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (["1 0 1", "0 1 1"], "use --label-column for each, or if each"),
        (["1,5", "2,5", "7"], "--task multi_label --separator ','"),
        ([f"{i * 0.137:.3f}" for i in range(61)], "regression? use --task regression"),
        ([f"2024-01-{day:02d}" for day in range(1, 29)], "dates, not classes"),
        ([f"ticket {i}" for i in range(120)], "ids or free text, not classes"),
    ],
)
def test_label_column_that_holds_no_classes_is_refused_with_a_way_on(
    import_labels, tmp_path, labels, what
) -> None:
    with pytest.raises(PipelineError) as caught:
        import_labels(labels)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/x.jsonl: column 'stars' ")
    assert what in message
    assert message.endswith("f each of these values is a class, use --as-classes")
    assert (caught.value.exit_code, "\n" in message) == (1, False)
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]
    assert set(import_labels(labels, as_classes=True).labels) == set(labels)


def test_floats_and_dates_are_classes_where_the_user_says_so(import_labels, tmp_path: Path) -> None:
    assert import_labels([0.5, 1.0, 2.25], as_classes=True).labels == ["0.5", "1", "2.25"]
    days = [datetime.date(2024, 1, 5 + i % 2) for i in range(60)]
    pq.write_table(
        pa.table({"text": [f"text {i}" for i in range(60)], "label": days}), tmp_path / "x.parquet"
    )
    report = import_files([tmp_path / "x.parquet"], out_dir=tmp_path / "days", as_classes=True)
    assert report.labels == ["2024-01-05", "2024-01-06"]


def test_conflicts_are_named_where_they_leave_one_label(import_csv) -> None:
    rows = "".join(f"text {i},yes\n" for i in range(50)) + "".join(
        f"same {i},yes\nsame {i},no\n" for i in range(9)
    )
    with pytest.raises(
        PipelineError, match=r"two or more; rows with conflicting labels were dropped, such as 'same "
    ):
        import_csv("text,label\n" + rows)
