"""Labels of words: CoNLL columns, lists of words and tags, and spans, recognized or named, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.tfrecord import read_records
from models.errors import PipelineError, UsageError
from models.tasks.importing import LabelForm
from pipeline.config import load_config
from pipeline.importing.import_report import ImportReport
from pipeline.importing.importer import import_files
from pipeline.importing.tfrecord import decode_example
from pipeline.inputs import check_inputs

WORDS = {"task": "token_labels"}


def conll(texts: int) -> str:
    """Texts of which each has another first word, in two documents."""
    lines = []
    for i in range(texts):
        lines += ["-DOCSTART- -X- O", ""] if i % 60 == 0 else []
        lines += [f"w{i} NN O", "visits VBZ O", "U.S. NNP B-LOC", "troops NNS O", ". . O", ""]
    return "\n".join(lines)


@pytest.fixture
def import_rows(tmp_path: Path) -> Callable[..., ImportReport]:
    """import_rows(rows, **options): imports 120 rows, those given in turn, as JSON Lines; texts get a number."""

    def run(rows: Sequence[dict[str, Any]], **options: Any) -> ImportReport:
        path = tmp_path / "x.jsonl"
        path.write_text("\n".join(json.dumps(_numbered(rows[i % len(rows)], i)) for i in range(120)))
        columns = {"text": "words" if "words" in rows[0] else "text", "label": "y"} | options
        return import_files([path], out_dir=tmp_path / "out", overwrite=True, **columns)

    return run


def _numbered(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with another last word; its tags begin before that."""
    words, labels = row.get("words"), row["y"]
    if isinstance(words, list) and isinstance(labels, list) and words and len(words) == len(labels):
        return {"words": [*row["words"], f"n{number}"], "y": [*row["y"], "O"]}
    if isinstance(row.get("text"), str) and row["text"].strip() and isinstance(row["y"], list):
        tags = row["y"] and not isinstance(row["y"][0], dict | list)
        return {"text": f"{row['text']} n{number}", "y": [*row["y"], "O"] if tags else row["y"]}
    return row


def written(folder: Path, split: str = "*") -> list[tuple[str, str]]:
    """(text, tags) of each row."""
    rows = []
    for shard in sorted(folder.glob(f"{split}-*.tfrecord.gz")):
        with shard.open("rb") as file:
            examples = [decode_example(record) for record in read_records(file, str(shard))]
        rows += [(x["text"][1][0].decode(), b" ".join(x["label"][1]).decode()) for x in examples]
    return rows


# --- what is read ---------------------------------------------------------------------------------


def test_conll_files_are_labels_of_words_which_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.conll").write_text(conll(120))
    report = import_files([tmp_path / "x.conll"], out_dir=tmp_path / "out", text=None, label=None)
    assert (report.task, report.labels) == ("token_labels", ["O", "B-LOC", "I-LOC"])
    assert report.notes == [
        "a tag for each word: imported as token_labels",
        "rows with words that transform.words divides, whose parts all get the tag of the word: "
        f"{', '.join(f'{tmp_path}/x.conll line {line}' for line in (3, 9, 15, 21, 27))} and 115 more",
    ]
    assert (tmp_path / "out/labels.txt").read_text() == "O\nB-LOC\nI-LOC\n"
    assert sorted(written(tmp_path / "out"))[0] == (
        "w0 visits U.S. troops .",
        "O O B-LOC I-LOC I-LOC I-LOC O O",
    )
    assert sum(report.rows.values()) == 120
    assert report.splits["train"] == dict.fromkeys(["O", "B-LOC", "I-LOC"], report.rows["train"])


