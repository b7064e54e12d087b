"""What RoBERTa has and BERT lacks: positions that start at 2, and checkpoints with a pooler that nothing reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.encoders.families import forward_of
from models.encoders.reference import forward as reference
from tests.support.tiny_encoders import write_encoder

LABELS = ["animal", "number", "place"]


def test_padding_token_in_the_text_takes_no_position(tmp_path: Path) -> None:
    model = load_classifier(write_encoder(tmp_path, "roberta"), LABELS)
    ids = tf.constant([[0, 9, 1, 8, 2, 1], [0, 1, 1, 9, 8, 2]], tf.int32)
    batch = {"input_ids": ids, "attention_mask": tf.constant([[1, 1, 1, 1, 1, 0], [1] * 6], tf.int32)}
    ours = forward_of(model).classify(model, batch)
    np.testing.assert_allclose(ours, reference.classify(model, batch), atol=2e-6)


def test_longest_row_has_two_tokens_less_than_there_are_positions(tmp_path: Path) -> None:
    encoder = read_encoder(write_encoder(tmp_path, "roberta", max_position_embeddings=514))
    assert encoder.facts.sizes(encoder.config).positions == 512


def test_pooler_and_language_model_of_a_pretrained_checkpoint_are_left_out(tmp_path: Path) -> None:
    path = write_encoder(tmp_path, "roberta") / "model.safetensors"
    before = load_classifier(tmp_path, LABELS)
    tensors = {f"roberta.{name}": values for name, values in load_file(path).items()}
    extra = {"roberta.pooler.dense.weight": (32, 32), "roberta.pooler.dense.bias": (32,)}
    extra |= {"lm_head.dense.weight": (32, 32), "lm_head.bias": (98,)}
    tensors |= {name: np.ones(shape, np.float32) for name, shape in extra.items()}
    tensors["roberta.embeddings.position_ids"] = np.arange(64)[None]
    save_file(tensors, path, metadata={"format": "pt"})
    for one, other in zip(load_classifier(tmp_path, LABELS).variables, before.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
