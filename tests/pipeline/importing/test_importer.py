"""How rows are kept, merged, dropped or refused, and what is in the folder afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from models.errors import PipelineError, UsageError
from pipeline.importing.importer import import_files


def test_every_row_is_written_once_as_text_and_label(import_csv, plain_csv, rows_of) -> None:
    report, out = import_csv(plain_csv(200))
    written = rows_of(out)
    assert Counter(row["label"] for row in written) == {"yes": 100, "no": 100}
    assert {row["text"] for row in written} == {f"sentence number {i}" for i in range(200)}
    assert all(set(row) == {"text", "label"} for row in written)
    assert (report.rows_read, report.rows_written) == (200, 200)
    assert report.splits["train"] == Counter(row["label"] for row in rows_of(out, "train"))


def test_folder_holds_exactly_what_a_run_needs(import_csv, plain_csv) -> None:
    report, out = import_csv(plain_csv(100), name="mine")
    assert sorted(path.name for path in out.iterdir()) == [
        "eval-00000-of-00001.tfrecord.gz",
        "import_report.json",
        "labels.txt",
        "mine.yaml",
        "schema.pbtxt",
        "test-00000-of-00001.tfrecord.gz",
        "train-00000-of-00001.tfrecord.gz",
    ]
    assert (out / "labels.txt").read_text() == "no\nyes\n"
    assert report.config == str(out / "mine.yaml")
    assert json.loads((out / "import_report.json").read_text())["rows_written"] == 100


def test_columns_are_renamed_and_group_and_extra_columns_kept(import_csv, rows_of) -> None:
    lines = [f"q{i},p{i},{i % 3},author {i},{i % 2}" for i in range(60)]
    _, out = import_csv(
        "question,passage,class,author,hard\n" + "\n".join(lines) + "\n",
        text="question",
        text_pair="passage",
        label="class",
        group="author",
        extra=["hard"],
    )
    row = min(rows_of(out), key=lambda row: int(row["text"][1:]))
    assert row == {"text": "q0", "text_pair": "p0", "label": "0", "author": "author 0", "hard": "0"}


def test_integer_labels_are_ordered_by_value_and_strings_by_code_point(import_csv) -> None:
    numbers = "".join(f"text {i},{(-1, 10, 9)[i % 3]}\n" for i in range(90))
    _, out = import_csv("text,label\n" + numbers)
    assert (out / "labels.txt").read_text() == "-1\n9\n10\n"
    strings = "".join(f"text {i},{('b', 'ä', 'B')[i % 3]}\n" for i in range(90))
    _, out = import_csv("text,label\n" + strings, out_dir=out.parent / "strings")
    assert (out / "labels.txt").read_text() == "B\nb\nä\n"


def test_integer_and_boolean_labels_of_json_become_strings(tmp_path: Path, rows_of) -> None:
    path = tmp_path / "x.jsonl"
    lines = [json.dumps({"text": f"text {i}", "label": i % 2 == 0}) for i in range(50)]
    path.write_text("\n".join(lines))
    import_files([path], out_dir=tmp_path / "out")
    assert {row["label"] for row in rows_of(tmp_path / "out")} == {"true", "false"}


def test_blanks_around_a_label_are_no_other_label(import_csv) -> None:
    report, _ = import_csv("text,label\n" + "".join(f"text {i}, a \nwords {i},b\n" for i in range(40)))
    assert report.labels == ["a", "b"]


# --- duplicates and conflicts -------------------------------------------------------------------


def test_exact_duplicates_are_dropped_but_one(import_csv, plain_csv, rows_of) -> None:
    report, out = import_csv(plain_csv(100) + "sentence number 7,yes\n" * 50)
    assert report.duplicates == 50
    assert [row["text"] for row in rows_of(out)].count("sentence number 7") == 1


def test_conflicting_labels_are_dropped_and_reported_with_their_lines(import_csv, plain_csv, rows_of) -> None:
    report, out = import_csv(plain_csv(100) + "sentence number 7,no\nsentence number 7,no\n")
    assert (report.conflicting_texts, report.conflicting_rows, report.duplicates) == (1, 3, 0)
    assert "sentence number 7" not in [row["text"] for row in rows_of(out)]
    assert len(report.conflict_samples) == 1
    assert "'sentence number 7': 'no' (" in report.conflict_samples[0]
    assert "rows.csv line 9)" in report.conflict_samples[0]
    assert any("1 texts have conflicting labels; their 3 rows were dropped" in w for w in report.warnings)


def test_same_text_with_another_pair_is_another_row(import_csv, rows_of) -> None:
    lines = "".join(f"same,pair {i},{i % 2}\n" for i in range(60))
    report, out = import_csv("a,b,label\n" + lines, text="a", text_pair="b")
    assert (report.rows_written, report.conflicting_texts) == (60, 0)
    assert len(rows_of(out)) == 60


def test_text_and_pair_are_not_just_glued_together(import_csv) -> None:
    lines = "".join(f"x{i},y{i},{i % 2}\n" for i in range(60))
    report, _ = import_csv("a,b,label\nab,c,0\na,bc,1\n" + lines, text="a", text_pair="b")
    assert (report.rows_written, report.conflicting_texts) == (62, 0)


def test_texts_that_swallowed_other_rows_are_pointed_at(import_csv, plain_csv) -> None:
    swallowed = '"Gimme a few\nyes\tLast Chance!\nno\tok",no\n'
    report, _ = import_csv(plain_csv(100) + swallowed)
    assert report.rows_with_line_breaks == 1
    assert len(report.warnings) == 1
    assert "1 texts seem to contain other rows" in report.warnings[0]
    assert "rows.csv line 102" in report.warnings[0]


def test_tsv_that_was_written_with_quotes_is_pointed_at(tmp_path: Path, rows_of) -> None:
    rows = "".join(f"text number {i}\t{'ab'[i % 2]}\n" for i in range(120))
    content = 'text\tlabel\n"say ""hi"""\ta\n"one" of two\ta\n' + rows
    (tmp_path / "x.tsv").write_text(content)
    report = import_files([tmp_path / "x.tsv"], out_dir=tmp_path / "tsv")
    assert report.warnings == [
        "texts are in quotes, which belong to the text in TSV: if the file was written with quotes around texts, name it "
        f".csv: {tmp_path}/x.tsv line 2"
    ]
    (tmp_path / "x.csv").write_text(content.replace('"one" of', "one of"))
    import_files([tmp_path / "x.csv"], out_dir=tmp_path / "csv")
    assert {'say "hi"', "one of two"} <= {row["text"] for row in rows_of(tmp_path / "csv")}