def test_the_rule_for_words_goes_into_the_config_with_the_schema_and_a_gate(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(conll(120))
    options = {"out_dir": tmp_path / "out", "words": "whitespace", **WORDS}
    report = import_files([tmp_path / "x.txt"], **options)
    config = load_config(str(report.config))
    assert (config.task, config.transform.words) == ("token_labels", "whitespace")
    assert config.evaluate.thresholds["span_f1"].min == 0.25
    assert report.labels == ["O", "B-LOC"]
    assert 'value_count { min: 1 }\n  domain: "labels"' in (tmp_path / "out/schema.pbtxt").read_text()


def test_bounds_of_a_type_of_spans_are_given_under_its_first_tag(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(conll(120))
    report = import_files([tmp_path / "x.txt"], out_dir=tmp_path / "out", **WORDS)
    bounds = "evaluate.classes=[{labels: [%s], thresholds: {f1: {min: 0.5}}}]"
    check_inputs(load_config(str(report.config), [bounds % "B-LOC"]))
    with pytest.raises(UsageError) as error:
        check_inputs(load_config(str(report.config), [bounds % "I-LOC"]))
    assert str(error.value) == (
        "evaluate.classes.0.labels: 'I-LOC' has no figures: those of a type of spans are under its first tag; give 'B-LOC'"
    )


def test_documents_stay_in_one_split(tmp_path: Path) -> None:
    names = [f"{n}.conll" for n in range(40)]
    for number, name in enumerate(names):
        lines = [f"w{number}x{i} B-LOC\n" for i in range(3)]
        (tmp_path / name).write_text("\n".join(lines))
    options = {"out_dir": tmp_path / "out", "group": "document"}
    import_files([tmp_path / name for name in names], **options)
    of_split = [
        {text.split("x")[0] for text, _ in written(tmp_path / "out", s)} for s in ("train", "eval", "test")
    ]
    assert sum(map(len, of_split)) == len(set.union(*of_split)) == 40


def test_lists_of_words_and_tags_are_recognized_which_is_said(import_rows, tmp_path: Path) -> None:
    report = import_rows([{"words": ["to", "Lima"], "y": ["O", "B-LOC"]}, {"words": ["hello"], "y": ["O"]}])
    assert report.task == "token_labels"
    assert report.notes[0].endswith(
        "the text in column 'words' must be a string, got ['to', 'Lima', 'n0'] (list): words with tags? use --task token_labels: "
        "imported as token_labels"
    )
    assert sorted(written(tmp_path / "out"))[-1] == ("to Lima n98", "O B-LOC O")


def test_parquet_lists_are_read(tmp_path: Path) -> None:
    table = {"tokens": [["to", f"Lima{i}"] for i in range(120)], "ner_tags": [["O", "S-LOC"]] * 120}
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    options = {"out_dir": tmp_path / "out", "text": "tokens", "label": "ner_tags"}
    report = import_files([tmp_path / "x.parquet"], **options)
    assert (report.task, report.labels) == ("token_labels", ["O", "S-LOC"])


def test_spans_are_recognized_and_empty_lists_are_texts_without_spans(import_rows, tmp_path: Path) -> None:
    spans = [{"start": 3, "end": 7, "label": "LOC", "text": "Lima"}]
    report = import_rows([{"text": "to Lima, Peru", "y": spans}, {"text": "nowhere", "y": []}])
    assert (report.task, report.labels) == ("token_labels", ["O", "B-LOC"])
    assert (
        "a list of spans: labels of words; use --task token_labels: imported as token_labels"
        in report.notes[0]
    )
    assert {tags for _, tags in written(tmp_path / "out")} == {"O B-LOC O O O", "O O"}


def test_tags_beside_a_text_are_of_its_words_or_of_those_between_white_space(
    import_rows, tmp_path: Path
) -> None:
    rows = [{"text": "to Lima.", "y": ["O", "B-LOC"]}, {"text": "Lima .", "y": ["B-LOC", "O"]}]
    import_rows(rows, **WORDS)
    assert {tags for _, tags in written(tmp_path / "out")} == {"O B-LOC I-LOC O", "B-LOC O O"}


def test_lists_written_as_text_are_read(tmp_path: Path) -> None:
    rows = [f"\"['to', 'Lima{i}']\",\"['O', 'B-LOC']\"" for i in range(60)]
    rows += [f"to Lima{i},O B-LOC" for i in range(60, 120)]
    (tmp_path / "x.csv").write_text("\n".join(["text,label", *rows]))
    report = import_files([tmp_path / "x.csv"], out_dir=tmp_path / "out", **WORDS)
    assert report.rows_written == 120
    assert {tags for _, tags in written(tmp_path / "out")} == {"O B-LOC"}


def test_repeated_texts_count_once_and_those_with_two_taggings_are_dropped(tmp_path: Path) -> None:
    twice = "Lima NN B-LOC\n\nLima NN B-LOC\n\nCusco NN B-LOC\n\nCusco NN O\n\n"
    (tmp_path / "x.conll").write_text(twice + conll(120))
    report = import_files([tmp_path / "x.conll"], out_dir=tmp_path / "out")
    assert (report.duplicates, report.conflicting_texts, report.conflicting_rows) == (1, 1, 2)
    assert report.conflict_samples[0].startswith("'Cusco': 'B-LOC' (")


def test_blank_texts_are_dropped_and_counted(import_rows) -> None:
    rows = [{"words": ["Lima"], "y": ["B-LOC"]}, {"words": [], "y": []}]
    report = import_rows(rows, **WORDS)
    assert report.blank_texts == 60
    assert "60 rows without text were dropped" in report.warnings


# --- what is asked --------------------------------------------------------------------------------


def test_a_list_of_tags_beside_a_text_could_be_two_tasks(import_rows) -> None:
    with pytest.raises(
        PipelineError,
        match=r"a list of tags: is each the label of a word, use --task token_labels; .* use --task multi_label",
    ):
        import_rows([{"text": "to Lima", "y": ["O", "B-LOC"]}])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["O B-LOC", "B-LOC O O"],
            "looks like a tag for each word, such as 'O B-LOC', 'B-LOC O O'; use --task token_labels",
        ),
        (
            ["O", "B-LOC"],
            "looks like the tags of single words, such as 'O', 'B-LOC': .* into a file named .conll",
        ),
    ],
)
def test_tags_in_a_column_of_text_are_no_classes(import_csv, labels: list[str], message: str) -> None:
    rows = [f"sentence {i},{labels[i % 2]}" for i in range(120)]
    with pytest.raises(PipelineError, match=message):
        import_csv("\n".join(["text,label", *rows]))


