"""A tokenizer family with a fault for the tokenization gate to find: its graph reads every 7 as an 8."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from models.tokenizers.family import FAMILIES
from models.tokenizers.wordpiece import graph
from models.tokenizers.wordpiece.spec import WordpieceSpec

FAULTY_FAMILY = dataclasses.replace(FAMILIES["wordpiece"], graph=__name__)


def tokenize(texts: tf.Tensor, spec: WordpieceSpec) -> tf.RaggedTensor:
    """WordPiece but for the fault: string [batch] -> ragged int64 [batch, None]."""
    return graph.tokenize(tf.strings.regex_replace(texts, "7", "8"), spec)
