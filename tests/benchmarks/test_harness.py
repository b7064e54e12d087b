"""The benchmark's table, JSON and measured processes, from literal rows; nothing is asserted about time."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from benchmarks.__main__ import _run_part, show_and_write
from benchmarks.answers import measured_answers
from benchmarks.exports import variant_rows
from benchmarks.matrix_products import training_operations
from benchmarks.parts import PARTS, tokenization_rows, training_rows
from benchmarks.processes import BenchmarkError, first_line, measure
from benchmarks.rows import figure, make_row, meets_target
from benchmarks.tfexample import digest_of_ids, encode_ids, read_texts
from benchmarks.workspace import real_dataset
from pipeline.importing.tfrecord import ShardWriter, encode_example


def shown(rows: list[dict], paths: list[Path], failed: list[str]) -> str:
    out = io.StringIO()
    report = {"quick": True, "machine": "2 cores", "seconds": 61.4, "failed": failed, "rows": rows}
    show_and_write(Console(file=out, width=160), report, paths)
    return out.getvalue()


def test_table_shows_ours_beside_the_peer_and_whether_the_target_holds(tmp_path):
    good = make_row("first node", 3.0, "s", peer_name="tfx.v1", peer=6.0, target="<= 0.7", note="median of 3")
    bad = make_row(
        "epoch", 70.0, "s", peer_name="Trainer", peer=100.0, target="<= 0.65", peer_peak_mib=1024.4
    )
    printed = shown([good, bad], [tmp_path / "new" / "out.json"], ["scale"]).splitlines()

    words = [" ".join(line.split()) for line in printed]
    assert words[0] == "Benchmark (quick), 2 cores, 61 s"
    assert words[2] == "first node [1] 3.00 s 6.00 s tfx.v1 0.500x <= 0.7 ✓"
    assert words[3] == "epoch 70.0 s 100 s Trainer 0.700x <= 0.65 ✗ 1,024"
    assert printed[4] == "  [1] median of 3"
    assert printed[-1] == "part scale failed, see above"


def test_json_holds_every_field_of_every_row(tmp_path):
    row = make_row("help", 0.3, "s CPU", target="<= 2", ours_peak_mib=50.0)
    paths = [tmp_path / "dated.json", tmp_path / "latest.json"]
    shown([row], paths, [])

    written = json.loads(paths[0].read_text())
    assert written["rows"] == [
        {
            "what": "help",
            "ours": 0.3,
            "unit": "s CPU",
            "peer_name": "",
            "peer": None,
            "ratio": None,
            "target": "<= 2",
            "ours_peak_mib": 50.0,
            "peer_peak_mib": None,
            "rows": None,
            "note": "",
        }
    ]
    assert paths[1].read_text() == paths[0].read_text()


@pytest.mark.parametrize(
    ("row", "met"),
    [
        ({"ratio": 0.65, "target": "<= 0.65"}, True),
        ({"ratio": 3.9, "target": ">= 4"}, False),
        ({"ratio": None, "ours": 2.5, "target": "<= 2 s"}, False),
        ({"ratio": 0.5, "target": ""}, None),
    ],
)
def test_target_is_held_against_the_ratio_or_else_against_ours(row, met):
    assert meets_target(row) is met


def test_target_that_cannot_be_read_is_an_error():
    with pytest.raises(ValueError, match="got 'fast'"):
        meets_target({"ratio": 1.0, "target": "fast"})


def test_figures_have_three_digits_that_count():
    assert [figure(v) for v in (0.04212, 2.0, 75.26, 75431.2, None)] == [
        "0.042",
        "2.00",
        "75.3",
        "75,431",
        "",
    ]
    assert [figure(v) for v in (0, 11, 75_431)] == ["0", "11", "75,431"]


def test_parts_are_those_of_the_issue():
    parts = [
        "imports",
        "tokenization",
        "transform",
        "training",
        "training_encoders",
        "training_tasks",
        "evaluate",
        "serving",
        "exports",
        "scale",
        "many_labels",
    ]
    assert list(PARTS) == parts


@pytest.mark.parametrize(
    "figures",
    [
        {"ours": 50_000.0, "rows": 0},
        {"ours": 0.0, "peer": 20_000.0, "rows": 10},
        {"ours": 50_000.0, "peer": 0.0, "rows": 10},
        {"ours": float("nan")},
        {"ours": float("inf"), "peer": 1.0},
    ],
)
def test_figure_of_nothing_is_refused(figures):
    with pytest.raises(ValueError, match="tokenize: nothing was measured"):
        make_row("tokenize", unit="rows/s", **figures)
    assert make_row("other labels", 0, "questions", rows=10)["ours"] == 0  # none differs: a result


def test_tokenization_of_no_rows_is_refused():
    common = {"tokenizer": "wordpiece", "dataset": "sms_spam", "rows": 0, "peak_mib": 900, "mismatches": 0}
    results = [{**common, "system": system, "rows_per_second": 0} for system in ("ours", "hf_fast")]
    with pytest.raises(ValueError, match="tokenization, wordpiece, sms_spam: nothing was measured"):
        tokenization_rows(results)


def test_part_without_a_row_fails(monkeypatch, tmp_path):
    monkeypatch.setitem(PARTS, "imports", lambda quick, workspace: [])
    with pytest.raises(BenchmarkError, match="part imports measured nothing"):
        _run_part("imports", True, tmp_path)


@pytest.mark.real
def test_dataset_of_a_benchmark_is_made_when_it_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.paths.DATASETS_DIR", tmp_path)
    folder = real_dataset("sms_spam")
    assert folder == tmp_path / "sms_spam"
    assert len(list(read_texts(sorted(folder.glob("*.tfrecord.gz")), ("text",)))) == 5171


def test_tokenization_result_becomes_a_row_per_peer():
    common = {"tokenizer": "byte_bpe", "dataset": "trec", "rows": 100, "peak_mib": 900}
    ours = {**common, "system": "ours", "rows_per_second": 50_000, "mismatches": 0}
    peer = {**common, "system": "tf_text_fast_bert", "rows_per_second": 40_000, "mismatches": 7}

    [row] = tokenization_rows([ours, peer])

    assert row["what"] == "tokenization, byte_bpe, trec"
    assert (row["ours"], row["peer"], row["ratio"], row["rows"]) == (50_000, 40_000, 1.25, 100)
    assert row["note"] == "rows that differ from HF fast: ours 0, tf-text FastBertTokenizer 7"


def test_training_result_becomes_a_row_per_peer_with_accuracies():
    common = {
        "case": "trec",
        "task": "single_label",
        "metric": "accuracy",
        "peak_mib": 900,
        "seeds": 3,
        "rows": 64,
    }
    ours = {"system": "ours", "seconds_per_epoch": 30.0, "score": 0.95, "score_standard_error": 0.004}
    ours["product_share"] = 0.7
    peer = {
        "system": "keras_fit",
        "seconds_per_epoch": 120.0,
        "score": None,
        "score_standard_error": None,
    }

    row, share = training_rows([common | ours, common | peer])

    assert (row["ratio"], row["target"]) == (0.25, "<= 0.3")
    assert (share["ours"], share["peer"], share["target"]) == (0.7, None, ">= 0.8")
    assert row["note"] == (
        "on the test split: ours accuracy 0.9500 ± 0.0040 (standard error, 3 seeds); "
        "Keras fit, padded to max_length not measured (part of an epoch)"
    )


@pytest.mark.parametrize(("layers", "lengths", "expected"), [(1, [1], 216), (2, [3], 1152), (1, [1, 1], 432)])
def test_useful_products_are_those_of_true_lengths_and_of_the_first_token_at_the_end(
    layers, lengths, expected
):
    config = SimpleNamespace(hidden_size=2, intermediate_size=4, num_hidden_layers=layers)
    assert training_operations(config, lengths) == expected


def test_export_becomes_rows_of_size_labels_and_latency_beside_pytorch():
    made = {"bytes": 3 << 20, "seconds": 6.4, "peak_mib": 2048.2}
    served = answered(["a", "b", "a"], [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], 8.0, 80.0) | {"bytes": 12 << 20}
    torch = answered(["a", "b", "a"], [[0.9, 0.1], [0.4, 0.6], [0.71, 0.29]], 10.0, 100.0)
    ours = answered(["a", "a", "a"], [[0.9, 0.1], [0.55, 0.45], [0.7, 0.3]], 5.0, 25.0)

    rows = variant_rows("TFLite int8", made, ours, torch, served)

    assert [(row["what"], row["ours"], row["peer"], row["ratio"]) for row in rows] == [
        ("TFLite int8, size", 3.0, 12.0, 0.25),
        ("TFLite int8, other labels than the served model", 1, None, None),
        ("TFLite int8, batch of 1", 5.0, 10.0, 0.5),
        ("TFLite int8, batch of 32", 25.0, 100.0, 0.25),
    ]
    assert rows[0]["note"] == "converted in 6 s with a peak of 2,048 MiB"
    assert rows[1]["note"] == "largest difference of a probability: 0.15; PyTorch (transformers): 0 and 0.01"
    assert [row["target"] for row in rows] == ["", "", "", ""]
    assert variant_rows("ONNX float32", made, torch, torch, served)[1]["target"] == "== 0"


def answered(labels: list[str], probabilities: list[list[float]], one: float, many: float) -> dict:
    return {
        "labels": labels,
        "probabilities": probabilities,
        "milliseconds": {"1": one, "32": many},
        "peak_mib": 300.0,
    }


def test_every_question_is_asked_in_large_batches_and_some_one_at_a_time():
    sizes = []

    def classify(texts: list[str]) -> list[tuple[str, list[float]]]:
        sizes.append(len(texts))
        return [(text.upper(), [1.0]) for text in texts]

    found = measured_answers(classify, [f"q{number}" for number in range(40)], alone=3)

    assert sizes == [32, 32, 8, 1, 1, 1]
    assert list(found["labels"]) == [f"Q{number}" for number in range(40)]
    assert list(found["milliseconds"]) == ["1", "32"]


def test_measured_process_tells_its_result_and_memory():
    took = measure([sys.executable, "-c", "b = bytes(10 << 20); print('noise'); print('{\"rows\": 3}')"])

    assert took.result() == {"rows": 3}
    assert took.peak_mib > 10


def test_failed_process_tells_its_exit_code_and_last_words():
    with pytest.raises(BenchmarkError, match=r"exit code 1 of .*(\n.*)*no such peer"):
        measure([sys.executable, "-c", "raise SystemExit('no such peer')"])


def test_first_line_ends_the_process():
    script = "import time; print('Gen: started', flush=True); time.sleep(600)"

    assert first_line([sys.executable, "-c", script], r"^\w+: started$") > 0
    with pytest.raises(BenchmarkError, match="refused"):
        first_line([sys.executable, "-c", "print('refused')"], r"started")


def test_examples_are_encoded_as_tensorflow_encodes_them():
    assert encode_ids({"a": [1]}) == b"\n\x0c\n\n\n\x01a\x12\x05\x1a\x03\n\x01\x01"


def test_digest_of_ids_depends_on_rows_and_not_on_their_order(tmp_path):
    rows = [{"ids": [101, 102], "label": [0]}, {"ids": [101], "label": [1]}]
    one, other = (written(tmp_path / name, content) for name, content in (("a", rows), ("b", rows[::-1])))
    changed = written(tmp_path / "c", [rows[0], {"ids": [101], "label": [0]}])

    assert digest_of_ids(one, ("ids", "label")) == digest_of_ids(other, ("ids", "label"))
    assert digest_of_ids(one, ("ids", "label")) != digest_of_ids(changed, ("ids", "label"))
    assert digest_of_ids(one, ("ids", "label"))[0] == 2


def written(folder: Path, rows: list[dict]) -> list[Path]:
    folder.mkdir()
    writer = ShardWriter(folder, "train", 1 << 20)
    for row in rows:
        writer.write(encode_ids(row))
    return writer.close()


def test_texts_are_read_from_imported_shards(tmp_path):
    writer = ShardWriter(tmp_path, "test", 1 << 20)
    writer.write(encode_example({"text": "naïve".encode(), "label": b"x"}))

    assert list(read_texts(writer.close(), ("text", "label"))) == [("naïve", "x")]
