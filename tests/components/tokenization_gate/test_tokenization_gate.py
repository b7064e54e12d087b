"""TokenizationGate behind the real ExampleGen and StatisticsGen; the two ExampleGens run once for all tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.statistics_gen.component import StatisticsGen

from components.example_gen.component import TFRecordExampleGen
from components.fingerprints import content_fingerprint
from components.model_parts import ModelParts
from components.tokenization_gate.component import TokenizationGate
from components.tokenization_gate.report import ParityReport, ShownToken, read_parity_report
from components.tokenization_gate.settings import ParitySettings
from models.encoders.families import FAMILIES as ENCODERS
from models.errors import CheckpointError, GateRefused
from models.tasks.task import TASKS
from models.tokenizers.family import FAMILIES, family_of
from models.tokenizers.word_rules import WordRule
from tests.support.faulty_graph import FAULTY_FAMILY
from tests.support.local_run import example, last_artifact, run_nodes, tfrecord, tfrecord_gz
from tests.support.own_package import write_own_parts
from tests.support.tiny_model import vocabulary, write_checkpoint

SPLITS = {"train": "train-*", "eval": "eval-*"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with 60 rows in two shards and 12 in one, odd ones among them, and encoder/."""
    place = tmp_path_factory.mktemp("place")
    odd = [
        example(text=b"th\xffe cat \xf0\x9f"),
        example(text=b""),
        example(other=b"no text"),
        example(text=b" \n"),
    ]
    train = [*odd, *(row(i) for i in range(56))]
    (place / "data").mkdir()
    (place / "data/train-0.gz").write_bytes(tfrecord_gz(train[:40]))
    (place / "data/train-1").write_bytes(tfrecord(train[40:]))
    (place / "data/eval-0").write_bytes(tfrecord([row(i) for i in range(12)]))
    write_checkpoint(place / "encoder")
    return place


def row(number: int) -> bytes:
    return example(text=b"the cat is %d" % number, second=b"old dog %d %s" % (number, b"of rome " * number))


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "wordpiece", FAULTY_FAMILY)


def run(
    place: Path,
    columns: tuple[str, ...] = ("text",),
    max_length: int = 16,
    encoder: str = "encoder",
    stride: int | None = None,
    text: str | None = None,
    words: WordRule | None = None,
    **parity: Any,
) -> str:
    """State of the gate in a run of the three nodes."""
    checkpoint = place / encoder
    example_gen = TFRecordExampleGen(str(place / "data"), SPLITS)
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    gate = TokenizationGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        settings=ParitySettings(**parity),
        text_columns=columns,
        max_length=max_length,
        stride=stride,
        parts=ModelParts(
            task=TASKS["single_label"],
            tokenizer=family_of(checkpoint),
            encoder=ENCODERS["bert"],
            checkpoint_dir=checkpoint,
            checkpoint_fingerprint=content_fingerprint(checkpoint),
            label_list=Path("labels.txt"),
            labels=(),
            labels_fingerprint="",
        ),
        refusal_dir=str(place / "logs"),
        text=text,
        words=words,
    )
    return run_nodes(place / "run", [example_gen, statistics_gen, gate])["TokenizationGate"]


def report(place: Path) -> ParityReport:
    return read_parity_report(Path(last_artifact(place / "run", "pipeline.TokenizationReport").uri))


def test_rows_whatever_they_hold_are_tokenized_alike_and_the_next_run_is_cached(place: Path) -> None:
    assert run(place) == "COMPLETE"
    assert report(place) == ParityReport(
        tokenizer="WordPiece",
        max_length=16,
        max_mismatch_rate=0.0,
        rows={"eval": 12, "train": 60},
        compared={"eval": 12, "train": 60},
        mismatches={"eval": 0, "train": 0},
        longer={"eval": 0, "train": 0},
    )
    properties = last_artifact(place / "run", "pipeline.TokenizationReport").custom_properties
    assert (properties["rows"].int_value, properties["mismatches"].int_value) == (72, 0)
    assert run(place) == "CACHED"


def test_words_of_rows_whatever_they_hold_are_tokenized_alike(place: Path) -> None:
    assert run(place, max_length=4, words="whitespace_punctuation") == "COMPLETE"
    assert (report(place).rows_compared, report(place).rows_that_differ) == (72, 0)
    assert report(place).longer == {"eval": 12, "train": 56}  # all but the four odd ones


