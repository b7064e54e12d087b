"""DataGate after the real ExampleGen, StatisticsGen and ExampleValidator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen

from components.curated_schema import CuratedSchema
from components.data_gate.component import DataGate
from components.example_gen.component import TFRecordExampleGen
from components.settings import DataGateSettings, DataSettings
from models.errors import GateRefused
from models.tasks.task import TASKS
from tests.support.local_run import example, last_artifact, run_nodes, tfrecord_gz

SCHEMA = """
feature { name: "text" type: BYTES presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "label" type: BYTES domain: "label" presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } } }
string_domain { name: "label" value: "ABBR" value: "NUM" }
"""
ALL_WARN = {
    name: "warn"
    for name in DataGateSettings.model_fields
    if name not in ("max_empty_text_fraction", "min_rows")
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Good train, eval and test splits of 12 rows, with schema and labels."""
    for split in ("train", "eval", "test"):
        write(tmp_path, split, good(12))
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    (tmp_path / "labels.txt").write_text("ABBR\nNUM\n")
    return tmp_path


def good(rows: int) -> list[bytes]:
    return [example(text=b"question %d" % i, label=[b"ABBR", b"NUM"][i % 2]) for i in range(rows)]


def write(folder: Path, split: str, records: list[bytes]) -> None:
    (folder / f"{split}-00000-of-00001.tfrecord.gz").write_bytes(tfrecord_gz(records))


def run(data: Path, task: str = "single_label", words: Any = "whitespace", **gate: Any) -> dict[str, str]:
    settings = DataSettings(
        path=data, schema=data / "schema.pbtxt", label_list=data / "labels.txt", gate=DataGateSettings(**gate)
    )
    example_gen = TFRecordExampleGen(str(data), settings.splits)
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = CuratedSchema(schema_file=settings.data_schema)
    validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    data_gate = DataGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        data=settings,
        task=TASKS[task],
        words=words,
        refusal_dir=str(data / "logs"),
    )
    return run_nodes(data / "run", [example_gen, statistics_gen, schema_gen, validator, data_gate])


def report(data: Path) -> dict[str, Any]:
    artifact = last_artifact(data / "run", "pipeline.DataGateReport")
    return json.loads((Path(artifact.uri) / "report.json").read_text())


def test_unusual_but_legal_texts_pass_and_the_next_run_is_cached(data: Path) -> None:
    texts = [b"\xff\xfe", "😀🚀".encode(), "שלום".encode(), b"a\0b", b"x" * 1_000_000]
    write(data, "train", [*good(12), *[example(text=t, label=b"NUM") for t in texts]])
    assert run(data)["DataGate"] == "COMPLETE"
    assert [f["message"] for f in report(data)["findings"]] == [
        "split 'train', column 'text': 1 of 17 rows are not UTF-8, "
        "first b'\\xff\\xfe' at data_tfrecord-00000-of-00001.gz record 12"
    ]
    assert report(data)["rows"] == {"train": 17, "eval": 12, "test": 12}
    properties = last_artifact(data / "run", "pipeline.DataGateReport").custom_properties
    assert (properties["rows"].int_value, properties["warnings"].int_value) == (41, 1)
    assert run(data)["DataGate"] == "CACHED"


def test_labels_that_look_the_same_are_let_through_with_a_warning(data: Path) -> None:
    (data / "labels.txt").write_text("ABBR\nNUM\nAbbr\n")
    (data / "schema.pbtxt").write_text(SCHEMA.replace('value: "NUM"', 'value: "NUM" value: "Abbr"'))
    assert run(data)["DataGate"] == "COMPLETE"
    assert [(f["rule"], f["message"]) for f in report(data)["findings"]] == [
        (
            "look_alike_labels",
            "labels.txt lists labels that look the same but are different classes: 'ABBR' and 'Abbr'",
        )
    ]


