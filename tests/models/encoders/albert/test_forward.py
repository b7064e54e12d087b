"""What ALBERT has and BERT lacks: layers that share their weights."""

from __future__ import annotations

from pathlib import Path

from models.checkpoints.classifier import load_classifier
from models.checkpoints.config import read_encoder
from models.encoders.families import forward_of
from tests.support.tiny_encoders import write_encoder

LABELS = ["animal", "number", "place"]


def test_layers_that_share_weights_are_one_layer_to_freeze(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, "albert", num_hidden_layers=12, num_hidden_groups=1)
    encoder, model = read_encoder(folder), load_classifier(folder, LABELS)
    assert encoder.facts.sizes(encoder.config).layers == 1
    [shared] = forward_of(model).layers(model)
    kernels = [v.name.split("/")[-2] for v in shared.trainable_variables if v.name.endswith("/kernel:0")]
    assert kernels == ["query", "key", "value", "dense", "ffn", "ffn_output"]