def test_both_tokenize_the_texts_that_the_users_function_has_cleaned(
    place: Path, faulty: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import tensorflow as tf\n\ndef spelled(texts):\n    return tf.strings.regex_replace(texts, '7', 'seven')\n"
    write_own_parts(tmp_path, {"digits": source}, monkeypatch)
    assert run(place, columns=("text", "second"), text="own_parts.digits.spelled") == "COMPLETE"
    assert (report(place).rows_compared, report(place).rows_that_differ) == (72, 0)


@pytest.mark.parametrize("max_length", [5, 16, 64])
def test_pairs_are_tokenized_alike_whether_cut_or_not(place: Path, max_length: int) -> None:
    assert run(place, columns=("text", "second"), max_length=max_length, rows="all") == "COMPLETE"
    assert (report(place).rows_compared, report(place).rows_that_differ) == (72, 0)


def test_all_windows_of_a_row_are_compared(place: Path) -> None:
    assert run(place, max_length=5, stride=1) == "COMPLETE"
    assert (report(place).rows_compared, report(place).rows_that_differ) == (72, 0)


def test_no_row_is_compared_where_the_config_says_so(place: Path) -> None:
    assert run(place, rows=0) == "COMPLETE"
    assert report(place).compared == {"eval": 0, "train": 0}


def test_faulty_graph_is_refused_and_the_first_rows_are_named(place: Path, faulty: None) -> None:
    with pytest.raises(GateRefused) as refused:
        run(place, rows=30)
    report = place / "logs/tokenization_gate.json"
    content = json.loads(report.read_text())
    assert content["compared"] == {"eval": 12, "train": 18}
    assert content["mismatches"] == {"eval": 1, "train": 3}
    assert str(refused.value) == (
        "Tokenization gate refused: 4 of 30 rows (13.333%) are tokenized differently in the graph and by transformers, "
        "parity.max_mismatch_rate is 0: "
        "split 'train', row 11, 'the cat is 7': token 4 is '8' (60) in the graph, '7' (59) by transformers; "
        "split 'train', row 21, 'the cat is 17': token 5 is '##8' (96) in the graph, '##7' (95) by transformers; "
        "split 'train', row 51, 'the cat is 47': token 5 is '##8' (96) in the graph, '##7' (95) by transformers "
        f"(more in {report}); "
        "take another checkpoint, or raise parity.max_mismatch_rate if these rows may differ"
    )
    assert "\n" not in str(refused.value)


def test_as_many_rows_as_the_rate_allows_pass_and_are_in_the_report(place: Path, faulty: None) -> None:
    with pytest.raises(GateRefused, match=r"6 of 72 rows \(8.333%\)"):
        run(place, max_mismatch_rate=0.08)
    assert run(place, max_mismatch_rate=6 / 72) == "COMPLETE"
    told = report(place)
    assert told.mismatches == {"eval": 1, "train": 5}
    assert [found.row for found in told.examples] == [11, 21, 31, 41, 51, 7]
    first = told.examples[0]
    assert (first.split, first.texts, first.place) == ("train", ("the cat is 7",), 4)
    words = vocabulary()
    assert first.graph == ShownToken(words.index("8"), 0, "8")
    assert first.transformers == ShownToken(words.index("7"), 0, "7")


def test_pairs_are_compared_in_both_texts(place: Path, faulty: None) -> None:
    with pytest.raises(GateRefused) as refused:
        run(place, columns=("second", "text"), max_length=64)
    assert "split 'train', row 11, 'old dog 7 of rome of rome" in str(refused.value)
    assert "and 'the cat is 7': token 3 is '8' (" in str(refused.value)


def test_tokenizer_that_cannot_be_reproduced_is_no_refusal(place: Path) -> None:
    write_checkpoint(place / "other")
    path = place / "other/tokenizer.json"
    path.write_text(path.read_text().replace('"clean_text":true', '"clean_text":false'))
    state = json.loads(path.read_text())
    state["pre_tokenizer"] = {"type": "Whitespace"}
    path.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="pre_tokenizer"):
        run(place, encoder="other")