def test_blood_groups_are_classes(import_csv) -> None:
    rows = [f"sentence {i},{('O', 'A', 'B', 'AB')[i % 4]}" for i in range(120)]
    report, _ = import_csv("\n".join(["text,label", *rows]))
    assert report.labels == ["A", "AB", "B", "O"]


# --- what is refused ------------------------------------------------------------------------------

TEXT = "naïve 👍 café"  # 12 code points, 13 units of UTF-16, 17 bytes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"words": ["a", "b"], "y": ["O"]},
            "has 1 tags for 2 words, which begin with ['a', 'b']; every word needs one tag",
        ),
        ({"words": ["a", " "], "y": ["O", "O"]}, "has ' ' as word 2; a word is a text that is not empty"),
        (
            {"words": ["a"], "y": ["PER"]},
            "has a wrong tag: 'PER' is no tag: a tag is O, or B, I, E or S with a type, such as B-PER (word 1)",
        ),
        ({"words": ["a"], "y": ["U-PER"]}, "has a wrong tag: 'U-PER' is no tag"),
        ({"words": ["a"], "y": [3]}, "has the tag 3 (int); write tags as texts, such as B-PER (word 1)"),
        (
            {"words": ["a"], "y": ["B-A\nB"]},
            "has the tag 'B-A\\nB', which has several lines; correct it (word 1)",
        ),
        (
            {"words": ["a"], "y": None},
            "has None (NoneType); write a list of tags, one for each word, or a list of spans",
        ),
        ({"words": {"a": 1}, "y": ["O"]}, "stands beside {'a': 1} (dict), which is neither a text nor words"),
        (
            {"text": "a b", "y": [[0, 3, "X"], [2, 3, "Y"]]},
            "has overlapping spans, 'a b' (0-3) and 'b' (2-3)",
        ),
        ({"text": "a", "y": [[0, 99, "X"]]}, "has a span to 99, past the end of its text of"),
        (
            {"text": TEXT, "y": [{"start": 12, "end": 17, "label": "X", "text": "café"}]},
            "; its offsets count bytes of UTF-8: give offsets in code points",
        ),
        (
            {"text": TEXT, "y": [{"start": 9, "end": 13, "label": "X", "text": "café"}]},
            "; its offsets count units of UTF-16, as in JavaScript and Java: give offsets in code points",
        ),
        ({"text": " ", "y": [[0, 1, "X"]]}, "has the span ' ' (0-1), which covers no word; remove it"),
        ({"text": "", "y": ["O"]}, "has 1 tags for a text of 0 words"),
    ],
)
def test_rows_that_do_not_fit_are_told_with_file_line_and_column(import_rows, row, message: str) -> None:
    good = {"words": ["Lima"], "y": ["B-LOC"]} if "words" in row else {"text": "Lima", "y": [[0, 4, "LOC"]]}
    with pytest.raises(PipelineError) as raised:
        import_rows([good, row], **WORDS)
    assert "x.jsonl line 2: column 'y' has " in str(raised.value) or "column 'y' stands" in str(raised.value)
    assert message in str(raised.value)


