"""The tokenization of raw texts in the graph, as a config wants it: whole, in windows, or word by word.

encode = row_encoder(folder, max_length=128)
encode([tf.constant(["Who?"])])  # {"input_ids": [[101, 2040, 1029, 102]]}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import tensorflow as tf

from models.tokenizers.family import family_of
from models.tokenizers.hugging_face import verified_spec, verified_word_spec
from models.tokenizers.windows import encode_rows
from models.tokenizers.word_rules import WordRule
from models.tokenizers.words import encode_words, find_words

Encode: TypeAlias = Callable[[Sequence[tf.Tensor]], dict[str, tf.RaggedTensor]]


def row_encoder(
    folder: Path, max_length: int, stride: int | None = None, words: WordRule | None = None
) -> Encode:
    """A function from texts, string [batch] each (two for pairs), to model inputs, int64 [batch, None] each.

    Args:
        folder: of the checkpoint.
        max_length: maximum tokens of a row or a window, special tokens included.
        stride: tokens that windows share; None: rows are cut.
        words: what ends a word, if words are labelled; the inputs then have WORD_INDEX, and rows are cut.

    Raises:
        CheckpointError: the tokenizer files cannot be reproduced, or transformers reads them differently.
        PipelineError: when it is called: `max_length` has no room for the special tokens.
    """
    tokenize = family_of(folder).load_graph().tokenize
    if words is not None:
        spec_of_words = verified_word_spec(folder)
        return lambda texts: encode_words(
            find_words(texts[0], words).texts, tokenize, spec_of_words, max_length
        )
    spec = verified_spec(folder)
    return lambda texts: encode_rows(texts, tokenize, spec, max_length, stride)
