"""A model's inputs are read from its signature."""

from __future__ import annotations

from components.exports.served import served_inputs
from components.exports.trial import read_trial
from models.tasks.task import TASKS
from tests.support.tiny_export import TinyExport


def test_inputs_are_those_of_the_signature_in_the_order_in_which_they_are_shown(
    one_text: TinyExport, text_pairs: TinyExport
) -> None:
    assert served_inputs(one_text.saved_model) == ("input_ids", "attention_mask")
    assert served_inputs(text_pairs.saved_model) == ("input_ids", "attention_mask", "token_type_ids")


def test_rows_of_a_trial_have_the_inputs_of_the_model(tmp_path, text_pairs) -> None:
    import tensorflow as tf

    values = {"input_ids": [2, 7, 3, 8, 3], "token_type_ids": [0, 0, 0, 1, 1], "label_id": [1]}
    feature = {k: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for k, v in values.items()}
    with tf.io.TFRecordWriter(str(tmp_path / "rows")) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    [(tokens, labels)] = read_trial(
        tmp_path, served_inputs(text_pairs.saved_model), 10, TASKS["single_label"]
    ).batches
    assert {name: ids.tolist() for name, ids in tokens.items()} == {
        "input_ids": [[2, 7, 3, 8, 3]],
        "attention_mask": [[1, 1, 1, 1, 1]],
        "token_type_ids": [[0, 0, 0, 1, 1]],
    }
    assert labels.tolist() == [1]
