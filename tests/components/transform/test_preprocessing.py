"""preprocessing_fn through TensorFlow Transform, in process, and its saved graph elsewhere."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from transformers import AutoTokenizer

from components.transform.preprocessing import preprocessing_fn
from models.errors import PipelineError
from models.tokenizers.family import FAMILIES
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.tokenizers import MakeTokenizer
from tests.support.word_family import WORDS_FAMILY
from tests.support.word_family.files import write_word_tokenizer

WORDS = ["who", "was", "galileo", "?"]  # ids 5, 6, 7, 8
TEXT = tf.io.VarLenFeature(tf.string)


def custom_config(folder: Path, labels: list[str], max_length: int = 8, **data: str) -> dict[str, Any]:
    labels_path = folder / "labels.txt"
    labels_path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return {
        "data": {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt", **data},
        "transform": {"max_length": max_length},
        "checkpoint_dir": str(folder),
        "labels_path": str(labels_path),
        "task": "single_label",
        "code_fingerprint": "of this test",
    }


def transform(
    rows: list[dict[str, Any]], raw_spec: dict[str, Any], config: dict[str, Any], out: Path
) -> list[dict[str, np.ndarray]]:
    """Analyzes and transforms the rows, and writes the transform graph to `out`."""
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    results: list[dict[str, np.ndarray]] = []
    with tft_beam.Context(temp_dir=str(out.parent / "tmp"), force_tf_compat_v1=False):
        analyze = tft_beam.AnalyzeAndTransformDataset(lambda inputs: preprocessing_fn(inputs, config))
        (results, _), transform_fn = (rows, metadata) | analyze
        transform_fn | tft_beam.WriteTransformFn(str(out))
    return results


def test_rows_become_ids_of_their_true_length_and_labels(
    make_tokenizer: MakeTokenizer, tmp_path: Path
) -> None:
    config = custom_config(make_tokenizer(WORDS), ["LOC", "HUM"], max_length=5)
    rows = [
        {"text": ["Who was Galileo ?"], "label": "HUM"},
        {"text": [], "label": "LOC"},
        {"text": ["was"], "label": "NUM"},
    ]
    raw_spec = {"text": TEXT, "label": tf.io.FixedLenFeature([], tf.string)}
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert [row["input_ids"].tolist() for row in results] == [[2, 5, 6, 7, 3], [2, 3], [2, 6, 3]]
    assert [row["label_id"] for row in results] == [1, 0, -1]
    assert tft.TFTransformOutput(str(tmp_path / "graph")).transformed_feature_spec() == {
        "input_ids": tf.io.VarLenFeature(tf.int64),
        "label_id": tf.io.FixedLenFeature([], tf.int64),
    }


def test_saved_graph_works_elsewhere_without_files_and_label(
    make_tokenizer: MakeTokenizer, tmp_path: Path
) -> None:
    folder = make_tokenizer(WORDS)
    raw_spec = {"text": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.string)}
    rows = [{"text": "who", "label": "HUM"}]
    transform(rows, raw_spec, custom_config(folder, ["LOC", "HUM"]), tmp_path / "graph")
    shutil.rmtree(folder)
    shutil.move(tmp_path / "graph", tmp_path / "moved")
    layer = tft.TFTransformOutput(str(tmp_path / "moved")).transform_features_layer()

    served = layer({"text": tf.constant(["Galileo [SEP]", "who?"])})
    assert tf.sparse.to_dense(served["input_ids"]).numpy().tolist() == [[2, 7, 3, 3], [2, 5, 8, 3]]
    assert "label_id" not in served
    evaluated = layer({"text": tf.constant(["who"]), "label": tf.constant(["HUM"])})
    assert evaluated["label_id"].numpy().tolist() == [1]


def test_integer_labels_are_looked_up_as_decimals(make_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    config = custom_config(make_tokenizer(WORDS), ["-1", "0", "10"], label_column="stars")
    rows = [
        {"text": ["who"], "stars": [10]},
        {"text": ["who"], "stars": [-1]},
        {"text": ["who"], "stars": []},
    ]
    raw_spec = {"text": TEXT, "stars": tf.io.VarLenFeature(tf.int64)}
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert [row["label_id"] for row in results] == [2, 0, -1]


def test_pairs_have_token_types_of_the_same_length(make_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    config = custom_config(make_tokenizer(WORDS), ["no", "yes"], text="question", text_pair="answer")
    rows = [{"question": ["Who was Galileo?"], "answer": ["who was who"], "label": "yes"}]
    raw_spec = {"question": TEXT, "answer": TEXT, "label": tf.io.FixedLenFeature([], tf.string)}
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert results[0]["input_ids"].tolist() == [2, 5, 6, 7, 3, 5, 6, 3]
    assert results[0]["token_type_ids"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_graph_with_byte_level_bpe_works_elsewhere_without_files(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    folder.mkdir()
    write_byte_bpe_tokenizer(folder, size=400)
    config = custom_config(folder, ["no", "yes"], max_length=12, text="question", text_pair="answer")
    rows = [{"question": ["The cat's <mask>"], "answer": ["naïve 12"], "label": "yes"}]
    raw_spec = {"question": TEXT, "answer": TEXT, "label": tf.io.FixedLenFeature([], tf.string)}
    options = {"truncation": True, "max_length": 12}
    wanted = AutoTokenizer.from_pretrained(folder)("The cat's <mask>", "naïve 12", **options)["input_ids"]
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert [row["input_ids"].tolist() for row in results] == [wanted]
    assert sorted(results[0]) == ["input_ids", "label_id"]
    shutil.rmtree(folder)
    shutil.move(tmp_path / "graph", tmp_path / "moved")
    layer = tft.TFTransformOutput(str(tmp_path / "moved")).transform_features_layer()
    columns = {name: tf.constant([rows[0][name]]) for name in ("question", "answer")}
    served = layer({name: tf.sparse.from_dense(column) for name, column in columns.items()})
    assert tf.sparse.to_dense(served["input_ids"]).numpy().tolist() == [wanted]


def test_tokenizer_family_that_is_one_folder_and_one_row_makes_the_model_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CONTRIBUTING.md says to add one; its pairs have no token types."""
    monkeypatch.setitem(FAMILIES, "words", WORDS_FAMILY)
    config = custom_config(
        write_word_tokenizer(tmp_path, WORDS), ["no", "yes"], text="question", text_pair="answer"
    )
    rows = [{"question": ["who was galileo ?"], "answer": ["Galileo?"], "label": "yes"}]
    raw_spec = {"question": TEXT, "answer": TEXT, "label": tf.io.FixedLenFeature([], tf.string)}
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert results[0]["input_ids"].tolist() == [0, 4, 5, 6, 2, 2, 3, 2]
    assert tft.TFTransformOutput(str(tmp_path / "graph")).transformed_feature_spec() == {
        "input_ids": tf.io.VarLenFeature(tf.int64),
        "label_id": tf.io.FixedLenFeature([], tf.int64),
    }


