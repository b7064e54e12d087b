"""The config that an import writes: thresholds from the labels, slices from the other columns, valid YAML."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from models.tasks.importing import Imported
from models.tasks.task import TASKS
from pipeline.config import load_config
from pipeline.importing.importer import import_files
from pipeline.importing.starting_files import config_text


def config(
    splits: dict[str, dict[str, int]], slices: dict[str, int] | None = None, name: str = "mine"
) -> dict:
    task, rows = TASKS["single_label"], {split: sum(labels.values()) for split, labels in splits.items()}
    texts = task.starting().starting_texts(Imported(splits, rows))
    text = config_text(name, ["rows.csv"], rows["test"], False, slices or {}, task, texts)
    return yaml.safe_load(text)


@pytest.mark.parametrize(
    ("labels", "entropy"),
    [
        ({"a": 500, "b": 500}, math.log(2)),
        ({"a": 900, "b": 90, "c": 10}, -0.9 * math.log(0.9) - 0.09 * math.log(0.09) - 0.01 * math.log(0.01)),
        ({str(i): 10 for i in range(50)}, math.log(50)),
    ],
)
def test_cross_entropy_is_bounded_below_that_of_answering_with_the_shares_of_the_labels(
    labels, entropy
) -> None:
    bounds = config({"train": labels, "eval": labels, "test": labels})["evaluate"]["thresholds"][
        "cross_entropy"
    ]
    assert bounds["max"] == pytest.approx(0.9 * entropy, rel=0.05)
    assert bounds["max"] < entropy
    assert bounds["max_rise"] == pytest.approx(0.1 * entropy, rel=0.05)


def test_entropy_is_that_of_all_splits_so_that_a_test_split_of_one_label_can_be_passed() -> None:
    splits = {"train": {"a": 700, "b": 100}, "eval": {"a": 10}, "test": {"a": 10}}
    bounds = config(splits)["evaluate"]["thresholds"]["cross_entropy"]
    assert bounds == {"max": 0.33, "max_rise": 0.037}


def test_every_further_column_is_a_slice(import_csv) -> None:
    lines = "".join(f"text {i},{'ab'[i % 2]},{('web', '', 'shop')[i % 3]},{i % 2},u{i}\n" for i in range(400))
    columns = ["channel", "my: column", "user"]
    report, _ = import_csv(f"text,label,{','.join(columns)}\n" + lines, extra=columns, name="sliced")
    assert report.slices == {"channel": 3, "my: column": 2, "user": 47}
    slices = [slicing.columns for slicing in load_config(report.config).evaluate.slices]
    assert slices == [["label"], ["channel"], ["my: column"]]
    written = Path(report.config).read_text()
    assert "    # - columns: [user]  # 47 values in the 47 rows of the test split, each a slice\n" in written


def test_column_with_very_many_values_is_no_slice() -> None:
    splits = {"train": {"a": 8000, "b": 8000}, "eval": {"a": 900}, "test": {"a": 900, "b": 900}}
    assert [s["columns"] for s in config(splits, {"few": 100, "many": 101})["evaluate"]["slices"]] == [
        ["label"],
        ["few"],
    ]


@pytest.mark.parametrize("name", ["true", "null", "on", "no", "y", "plain", "with-dash", "e5"])
def test_name_is_a_string_for_yaml(name: str) -> None:
    labels = {"a": 5, "b": 5}
    assert config({"train": labels, "eval": labels, "test": labels}, {name: 1}, name)["name"] == name


def test_file_and_label_with_odd_characters_leave_the_config_and_the_report_readable(tmp_path: Path) -> None:
    path = tmp_path / "o\u2028dd \udcff\n.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{('# a', 'b: [c')[i % 2]}\n" for i in range(90)))
    report = import_files([path], out_dir=tmp_path / "out")
    assert load_config(report.config).name == "out"
    assert "# out: a starting config, written by the import of " in Path(report.config).read_text()
