"""TFRecordExampleGen through LocalDagRunner and Beam."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from components.example_gen.beam_errors import original_error
from components.example_gen.component import TFRecordExampleGen
from models.errors import GateRefused, PipelineError
from tests.support.local_run import example, last_artifact, run_nodes, tfrecord, tfrecord_gz

SPLITS = {"train": "train-*", "eval": "eval-*"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two train shards (gzip and plain) and one eval shard."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [example(text=b"question %d" % i, label=b"NUM") for i in range(6)]
    (folder / "train-00000-of-00002.tfrecord.gz").write_bytes(tfrecord_gz(rows[:3]))
    (folder / "train-00001-of-00002.tfrecord").write_bytes(tfrecord(rows[3:5]))
    (folder / "eval-00000-of-00001.tfrecord.gz").write_bytes(tfrecord_gz(rows[5:]))
    return folder


def run(root: Path, data: Path, splits: dict[str, str] = SPLITS, span: int | None = None) -> str:
    return run_nodes(root, [TFRecordExampleGen(str(data), splits, span)])["TFRecordExampleGen"]


def output(root: Path) -> dict[str, bytes]:
    """Relative name -> uncompressed content."""
    uri = Path(last_artifact(root, "Examples").uri)
    return {
        str(p.relative_to(uri)): gzip.decompress(p.read_bytes())
        for p in sorted(uri.rglob("*"))
        if p.is_file()
    }


def error(root: Path, data: Path, splits: dict[str, str] = SPLITS) -> str:
    with pytest.raises(PipelineError) as caught:
        run(root, data, splits)
    assert type(caught.value) is PipelineError
    message = str(caught.value)
    assert "\n" not in message
    assert "while running" not in message
    return message


def test_shards_come_out_as_they_went_in(tmp_path: Path, data: Path) -> None:
    assert run(tmp_path, data) == "COMPLETE"
    rows = [example(text=b"question %d" % i, label=b"NUM") for i in range(6)]
    assert output(tmp_path) == {
        "Split-eval/data_tfrecord-00000-of-00001.gz": tfrecord(rows[5:]),
        "Split-train/data_tfrecord-00000-of-00002.gz": tfrecord(rows[:3]),
        "Split-train/data_tfrecord-00001-of-00002.gz": tfrecord(rows[3:5]),
    }
    artifact = last_artifact(tmp_path, "Examples")
    assert artifact.properties["split_names"].string_value == '["train", "eval"]'
    assert artifact.custom_properties["payload_format"].string_value == "FORMAT_TF_EXAMPLE"


def test_two_imports_of_equal_data_are_equal_byte_for_byte(tmp_path: Path, data: Path) -> None:
    run(tmp_path / "a", data)
    run(tmp_path / "b", data)
    files = [
        {p.name: p.read_bytes() for p in Path(last_artifact(tmp_path / r, "Examples").uri).rglob("*.gz")}
        for r in "ab"
    ]
    assert files[0] == files[1]


def test_cached_until_data_or_code_changes(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, data) == "COMPLETE"
    assert run(tmp_path, data) == "CACHED"
    monkeypatch.setattr("components.example_gen.component.code_fingerprint", lambda *modules: "edited")
    assert run(tmp_path, data) == "COMPLETE"
    (data / "train-extra.tfrecord").write_bytes(tfrecord([example(text=b"new", label=b"NUM")]))
    assert run(tmp_path, data) == "COMPLETE"


def write_spans(folder: Path, *spans: str) -> None:
    for span in spans:
        (folder / span).mkdir(parents=True)
        for split in ("train", "eval"):
            content = tfrecord([example(text=f"span {span}".encode())])
            (folder / span / f"{split}-0.tfrecord").write_bytes(content)


def test_span_in_the_folder_is_taken_and_cached_by_its_content(tmp_path: Path) -> None:
    write_spans(tmp_path / "data", "span-1", "span-2")
    data = tmp_path / "data" / "span-{SPAN}"
    assert run(tmp_path, data) == "COMPLETE"
    assert set(output(tmp_path).values()) == {tfrecord([example(text=b"span span-2")])}
    assert run(tmp_path, data, span=1) == "COMPLETE"
    assert set(output(tmp_path).values()) == {tfrecord([example(text=b"span span-1")])}
    assert last_artifact(tmp_path, "Examples").custom_properties["span"].int_value == 1
    assert run(tmp_path, data, span=1) == "CACHED"
    write_spans(tmp_path / "data", "span-3")
    assert run(tmp_path, data, span=1) == "CACHED"
    assert run(tmp_path, data) == "COMPLETE"
    assert last_artifact(tmp_path, "Examples").custom_properties["span"].int_value == 3


def test_span_of_a_day(tmp_path: Path) -> None:
    write_spans(tmp_path / "data", "2026-11-21", "2026-11-22")
    run(tmp_path, tmp_path / "data" / "{YYYY}-{MM}-{DD}", span=20778)
    assert set(output(tmp_path).values()) == {tfrecord([example(text=b"span 2026-11-21")])}


def test_day_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_spans(tmp_path / "data", "2026-11-21")
    with pytest.raises(PipelineError, match=r"\{DD\}/train-\*, span 2026-11-22; correct data.path"):
        run(tmp_path, tmp_path / "data" / "{YYYY}-{MM}-{DD}", span=20779)


def test_span_that_is_not_there_names_the_folder(tmp_path: Path) -> None:
    write_spans(tmp_path / "data", "span-1")
    with pytest.raises(PipelineError, match=r"span-\{SPAN\}/train-\*, span 7; correct data.path"):
        run(tmp_path, tmp_path / "data" / "span-{SPAN}", span=7)


def test_newest_span_is_taken(tmp_path: Path, data: Path) -> None:
    write_spans(tmp_path / "spans", "1", "2")
    splits = {"train": "{SPAN}/train-*", "eval": "{SPAN}/eval-*"}
    run(tmp_path, tmp_path / "spans", splits)
    assert set(output(tmp_path).values()) == {tfrecord([example(text=b"span 2")])}
    artifact = last_artifact(tmp_path, "Examples")
    assert artifact.custom_properties["span"].int_value == 2


def test_no_span_at_all_says_what_to_correct(tmp_path: Path, data: Path) -> None:
    message = error(tmp_path, data, {"train": "{SPAN}/train-*", "eval": "{SPAN}/eval-*"})
    assert "correct data.path or the patterns of data.splits" in message


def test_missing_folder_says_make_data(tmp_path: Path) -> None:
    assert error(tmp_path, tmp_path / "nowhere") == (
        f"{tmp_path}/nowhere: no such folder; run `make data`, or correct data.path and data.splits"
    )


def test_no_matching_file_names_the_patterns(tmp_path: Path, data: Path) -> None:
    message = error(tmp_path, data, {"train": "tr_*", "eval": "ev_*"})
    assert "data: no file matches tr_*, ev_*; run `make data`" in message


def test_data_without_any_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.tfrecord").write_bytes(b"")
    (tmp_path / "data/eval-0.tfrecord.gz").write_bytes(tfrecord_gz([]))
    assert error(tmp_path, tmp_path / "data").endswith(
        "data: no record at all in eval-0.tfrecord.gz and 1 more; make the data again"
    )


def test_missing_split_comes_in_empty_for_the_gate_to_judge(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, {**SPLITS, "test": "test-*"})
    assert output(tmp_path)["Split-test/data_tfrecord-00000-of-00001.gz"] == b""


GOOD = example(text=b"fine", label=b"NUM")
BAD_SHARDS = {
    "truncated": (
        tfrecord_gz([example(text=b"question %d" % i) for i in range(9)])[:-9],
        "the gzip data ends early",
    ),
    "corrupt": (
        gzip.compress(tfrecord([GOOD] * 3)[:-6] + b"xxxxxx"),
        "record 2 (byte 108): the checksum of its",
    ),
    "not a TFRecord": (gzip.compress(b"text,label\nHi,A\n"), "record 0 (byte 0): no valid record header"),
    "wrong compression": (tfrecord([GOOD]), "the name ends in .gz but its content is not gzip"),
    "zero bytes": (b"", "the name ends in .gz but it is empty (0 bytes)"),
    "text records": (
        tfrecord_gz([GOOD, b"How far is the moon?"]),
        "record 1 (byte 54): not a tf.Example: its 20 bytes do not parse, they start with b'How far is the moon?'",
    ),
    "empty records": (tfrecord_gz([b""]), "record 0 (byte 0): not a tf.Example: no feature in its 0 bytes"),
    "mixed types": (
        tfrecord_gz([GOOD, example(text=b"fine", label=7)]),
        "record 1 (byte 54): column 'label' holds int64 here and bytes in record 0",
    ),
}


@pytest.mark.parametrize("kind", BAD_SHARDS)
def test_bad_shard_is_named_with_its_record(tmp_path: Path, data: Path, kind: str) -> None:
    content, expected = BAD_SHARDS[kind]
    (data / "eval-00000-of-00001.tfrecord.gz").write_bytes(content)
    message = error(tmp_path, data)
    assert message.startswith(f"{data}/eval-00000-of-00001.tfrecord.gz: record ")
    assert expected in message


def test_sequence_examples_are_refused(tmp_path: Path, data: Path) -> None:
    from tensorflow.core.example import example_pb2

    message = example_pb2.SequenceExample.FromString(GOOD)
    message.feature_lists.feature_list["tokens"].feature.add().int64_list.value.append(1)
    (data / "eval-00000-of-00001.tfrecord.gz").write_bytes(tfrecord_gz([message.SerializeToString()]))
    assert "fields other than `features` (a tf.SequenceExample?)" in error(tmp_path, data)


def test_shards_that_disagree_on_a_type_are_refused(tmp_path: Path, data: Path) -> None:
    (data / "train-00001-of-00002.tfrecord").write_bytes(tfrecord([GOOD, example(text=1)]))
    message = error(tmp_path, data)
    assert "record 1" in message
    (data / "train-00001-of-00002.tfrecord").write_bytes(tfrecord([example(text=1)]))
    message = error(tmp_path, data)
    assert f"{data}/train-00001-of-00002.tfrecord: record 0: column 'text' holds int64 here" in message


def test_failed_import_leaves_no_output(tmp_path: Path, data: Path) -> None:
    (data / "eval-00000-of-00001.tfrecord.gz").write_bytes(tfrecord_gz([b"text"]))
    error(tmp_path, data)
    assert not [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file()]


def test_unusual_texts_come_in_unchanged(tmp_path: Path, data: Path) -> None:
    texts = [b"", b"\xff\xfe", "😀🚀".encode(), "שלום עולם".encode(), b"a\0b", b"x" * 1_000_000]
    records = [example(text=t, label=b"NUM") for t in texts]
    (data / "eval-00000-of-00001.tfrecord.gz").write_bytes(tfrecord_gz(records))
    run(tmp_path, data)
    assert output(tmp_path)["Split-eval/data_tfrecord-00000-of-00001.gz"] == tfrecord(records)


def test_error_of_a_worker_process_is_found_in_its_traceback() -> None:
    text = (
        "Error received from SDK harness\nTraceback (most recent call last):\n  File x\n"
        "models.errors.GateRefused: no such row [while running 'A/B-ptransform-7']\n\n"
    )
    found = original_error(RuntimeError(text))
    assert type(found) is GateRefused
    assert str(found) == "no such row"


def test_other_errors_stay_what_they_are() -> None:
    other = OSError("disk")
    assert original_error(other) is other
