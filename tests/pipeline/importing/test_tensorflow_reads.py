"""TensorFlow, TFDV and the config loader accept what the importer writes. The only slow module in this folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tfx  # noqa: F401  # stands in for a module of older tfx-bsl that TFDV imports, so it comes first

from components.project import PROJECT_DIR

# isort: split
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from models.tasks.importing import LABELS_DOMAIN, LabelForm, present
from pipeline.config import load_config
from pipeline.importing.importer import import_files
from pipeline.importing.starting_files import schema_text
from pipeline.importing.tfrecord import ShardWriter, encode_example, frame

DATASETS = ["trec", "sms_spam", "rotten_tomatoes"]
TEXTS = ["", "Good.", "nul \x00 inside", "😀 שלום", "word " * 50_000]


def test_tensorflow_writes_the_same_bytes(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for text in TEXTS:
            writer.write(text.encode())
    assert (tmp_path / "theirs").read_bytes() == b"".join(frame(text.encode()) for text in TEXTS)


@pytest.mark.parametrize("text", TEXTS)
def test_tensorflow_encodes_the_same_example(text: str) -> None:
    values = {"text": text.encode(), "label": b"a", "": b"unnamed"}
    theirs = tf.train.Example()
    for name, value in values.items():
        theirs.features.feature[name].bytes_list.value.append(value)
    assert encode_example(values) == theirs.SerializeToString(deterministic=True)


def test_tensorflow_reads_the_shards(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "train", shard_bytes=1)
    for text in TEXTS:
        writer.write(encode_example({"text": text.encode()}))
    shards = writer.close()
    assert [path.name for path in shards] == [f"train-{i:05d}-of-00005.tfrecord.gz" for i in range(5)]
    records = tf.data.TFRecordDataset([str(path) for path in shards], compression_type="GZIP")
    parsed = [
        tf.io.parse_single_example(record, {"text": tf.io.FixedLenFeature([1], tf.string)})["text"].numpy()[0]
        for record in records
    ]
    assert parsed == [text.encode() for text in TEXTS]


def statistics(rows: list[dict[str, str]]) -> object:
    serialized = [encode_example({key: value.encode() for key, value in row.items()}) for row in rows]
    batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized)
    return stats_impl.generate_statistics_in_memory(batch)


def test_written_schema_accepts_the_rows_and_finds_an_unknown_label(import_csv, plain_csv, rows_of) -> None:
    _, out = import_csv(plain_csv(100))
    schema = tfdv.load_schema_text(str(out / "schema.pbtxt"))
    rows = rows_of(out)
    good = tfdv.validate_statistics(statistics(rows), schema, environment="TRAINING")
    assert dict(good.anomaly_info) == {}
    bad = tfdv.validate_statistics(statistics([*rows, {"text": "a", "label": "maybe"}]), schema)
    assert bad.anomaly_info["label"].short_description == "Unexpected string values"


def test_label_is_not_expected_when_serving(import_csv, plain_csv, rows_of) -> None:
    _, out = import_csv(plain_csv(100))
    schema = tfdv.load_schema_text(str(out / "schema.pbtxt"))
    served = statistics([{"text": row["text"]} for row in rows_of(out)])
    assert dict(tfdv.validate_statistics(served, schema, environment="SERVING").anomaly_info) == {}
    missing = tfdv.validate_statistics(served, schema, environment="TRAINING")
    assert missing.anomaly_info["label"].short_description == "Column dropped"


def test_labels_and_columns_with_quotes_and_accents_survive_the_schema() -> None:
    labels = ['say "no"', "back\\slash", "é", "tab\there"]
    rules = present("BYTES", LABELS_DOMAIN)
    text = schema_text(["text", "label", 'the "group"'], labels, rules)
    schema = text_format.Parse(text, schema_pb2.Schema())
    assert list(schema.string_domain[0].value) == labels
    assert [feature.name for feature in schema.feature] == ["text", "label", 'the "group"']


def test_starting_config_is_valid_and_its_thresholds_follow_the_majority(import_csv) -> None:
    lines = "".join(f"text {i},{'b' if i % 4 else 'a'}\n" for i in range(2000))
    report, out = import_csv("text,label\n" + lines, name="mine")
    config = load_config(report.config)
    assert config.data.path == out
    assert config.data.label_list == out / "labels.txt"
    assert config.data.text_pair is None
    counts = report.splits["test"]
    share = counts["b"] / sum(counts.values())
    assert config.evaluate.thresholds["accuracy"].min == pytest.approx(share + (1 - share) / 4, abs=0.01)
    macro_f1 = share / (1 + share)  # of two classes, one never predicted
    assert config.evaluate.thresholds["macro_f1"].min == pytest.approx(
        macro_f1 + (1 - macro_f1) / 4, abs=0.01
    )


def test_starting_config_of_pairs_names_the_pair(import_csv) -> None:
    lines = "".join(f'q{i},p{i},"{{x}}: ""{i % 2}"""\n' for i in range(100))
    report, _ = import_csv("q,p,label\n" + lines, text="q", text_pair="p", name="pairs")
    assert load_config(report.config).data.text_pair == "text_pair"