def test_quotes_are_no_matter_of_json_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(60)]
    (tmp_path / "x.jsonl").write_text("\n".join([*lines, json.dumps({"text": "one\ntwo,a", "label": "a"})]))
    warnings = import_files([tmp_path / "x.jsonl"], out_dir=tmp_path / "out").warnings
    [swallowed] = [warning for warning in warnings if "seem to contain other rows" in warning]
    assert swallowed == (
        "1 texts seem to contain other rows (one of their lines looks like a row; was the file made "
        f"from another one?): {tmp_path}/x.jsonl line 61"
    )


@pytest.mark.parametrize("line", ["spam\tWin now!", "no,ok", "fine;yes"])
def test_line_like_a_row_is_enough_to_suspect_a_text(import_csv, plain_csv, line: str) -> None:
    report, _ = import_csv(plain_csv(100) + f'"first\n{line}",no\n')
    assert "1 texts seem to contain other rows" in report.warnings[0]


def test_a_text_of_several_lines_is_not_suspected(import_csv, plain_csv) -> None:
    report, _ = import_csv(plain_csv(100) + '"dear all,\n\nyes, we can,\nbest",no\n')
    assert report.rows_with_line_breaks == 1
    assert [w for w in report.warnings if "seem to contain other rows" in w] == []


