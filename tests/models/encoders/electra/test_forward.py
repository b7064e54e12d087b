"""What ELECTRA has and BERT lacks: embeddings of another width, and a class that misspells a key."""

from __future__ import annotations

from pathlib import Path

from models.checkpoints.classifier import load_classifier
from models.encoders.families import forward_of
from tests.support.tiny_encoders import write_encoder

LABELS = ["animal", "number", "place"]


def test_class_takes_the_dropout_before_the_head_that_config_json_names(tmp_path: Path) -> None:
    model = load_classifier(write_encoder(tmp_path, "electra", classifier_dropout=0.5), LABELS)
    assert model.classifier.dropout.rate == 0.5
    assert model.config.classifier_dropout == 0.5


def test_embeddings_have_a_projection_where_their_width_differs(tmp_path: Path) -> None:
    narrow = load_classifier(write_encoder(tmp_path / "narrow", "electra"), LABELS)
    wide = load_classifier(write_encoder(tmp_path / "wide", "electra", embedding_size=32), LABELS)
    names = [len(forward_of(model).embeddings(model).variables) for model in (narrow, wide)]
    assert names == [7, 5]
