"""Splits that are published with the data are kept row for row; the other splits have none of their texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import PipelineError, UsageError
from models.tasks.importing import LabelForm
from pipeline.importing.importer import import_files
from pipeline.importing.splits import split_of


def csv(path: Path, rows: list[str], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *rows]))
    return path


def texts(first: int, count: int) -> list[str]:
    return [f"sentence {i},{'yes' if i % 2 else 'no'}" for i in range(first, first + count)]


def split_texts(rows_of: Callable[..., list[dict[str, str]]], out: Path) -> dict[str, list[str]]:
    return {split: sorted(row["text"] for row in rows_of(out, split)) for split in ("train", "eval", "test")}


def test_a_test_file_is_kept_and_the_rest_is_split(tmp_path: Path, rows_of) -> None:
    train, test = csv(tmp_path / "train.csv", texts(0, 300)), csv(tmp_path / "test.csv", texts(1000, 40))
    report = import_files([train], test_files=[test], out_dir=tmp_path / "out")
    found = split_texts(rows_of, tmp_path / "out")
    assert found["test"] == sorted(f"sentence {i}" for i in range(1000, 1040))
    assert sorted([*found["train"], *found["eval"]]) == sorted(f"sentence {i}" for i in range(300))
    assert found["eval"] == sorted(t for t in found["eval"] if split_of(t.encode(), ("test",)) == "eval")
    assert 15 < len(found["eval"]) < 45
    assert (report.published, report.files) == (["test"], [str(train), str(test)])
    assert report.notes == [
        "rows of published splits: test 40; a tenth of the other rows, by a hash of the text or group, is eval"
    ]


def test_with_both_files_all_other_rows_are_trained_on(tmp_path: Path, rows_of) -> None:
    files = [csv(tmp_path / f"{i}.csv", texts(1000 * i, 30)) for i in range(3)]
    report = import_files(files[:1], eval_files=files[1:2], test_files=files[2:], out_dir=tmp_path / "out")
    assert report.rows == {"train": 30, "eval": 30, "test": 30}
    assert split_texts(rows_of, tmp_path / "out")["eval"] == sorted(
        f"sentence {i}" for i in range(1000, 1030)
    )


def test_a_column_names_the_split_of_each_row(tmp_path: Path, rows_of) -> None:
    names = ["train", "Validation", " test "]
    rows = [f"{row},{names[i % 3]}" for i, row in enumerate(texts(0, 90))]
    file = csv(tmp_path / "x.csv", rows, "text,label,set")
    report = import_files([file], split_column="set", out_dir=tmp_path / "out")
    assert report.rows == {"train": 30, "eval": 30, "test": 30}
    assert split_texts(rows_of, tmp_path / "out")["test"] == sorted(f"sentence {i}" for i in range(2, 90, 3))
    assert rows_of(tmp_path / "out")[0].keys() == {"text", "label"}


def test_a_column_names_splits_of_flags_too(tmp_path: Path) -> None:
    rows = [f"sentence {i},1,0,{'test' if i % 3 else 'train'}" for i in range(90)]
    file = csv(tmp_path / "x.csv", [*rows, "last,0,1,train"], "text,a,b,set")
    form = LabelForm(columns=("a", "b"))
    report = import_files([file], form=form, split_column="set", out_dir=tmp_path / "out")
    assert (report.rows["test"], report.labels) == (60, ["a", "b"])


def test_a_published_split_keeps_its_duplicates_and_conflicts_and_the_others_lose_its_texts(
    tmp_path: Path, rows_of
) -> None:
    own = ["twice,yes", "twice,yes", "unclear,yes", "unclear,no"]
    train = csv(tmp_path / "train.csv", [*texts(0, 100), "twice,no", "unclear,yes", "in eval,yes"])
    evaluated = csv(tmp_path / "eval.csv", [*texts(1000, 20), "in eval,no", "twice,yes"])
    test = csv(tmp_path / "test.csv", [*texts(2000, 20), *own])
    report = import_files([train], eval_files=[evaluated], test_files=[test], out_dir=tmp_path / "out")
    assert report.rows == {"train": 100, "eval": 21, "test": 24}
    assert (report.in_other_split, report.duplicates, report.conflicting_rows) == (4, 0, 0)
    assert report.notes[-1].startswith(
        "4 rows have a text that is in a published split too, so they are left out"
    )
    kept = [row for row in rows_of(tmp_path / "out", "test") if not row["text"].startswith("sentence")]
    assert sorted(f"{row['text']},{row['label']}" for row in kept) == sorted(own)


def test_the_order_of_files_and_rows_does_not_matter(tmp_path: Path) -> None:
    for folder, step in (("a", 1), ("b", -1)):
        rows = [*texts(0, 60), "same,yes", "same,no"][::step]
        file = csv(
            tmp_path / "x.csv",
            [f"{row},{'test' if 'same' in row else 'train'}" for row in rows],
            "text,label,set",
        )
        import_files([file], split_column="set", out_dir=tmp_path / folder)
    for one, other in zip(*(sorted((tmp_path / x).glob("*.tfrecord.gz")) for x in "ab"), strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("value", ["", "holdout", "trian"])
def test_another_name_of_a_split_is_told_with_its_line(tmp_path: Path, value: str) -> None:
    file = csv(tmp_path / "x.csv", ["a,yes,train", f"b,no,{value}"], "text,label,set")
    with pytest.raises(
        PipelineError,
        match=rf"x\.csv line 3: column 'set' \(--split-column\) has '{value}'; it must be train, eval \(or",
    ):
        import_files([file], split_column="set", out_dir=tmp_path / "out")


def test_a_published_split_without_usable_rows_is_no_reason_to_make_another(tmp_path: Path) -> None:
    train, test = csv(tmp_path / "train.csv", texts(0, 100)), csv(tmp_path / "test.csv", [" ,yes"])
    with pytest.raises(PipelineError, match="the test split is empty: none of its rows can be used"):
        import_files([train], test_files=[test], out_dir=tmp_path / "out")


def test_a_file_or_a_column_says_the_split_but_not_both_and_not_twice(tmp_path: Path) -> None:
    file, other = csv(tmp_path / "x.csv", texts(0, 100)), csv(tmp_path / "y.csv", texts(0, 100))
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="give either --split-column or --eval"):
        import_files([file], eval_files=[other], split_column="set", out_dir=out)
    with pytest.raises(UsageError, match=r"x\.csv: is given for two splits; a row that is trained on"):
        import_files([file], test_files=[tmp_path / "." / "x.csv"], out_dir=out)
    with pytest.raises(UsageError, match="no column 'set'; columns found: 'text', 'label'"):
        import_files([file], split_column="set", out_dir=out)