def test_every_fault_is_found_refused_once_and_let_through_as_a_warning(data: Path) -> None:
    faults = [
        example(text=b"no label"),
        example(label=b"NUM"),
        example(text=b"", label=b"NUM"),
        example(text=b"unknown", label=b"HUM"),
        example(text=b"extra", label=b"NUM", extra=1),
    ]
    write(data, "train", good(12) + faults)
    write(data, "eval", good(3))
    (data / "test-00000-of-00001.tfrecord.gz").unlink()
    with pytest.raises(GateRefused) as caught:
        run(data)
    assert str(caught.value) == (
        f"Data gate refused: split 'test': no row in 'test-*' of {data}; correct the data, or set "
        f"data.gate.missing_split: warn (and 6 more, all in {data}/logs/data_gate.json)"
    )
    shard = "data_tfrecord-00000-of-00001.gz"
    refused = json.loads((data / "logs/data_gate.json").read_text())
    expected = [
        f"split 'test': no row in 'test-*' of {data}",
        f"split 'train', column 'label': 1 of 17 rows lack the column or have no value in it, first at {shard} record 12",
        f"split 'train', column 'text': 1 of 17 rows lack the column or have no value in it, first at {shard} record 13",
        f"split 'train', column 'label': 1 of 17 rows have a label that is not in labels.txt, first 'HUM' at {shard} record 15",
        "split 'train', column 'text': 1 of 17 rows have no text, data.gate.max_empty_text_fraction is 0.01, "
        f"first '' at {shard} record 14",
        "split 'eval': only 3 rows, data.gate.min_rows is 10",
        "split 'train', column 'extra': 17 of 17 rows are not as the schema says: New column (column in data but "
        "not in schema) [SCHEMA_NEW_COLUMN]",
    ]
    assert [f["message"] for f in refused["findings"]] == expected

    states = run(data, **ALL_WARN)
    assert states == {
        "TFRecordExampleGen": "CACHED",
        "StatisticsGen": "CACHED",
        "ImportSchemaGen": "CACHED",
        "ExampleValidator": "CACHED",
        "DataGate": "COMPLETE",
    }
    assert [f["message"] for f in report(data)["findings"]] == expected
    assert {f["severity"] for f in report(data)["findings"]} == {"warn"}


def test_column_of_another_type_and_a_missing_column_are_refused(data: Path) -> None:
    write(data, "train", [example(text=b"question %d" % i, label=i % 2) for i in range(12)])
    write(data, "eval", [example(text=b"question %d" % i) for i in range(12)])
    with pytest.raises(GateRefused) as caught:
        run(data)
    assert str(caught.value).startswith(
        "Data gate refused: split 'eval', column 'label': 12 of 12 rows lack the column or have no value in it "
        "(the first row has text), first at data_tfrecord-00000-of-00001.gz record 0; correct the data (and "
    )
    findings = json.loads((data / "logs/data_gate.json").read_text())["findings"]
    assert [(f["split"], f["column"], f["rule"], f["count"]) for f in findings] == [
        ("eval", "label", "missing_column", 12),
        ("train", "label", "wrong_type", 12),
    ]


def test_integer_labels_pass_with_an_integer_schema(data: Path) -> None:
    (data / "schema.pbtxt").write_text(
        SCHEMA.partition("string_domain")[0].replace('type: BYTES domain: "label"', "type: INT")
    )
    (data / "labels.txt").write_text("0\n1\n")
    for split in ("train", "eval", "test"):
        write(data, split, [example(text=b"question %d" % i, label=i % 2) for i in range(12)])
    run(data)
    assert report(data)["findings"] == []


# --- labels of words ------------------------------------------------------------------------------

WORD_SCHEMA = """
feature { name: "text" type: BYTES presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "label" type: BYTES domain: "tags" presence { min_fraction: 1.0 min_count: 1 } value_count { min: 1 } }
string_domain { name: "tags" value: "O" value: "B-LOC" value: "I-LOC" }
"""


def tagged(text: str, tags: str) -> bytes:
    return example(text=text.encode(), label=[tag.encode() for tag in tags.split()])


def test_tags_are_compared_with_the_words_of_the_rule_and_their_transitions_are_counted(
    data: Path,
) -> None:
    (data / "schema.pbtxt").write_text(WORD_SCHEMA)
    (data / "labels.txt").write_text("O\nB-LOC\nI-LOC\n")
    for split in ("train", "eval", "test"):
        write(data, split, [tagged(f"to U.S. {i}", "O B-LOC O") for i in range(12)])
    # The train split alone could be IOB1, in which spans begin with I.
    write(data, "train", [tagged(f"to Lima {i}", "O I-LOC O") for i in range(12)])
    shard = "data_tfrecord-00000-of-00001.gz"
    assert run(data, "token_labels")["DataGate"] == "COMPLETE"
    assert [f["message"] for f in report(data)["findings"]] == [
        "split 'train', column 'label': 12 of 12 rows have 12 transitions that the scheme BIO forbids ('I-LOC after O'), first "
        f"'I-LOC after O' at {shard} record 0"
    ]
    with pytest.raises(GateRefused) as caught:
        run(data, "token_labels", words="whitespace_punctuation")
    assert str(caught.value) == (
        "Data gate refused: split 'eval', column 'label': 12 of 12 rows do not have one tag for each word that transform.words "
        f"finds, first '3 tags for 6 words' at {shard} record 0; correct the data (and 1 more, all in "
        f"{data}/logs/data_gate.json)"
    )