def test_missing_text_column_is_named(make_tokenizer: MakeTokenizer) -> None:
    config = custom_config(make_tokenizer(WORDS), ["no"], text="body")
    with pytest.raises(PipelineError) as error:
        preprocessing_fn({"text": tf.constant(["who"])}, config)
    assert str(error.value) == (
        "the rows have no text column 'body', only ['text']; correct data.text or data.text_pair"
    )


def test_texts_are_cleaned_by_the_users_function_which_the_saved_graph_repeats_without_it(
    make_tokenizer: MakeTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = custom_config(make_tokenizer(WORDS), ["LOC", "HUM"])
    config["transform"]["text"] = "own_parts.cleaning.without_markup"
    raw_spec = {"text": TEXT, "label": tf.io.FixedLenFeature([], tf.string)}
    rows = [{"text": ["<b>Who</b>&nbsp;was <i>Galileo</i>?"], "label": "HUM"}, {"text": [], "label": "LOC"}]
    results = transform(rows, raw_spec, config, tmp_path / "graph")
    assert [row["input_ids"].tolist() for row in results] == [[2, 5, 6, 7, 8, 3], [2, 3]]

    monkeypatch.setitem(sys.modules, "own_parts", None)  # as where there is no such package
    layer = tft.TFTransformOutput(str(tmp_path / "graph")).transform_features_layer()
    served = layer({"text": tf.sparse.from_dense([["<p>who was"], ["Galileo"]])})
    assert tf.sparse.to_dense(served["input_ids"]).numpy().tolist() == [[2, 5, 6, 3], [2, 7, 3, 0]]