# --- what is committed --------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_committed_schema_and_label_list_agree(name: str) -> None:
    schema = tfdv.load_schema_text(str(PROJECT_DIR / "schemas" / f"{name}.pbtxt"))
    labels = (PROJECT_DIR / "data" / name / "labels.txt").read_text().splitlines()
    assert list(schema.string_domain[0].value) == labels
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]


@pytest.mark.parametrize("name", DATASETS)
def test_transform_gets_every_committed_feature_dense(name: str) -> None:
    schema = tfdv.load_schema_text(str(PROJECT_DIR / "schemas" / f"{name}.pbtxt"))
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    assert {"text", "label"} <= set(spec)
    assert all(feature == tf.io.FixedLenFeature([1], tf.string) for feature in spec.values())


@pytest.mark.parametrize("name", DATASETS)
def test_committed_config_points_at_committed_files(name: str) -> None:
    config = load_config(PROJECT_DIR / "configs" / f"{name}.yaml")
    assert config.name == name
    assert config.data.recipe == name
    assert config.data.data_schema == PROJECT_DIR / "schemas" / f"{name}.pbtxt"
    assert config.data.label_list == PROJECT_DIR / "data" / name / "labels.txt"
    assert config.data.path == PROJECT_DIR / "datasets" / name


@pytest.mark.real
@pytest.mark.parametrize("name", DATASETS)
def test_real_rows_have_no_anomaly_against_the_committed_schema(name: str, rows_of) -> None:
    folder = PROJECT_DIR / "datasets" / name
    if not folder.exists():
        pytest.skip("made by `make data`")
    schema = tfdv.load_schema_text(str(PROJECT_DIR / "schemas" / f"{name}.pbtxt"))
    for split in ("train", "eval", "test"):
        found = tfdv.validate_statistics(statistics(rows_of(folder, split)), schema, environment="TRAINING")
        assert dict(found.anomaly_info) == {}


def test_written_schema_accepts_rows_without_labels_and_finds_unknown_ones_in_a_list(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": [["a", "b"], [], ["b"]][i % 3]} for i in range(120)]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    form = LabelForm(may_be_empty=True)
    import_files([tmp_path / "x.jsonl"], out_dir=tmp_path / "out", task="multi_label", form=form)
    schema = tfdv.load_schema_text(str(tmp_path / "out" / "schema.pbtxt"))
    good = tfdv.validate_statistics(lists_statistics(rows), schema, environment="TRAINING")
    assert dict(good.anomaly_info) == {}
    bad = tfdv.validate_statistics(
        lists_statistics([*rows, {"text": "a", "label": ["a", "c"]}]), schema, environment="TRAINING"
    )
    assert bad.anomaly_info["label"].short_description == "Unexpected string values"


def lists_statistics(rows: list[dict]) -> object:
    serialized = [
        encode_example({"text": row["text"].encode(), "label": [x.encode() for x in row["label"]]})
        for row in rows
    ]
    return stats_impl.generate_statistics_in_memory(ExamplesToRecordBatchDecoder().DecodeBatch(serialized))


def test_written_bounds_of_a_target_are_checked(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": i / 10} for i in range(120)]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    import_files([tmp_path / "x.jsonl"], out_dir=tmp_path / "out", task="regression")
    schema = tfdv.load_schema_text(str(tmp_path / "out" / "schema.pbtxt"))

    def validated(*further: float) -> dict:
        values = [*(row["label"] for row in rows), *further]
        serialized = [encode_example({"text": b"a", "label": [float(value)]}) for value in values]
        batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized)
        found = tfdv.validate_statistics(
            stats_impl.generate_statistics_in_memory(batch), schema, environment="TRAINING"
        )
        types = anomalies_pb2.AnomalyInfo.Type
        return {
            key: sorted(types.Name(r.type) for r in info.reason) for key, info in found.anomaly_info.items()
        }

    assert validated() == {}
    assert validated(99.0, -1.0) == {"label": ["FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT"]}
    assert validated(float("nan")) == {"label": ["FLOAT_TYPE_HAS_NAN"]}
