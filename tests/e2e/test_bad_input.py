"""Bad input, run as a user runs it: a one-line error, the exit code, nothing pushed.

The runs share this process (TensorFlow is imported once). Each test starts from good files and breaks one.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.project import PROJECT_DIR
from models.tokenizers.family import FAMILIES
from pipeline.local.run import RunRequest, run
from tests.support.faulty_graph import FAULTY_FAMILY
from tests.support.tiny_model import rows
from tests.support.tiny_project import shard, write_records

pytestmark = pytest.mark.e2e


def example(**columns: Any) -> bytes:
    """A tf.Example; a str or bytes becomes a bytes_list, an int an int64_list."""
    import tensorflow as tf

    made = tf.train.Example()
    for name, value in columns.items():
        if isinstance(value, int):
            made.features.feature[name].int64_list.value.append(value)
        else:
            made.features.feature[name].bytes_list.value.append(
                value.encode() if isinstance(value, str) else value
            )
    return made.SerializeToString()


def good_records(count: int = 60) -> list[bytes]:
    return [example(text=text, label=label) for text, label in rows(count)]


# --- usage and config ---------------------------------------------------------------------------


def test_unknown_config_key(refused):
    assert "unknown key 'train.epocks'; did you mean 'epochs'?" in refused(2, "train.epocks=1")


def test_threshold_out_of_range(refused):
    assert "must be in [0, 1], got 1.2" in refused(2, "evaluate.thresholds.accuracy.min=1.2")


def test_missing_data_folder(refused):
    assert "data.path" in refused(2, "data.path=nowhere")


def test_checkpoint_folder_without_weights(refused, folder):
    (folder / "encoder" / "model.safetensors").unlink()
    reason = refused(1)
    assert "encoder" in reason
    assert "model.safetensors" in reason


def test_tokenizer_that_the_graph_cannot_reproduce(refused, folder):
    path = folder / "encoder" / "tokenizer.json"
    path.write_text(path.read_text().replace('"type": "WordPiece"', '"type": "WordLevel"'))
    reason = refused(1)
    assert "tokenizer.json: model.type is 'WordLevel'" in reason


def test_own_data_stays_though_the_config_names_a_recipe(refused, folder):
    shard(folder, "test").unlink()
    assert "test" in refused(3, "data.recipe=trec")


def test_root_that_is_no_folder(folder, capfd):
    (folder / "file").write_text("")
    assert run(RunRequest(str(folder / "tiny.yaml"), (), folder / "file")) == 2
    assert "no folder can be created there: Not a directory" in capfd.readouterr().err


def test_shard_in_two_splits(refused):
    assert "is in the splits 'train' and 'eval'" in refused(
        2, "data.splits={train: train-*, eval: train-*, test: test-*}"
    )


def test_missing_label_list(refused, folder):
    (folder / "data" / "labels.txt").unlink()
    assert "labels.txt" in refused(2)


# --- records ------------------------------------------------------------------------------------


def test_truncated_shard_is_named(refused, folder):
    path = shard(folder)
    path.write_bytes(path.read_bytes()[:-40])
    assert path.name in refused(1)


def test_corrupt_record_names_the_shard_and_the_record(refused, folder):
    path = shard(folder)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[40] ^= 0xFF
    path.write_bytes(gzip.compress(bytes(content)))
    reason = refused(1)
    assert path.name in reason
    assert "record 0" in reason


def test_records_that_are_no_examples(refused, folder):
    write_records(shard(folder), [b"\xff\xfe not a protocol buffer"] * 3)
    reason = refused(1)
    assert shard(folder).name in reason
    assert "record 0" in reason


def test_empty_shards_of_a_split(refused, folder):
    write_records(shard(folder), [])
    assert "train" in refused(3)


def test_split_without_a_file(refused, folder):
    shard(folder, "test").unlink()
    assert "test" in refused(3)


INTEGER_LABELS = """
feature { name: "text" type: BYTES presence { min_fraction: 1.0 min_count: 1 } shape {} }
feature {
  name: "label" type: INT presence { min_fraction: 1.0 min_count: 1 } shape {} not_in_environment: "SERVING"
}
default_environment: "TRAINING"
default_environment: "SERVING"
"""


# --- the data gate ------------------------------------------------------------------------------


def test_missing_text_column(refused, folder):
    write_records(shard(folder), [example(label=label) for _, label in rows(60)])
    reason = refused(3)
    assert "train" in reason
    assert "text" in reason


def test_missing_label_column(refused, folder):
    write_records(shard(folder), [example(text=text) for text, _ in rows(60)])
    assert "label" in refused(3)


def test_unseen_label_is_quoted(refused, folder):
    write_records(shard(folder, "eval"), [*good_records(), example(text="a text", label="mineral")])
    reason = refused(3)
    assert "eval" in reason
    assert "mineral" in reason


def test_integer_label_out_of_range(refused, folder):
    (folder / "data" / "labels.txt").write_text("0\n1\n2\n")
    (folder / "data" / "schema.pbtxt").write_text(INTEGER_LABELS)
    for split in ("train", "eval", "test"):
        records = [example(text=text, label=number % 3) for number, (text, _) in enumerate(rows(60))]
        write_records(
            shard(folder, split), records + [example(text="one too many", label=7)] * (split == "eval")
        )
    reason = refused(3)
    assert "eval" in reason
    assert "'7'" in reason


def test_integer_labels_that_are_no_label_ids(refused, folder):
    (folder / "data" / "labels.txt").write_text("1\n2\n3\n")
    (folder / "data" / "schema.pbtxt").write_text(INTEGER_LABELS)
    for split in ("train", "eval", "test"):
        records = [example(text=text, label=1 + number % 3) for number, (text, _) in enumerate(rows(60))]
        write_records(shard(folder, split), records)
    assert "integer labels must be 0, 1, 2 ... in this order, got 1, 2, 3" in refused(2)


def test_served_model_is_not_replaced_by_one_that_was_not_compared_with_it(refused):
    """The served version was pushed from another --root, so there is no baseline for max_drop."""
    assert "version 1 of" in refused(3, "evaluate.thresholds.accuracy.min=0")


def test_empty_texts_beyond_the_limit(refused, folder):
    write_records(shard(folder), [*good_records(), *[example(text=" ", label="animal")] * 10])
    assert "text" in refused(3)


def test_too_few_rows(refused, folder):
    write_records(shard(folder, "eval"), good_records(3))
    reason = refused(3)
    assert "eval" in reason
    assert "3" in reason


# --- the tokenization gate ----------------------------------------------------------------------


def test_graph_that_tokenizes_otherwise_than_transformers_is_not_trained_on(refused, folder, monkeypatch):
    monkeypatch.setitem(FAMILIES, "wordpiece", FAULTY_FAMILY)
    reason = refused(3)
    found = re.fullmatch(
        r"Tokenization gate refused: (\d+) of 400 rows \([\d.]+%\) are tokenized differently in the graph and by "
        r"transformers, parity\.max_mismatch_rate is 0: split 'train', row \d+, '[^']* \d*7\d*': token \d+ is "
        r"'(?:##)?8' \(\d+\) in the graph, '(?:##)?7' \(\d+\) by transformers; .* \(more in (\S+)\); take another "
        r"checkpoint, or raise parity\.max_mismatch_rate if these rows may differ",
        reason,
    )
    assert found is not None, reason
    content = json.loads(Path(found[2]).read_text())
    assert sum(content["mismatches"].values()) == int(found[1]) == 76  # of 0 to 399, the numbers with a 7
    assert len(content["examples"]) == 20
    assert not (folder / "runs/tiny/artifacts/Transform").exists()


# --- text that is strange but good --------------------------------------------------------------


STRANGE = [b"", b"x" * 1_000_000, b"caf\xe9 \xff", "🐈🐕🐎".encode(), "שלום עולם".encode(), b"cat\x00dog"]


def test_strange_texts_are_trained_on_and_served(good, folder, capfd):
    labels = ["animal", "number", "place"]
    strange = [example(text=text, label=labels[i % 3]) for i, text in enumerate(STRANGE)]
    write_records(shard(folder), [*good_records(200), *strange])
    shutil.rmtree(folder / "serving")
    code = run(RunRequest(str(folder / "tiny.yaml"), ["data.gate.not_utf8=warn"], folder / "runs", json=True))
    captured = capfd.readouterr()
    assert code == 0, captured.err
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers its ops)

    serve = tf.saved_model.load(str(folder / "serving/tiny/1")).signatures["serving_default"]
    answers = serve(text=tf.constant(STRANGE))
    assert answers["probabilities"].shape == (6, 3)
    assert float(tf.reduce_sum(answers["probabilities"])) == pytest.approx(6.0, abs=1e-4)


# --- interrupts and other runs ------------------------------------------------------------------

LONG_RUN = ["run", "tiny.yaml", "--json", "--set", "train.epochs=400", "--set", "train.max_steps=null"]


def start_training(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Starts a long run; returns it with the first training step that it reports."""
    process = subprocess.Popen(
        [sys.executable, str(PROJECT_DIR / "runner_local.py"), *LONG_RUN],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if step := re.search(r"step ([\d,]+)/", line):
            return process, int(step.group(1).replace(",", ""))
    raise AssertionError(f"no training step was reported; exit code {process.wait()}")


def interrupt(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Ctrl-C; returns the result that the run still prints."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    return json.loads(out.splitlines()[-1])


def test_ctrl_c_during_training_exits_130_and_the_next_run_goes_on(folder):
    process, first_step = start_training(folder)
    # Another run of this pipeline is refused while this one has the lock.
    other = subprocess.run(
        [sys.executable, str(PROJECT_DIR / "runner_local.py"), *LONG_RUN],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert other.returncode == 1
    assert str(process.pid) in other.stderr
    assert interrupt(process)["status"] == "interrupted"
    assert [p.name for p in (folder / "serving" / "tiny").iterdir()] == ["1"]
    process, resumed_step = start_training(folder)
    interrupt(process)
    assert resumed_step > first_step