def test_data_without_a_span_is_refused(import_rows) -> None:
    with pytest.raises(
        PipelineError,
        match=r"x\.jsonl: column 'y' has only words outside of spans \(tag O\): there is nothing to learn",
    ):
        import_rows([{"words": ["a"], "y": ["O"]}], **WORDS)


@pytest.mark.parametrize("row", [{"text": "a \ud800", "y": ["O", "O"]}, {"words": ["\ud800"], "y": ["O"]}])
def test_a_text_that_is_not_unicode_is_told_with_its_line(import_rows, row) -> None:
    with pytest.raises(
        PipelineError, match=r"x\.jsonl line 1: not valid Unicode, a lone surrogate '.ud800' at character"
    ):
        import_rows([row], **WORDS)


def test_an_empty_list_among_tags_is_a_lost_value(import_rows) -> None:
    rows = [{"text": "to Lima", "y": ["O", "B-LOC"]}, {"text": "to Rome", "y": []}]
    with pytest.raises(
        PipelineError,
        match=r"x\.jsonl line 2: column 'y' has no tag for the text 'to Rome n1', but .* line 1 has a tag for each",
    ):
        import_rows(rows, **WORDS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": "spaces"}, "--words must be one of whitespace, whitespace_punctuation, got 'spaces'"),
        (
            {"text_pair": "document"},
            "--text-pair: not for --task token_labels, which labels the words of one text",
        ),
        ({"merge_labels": True}, "--merge-labels: not for --task token_labels; correct the tags in the data"),
        ({"as_classes": True}, "--as-classes: only for --task single_label, not for token_labels"),
        ({"form": LabelForm(";")}, "--separator: only for --task multi_label"),
        (
            {"task": "single_label"},
            "--task single_label: .*x.conll has words and tags, which are for --task token_labels",
        ),
        ({"text": "tokens"}, "no column 'tokens'; columns found: 'words', 'tags', 'document'"),
    ],
)
def test_options_that_do_not_apply_are_wrong_usage(tmp_path: Path, options, message: str) -> None:
    (tmp_path / "x.conll").write_text(conll(120))
    with pytest.raises(UsageError, match=message):
        import_files([tmp_path / "x.conll"], out_dir=tmp_path / "out", **options)


def test_the_rule_for_words_is_of_labels_of_words_only(import_csv, plain_csv) -> None:
    with pytest.raises(UsageError, match="--words: only for --task token_labels; add it, or remove --words"):
        import_csv(plain_csv(120), words="whitespace")
