"""What MPNet has and BERT lacks: a bias by distance, and a pooler in the class that its head does not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.checkpoints.classifier import load_classifier
from models.encoders.families import forward_of
from models.encoders.mpnet.forward import distance_bias
from tests.support.tiny_encoders import token_batch, write_encoder

LABELS = ["animal", "number", "place"]


@pytest.mark.parametrize("buckets", [8, 32, 33])
def test_bias_by_distance_is_that_of_the_class_for_every_distance(tmp_path: Path, buckets: int) -> None:
    values = {"max_position_embeddings": 514, "relative_attention_num_buckets": buckets}
    model = load_classifier(write_encoder(tmp_path, "mpnet", **values), LABELS)
    theirs = model.mpnet.encoder.compute_position_bias(tf.zeros([1, 512, 1]))
    np.testing.assert_array_equal(distance_bias(model, tf.constant(512)), theirs)


def test_pooler_is_kept_and_not_trained(tmp_path: Path) -> None:
    model = load_classifier(write_encoder(tmp_path, "mpnet"), LABELS)
    kept = {v.name.partition("/")[2] for v in model.variables} - {
        v.name.partition("/")[2] for v in model.trainable_variables
    }
    assert kept == {"mpnet/pooler/dense/kernel:0", "mpnet/pooler/dense/bias:0"}


def test_dropout_before_the_head_leaves_that_of_the_encoder_alone(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, "mpnet", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    batch, seed = token_batch(("input_ids", "attention_mask")), tf.constant([5, 0], tf.int64)
    plain, dropping = load_classifier(folder, LABELS), load_classifier(folder, LABELS, dropout=0.4)
    assert dropping.config.hidden_dropout_prob == 0.0
    logits = [forward_of(model).classify(model, batch, seed).numpy() for model in (plain, dropping)]
    np.testing.assert_array_equal(logits[0], forward_of(plain).classify(plain, batch))
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