# --- unusual texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "שלום עולם ‏مرحبا‎",
        "nul \x00 inside",
        "word " * 210_000,
        "[SEP] [CLS]",
        "  spaces around  ",
        "line\r\nbreaks\u2028inside",
        "\ufeffmark",
    ],
    ids=[
        "emoji",
        "right-to-left",
        "nul",
        "1 MB",
        "special tokens",
        "spaces",
        "line breaks",
        "byte order mark",
    ],
)
def test_unusual_text_comes_through_unchanged(import_csv, plain_csv, rows_of, text: str) -> None:
    _, out = import_csv(plain_csv(60) + f'"{text}",yes\n')
    assert text in [row["text"] for row in rows_of(out)]


@pytest.mark.parametrize("text", ["", "   ", "\u3000\t"])
def test_blank_text_is_dropped_and_counted(import_csv, plain_csv, text: str) -> None:
    report, _ = import_csv(plain_csv(60) + f'"{text}",yes\n')
    assert (report.rows_read, report.blank_texts, report.rows_written) == (61, 1, 60)
    assert "1 rows without text were dropped" in report.warnings


# --- refused ------------------------------------------------------------------------------------


def refuses(import_csv, content: str | bytes, message: str, **options) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        import_csv(content, **options)
    assert "\n" not in str(caught.value)


def test_empty_label_names_the_line(import_csv, plain_csv) -> None:
    refuses(
        import_csv,
        plain_csv(60) + "what now,  \n",
        r"rows\.csv line 62: the label in column 'label' is empty.*'what now'",
    )


def test_empty_group_names_the_line(import_csv) -> None:
    refuses(
        import_csv,
        "text,label,g\na,b,c\nd,e,\n",
        r"rows\.csv line 3: the group in column 'g' is empty",
        group="g",
    )


def test_label_over_two_lines_is_refused(import_csv) -> None:
    refuses(
        import_csv,
        'text,kind\na,"b\nc"\n',
        r"line 2: column 'kind' contains 'b\\nc' \(str\): a label must be an integer or a string of one line",
        label="kind",
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"body": 5, "kind": "a"}, r"the text in column 'body' must be a string, got 5 \(int\)"),
        ({"body": [5], "kind": "a"}, r"the text in column 'body' must be a string, got \[5\] \(list\)"),
        ({"body": "a", "kind": None}, r"the label in column 'kind' is empty"),
        ({"body": "a", "kind": float("nan")}, r"the label in column 'kind' is empty"),
        ({"body": "a", "kind": {"b": 1}}, r"column 'kind' contains \{'b': 1\} \(dict\): a label must be"),
        (
            {"body": "a \ud800", "kind": "b"},
            r"not valid Unicode, a lone surrogate '\\ud800'",
        ),
    ],
)
def test_value_of_a_wrong_type_names_line_and_value(tmp_path: Path, record: dict, message: str) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(record))
    with pytest.raises(PipelineError, match=r"x\.jsonl line 1: " + message):
        import_files([tmp_path / "x.jsonl"], out_dir=tmp_path / "out", text="body", label="kind")


def test_only_one_label_is_refused(import_csv) -> None:
    lines = "".join(f"text {i},a\n" for i in range(60))
    refuses(import_csv, "text,label\n" + lines, r"rows\.csv: all 60 rows have the label 'a'")


def test_too_few_rows_to_split_are_refused(import_csv) -> None:
    refuses(
        import_csv,
        "text,label\na,b\nc,d\n",
        r"rows\.csv: the \w+ split is empty: there are too few rows to split 2",
    )


def test_no_row_at_all_is_refused(import_csv) -> None:
    refuses(import_csv, "text,label\n,a\n", r"rows\.csv: none of the 1 rows can be used \(1 without text")


