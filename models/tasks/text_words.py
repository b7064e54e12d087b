"""The words of raw texts, which answers about words need beside the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class TextWords(NamedTuple):
    """The words of a batch of texts.

    `texts`, `starts`, `ends`: as `models.tokenizers.words.find_words` gives them, ragged [batch, None]. `index`: the word of each
    token, int32 [batch, tokens], -1 for special tokens and padding. `labels`: the label list. `width`: most words of an
    answer.
    """

    texts: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor
    index: tf.Tensor
    labels: Sequence[str]
    width: int