def test_text_column_taken_for_the_label_is_refused(import_csv, monkeypatch, plain_csv) -> None:
    reason = r"rows\.csv: column 'text' contains ids or free text, not classes: {} labels in {} rows, such as 'sentence"
    swapped = {"text": "label", "label": "text"}
    refuses(import_csv, plain_csv(100), reason.format(100, 100), **swapped)
    monkeypatch.setattr("pipeline.importing.import_report.MAX_LABELS", 50)
    refuses(import_csv, plain_csv(100), reason.format(51, 51), **swapped)
    message = "column 'text' contains more than 50 different labels: is it the label column"
    refuses(import_csv, plain_csv(100), message, as_classes=True, **swapped)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "text"}, "column 'text' is named twice"),
        ({"text": "label", "label": "x", "group": "text"}, "column 'text' must be renamed"),
        ({"extra": ["\udcff"]}, r"column '\\udcff' is not valid Unicode"),
        ({"name": "Mine!"}, "name must begin with a letter.*'Mine!'"),
    ],
)
def test_contradictory_arguments_are_refused(import_csv, plain_csv, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        import_csv(plain_csv(60), **options)


def test_existing_folder_is_not_touched_unless_told(import_csv, plain_csv, rows_of) -> None:
    _, out = import_csv(plain_csv(60))
    with pytest.raises(UsageError, match="out: exists and is not empty"):
        import_csv(plain_csv(80))
    assert len(rows_of(out)) == 60
    import_csv(plain_csv(80), overwrite=True)
    assert len(rows_of(out)) == 80
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "rows.csv"]


def test_overwriting_keeps_the_configs_that_are_the_users_by_now(import_csv, plain_csv) -> None:
    report, out = import_csv(plain_csv(60))
    Path(report.config).write_text("name: mine\n")
    (out / "tuned.yaml").write_text("name: tuned\n")
    assert report.notes == []
    again, _ = import_csv(plain_csv(80), overwrite=True)
    assert again.notes == [
        f"{report.config} is not changed; import to another --out to see the config that would be written now"
    ]
    assert Path(report.config).read_text() == "name: mine\n"
    assert (out / "tuned.yaml").read_text() == "name: tuned\n"


def test_overwriting_spares_a_folder_with_anything_else_in_it(import_csv, plain_csv, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"contains 'rows\.csv', which was not written by an import"):
        import_csv(plain_csv(60), out_dir=tmp_path, overwrite=True)
    assert (tmp_path / "rows.csv").read_text() == plain_csv(60)


def test_two_imports_into_one_folder_end_with_one_whole_dataset(
    import_csv, plain_csv, tmp_path: Path, rows_of
) -> None:
    def another(rows: int) -> None:
        import_files([tmp_path / "rows.csv"], out_dir=tmp_path / "out")

    with pytest.raises(PipelineError, match="out: cannot be written: Directory not empty"):
        import_csv(plain_csv(10_000), progress=another)
    assert len(rows_of(tmp_path / "out")) == 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "rows.csv"]


def test_existing_empty_folder_is_used(import_csv, plain_csv, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert import_csv(plain_csv(60))[0].rows_written == 60


# --- all or nothing -----------------------------------------------------------------------------


def test_refused_import_leaves_nothing_behind(import_csv, plain_csv, tmp_path: Path) -> None:
    refuses(import_csv, plain_csv(5000) + '"open,yes\n', "line 5002: the quote opened here")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_folder_that_cannot_be_written_is_named(import_csv, plain_csv, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refuses(import_csv, plain_csv(60), "file/out: cannot be written", out_dir=tmp_path / "file" / "out")


_ENDLESS_IMPORT = """
import sys
from pathlib import Path
from pipeline.importing.importer import import_files
import_files([Path(sys.argv[1])], out_dir=Path(sys.argv[2]))
"""


def test_killed_import_leaves_nothing_visible_and_the_next_one_tidies_up(
    import_csv, plain_csv, tmp_path: Path
) -> None:
    # A pipe that never ends acts as a long file: the import hangs in the middle of reading it.
    os.mkfifo(tmp_path / "pipe.csv")
    folder = tmp_path / "sets"
    command = [sys.executable, "-c", _ENDLESS_IMPORT, str(tmp_path / "pipe.csv"), str(folder / "out")]
    process = subprocess.Popen(command)
    with (tmp_path / "pipe.csv").open("w") as pipe:
        pipe.write(plain_csv(5000))
        pipe.flush()
        while not any(folder.glob(".out.partial-*/.spill/*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / "out").exists()
    assert len(list(folder.iterdir())) == 1
    import_csv(plain_csv(60), out_dir=folder / "out")
    assert [path.name for path in folder.iterdir()] == ["out"]


# --- independence of order ----------------------------------------------------------------------


def test_order_of_rows_and_files_changes_nothing(tmp_path: Path, plain_csv) -> None:
    header, *lines = plain_csv(500).splitlines()
    lines += [*lines[:50], "sentence number 3,no", "sentence number 3,maybe"]
    shuffled = random.Random(0).sample(lines, len(lines))
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]) + "\n")
    (tmp_path / "b.csv").write_text("\n".join([header, *shuffled[:200]]) + "\n")
    (tmp_path / "c.csv").write_text("\n".join([header, *shuffled[200:]]) + "\n")
    contents = []
    for index, files in enumerate([["a"], ["b", "c"], ["c", "b"]]):
        out = tmp_path / f"out{index}"
        import_files([tmp_path / f"{file}.csv" for file in files], out_dir=out, name="same")
        contents.append({path.name: path.read_bytes() for path in sorted(out.glob("*.gz"))})
    assert contents[0] == contents[1] == contents[2]


def test_duplicate_in_two_groups_stays_in_the_first_by_name_whatever_the_order(
    tmp_path: Path, rows_of
) -> None:
    lines = [f"text {i},{i % 2},g{i}" for i in range(60)] + ["text 1,1,a", "text 1,1,z"]
    for name, order in (("forward", lines), ("backward", lines[::-1])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label,group", *order]) + "\n")
        import_files([tmp_path / f"{name}.csv"], group="group", out_dir=tmp_path / name)
        kept = [row["group"] for row in rows_of(tmp_path / name) if row["text"] == "text 1"]
        assert kept == ["a"]


def test_partitions_too_large_for_memory_give_the_same_files(tmp_path: Path, plain_csv, monkeypatch) -> None:
    (tmp_path / "x.csv").write_text(plain_csv(3000) + "sentence number 3,yes\n" * 500)
    import_files([tmp_path / "x.csv"], out_dir=tmp_path / "one")
    monkeypatch.setattr("pipeline.importing.spill._MAX_PARTITION_BYTES", 300)
    import_files([tmp_path / "x.csv"], out_dir=tmp_path / "two")
    for name in ("train", "eval", "test"):
        shard = f"{name}-00000-of-00001.tfrecord.gz"
        assert (tmp_path / "one" / shard).read_bytes() == (tmp_path / "two" / shard).read_bytes()


def test_shards_are_cut_by_size_and_named_by_their_number(
    tmp_path: Path, plain_csv, rows_of, monkeypatch
) -> None:
    (tmp_path / "x.csv").write_text(plain_csv(500))
    monkeypatch.setattr("pipeline.importing.dataset._SHARD_BYTES", 8000)
    report = import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").glob("train-*"))
    assert names == [f"train-{i:05d}-of-00004.tfrecord.gz" for i in range(4)]
    assert report.shards == {"train": 4, "eval": 1, "test": 1}
    assert len(rows_of(tmp_path / "out")) == 500


def test_rows_of_a_split_are_not_sorted_by_label(tmp_path: Path, rows_of) -> None:
    ordered = "".join(f"text {i},{'a' if i < 500 else 'b'}\n" for i in range(1000))
    (tmp_path / "x.csv").write_text("text,label\n" + ordered)
    import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out")
    first = Counter(row["label"] for row in rows_of(tmp_path / "out", "train")[:200])
    assert 70 < first["a"] < 130
