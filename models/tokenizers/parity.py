"""Tokenizes rows twice: in the graph, as training and serving do, and by transformers' own tokenizer.

rows = [[b"Who was Galileo ?"]]  # a column: a text of every row
graph_tokenizer(folder, columns=1, max_length=128)(rows)
# [Row(ids=[101, 2040, 2001, 21514, 1029, 102], types=[0, 0, 0, 0, 0, 0])]
transformers_tokenizer(folder, max_length=128)(rows)  # the same, by the Rust tokenizer
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from models.features import INPUT_IDS, NO_WORD, TOKEN_TYPE_IDS, WORD_INDEX
from models.tokenizers.hugging_face import shared_tokenizer, word_tokenizer
from models.tokenizers.rows import row_encoder
from models.tokenizers.word_rules import WordRule, split_words


class Token(NamedTuple):
    """A token's id, its type, and the number of its word, if words are labelled."""

    id: int
    type: int
    word: int | None = None


class Row(NamedTuple):
    """Token ids with special tokens, cut at the maximum length and not padded, and the type and the word of each.

    With windows, those of all windows of the text, one after the other. `words`: -1 for special tokens; None unless words
    are labelled.
    """

    ids: list[int]
    types: list[int]
    words: list[int] | None = None

    @property
    def tokens(self) -> list[Token]:
        words: Sequence[int | None] = [None] * len(self.ids) if self.words is None else self.words
        return list(map(Token, self.ids, self.types, words))


class Difference(NamedTuple):
    """The first place, from 0, at which two tokenizations of a row differ; None: the row has ended there."""

    place: int
    graph: Token | None
    transformers: Token | None


Columns: TypeAlias = Sequence[Sequence[bytes]]  # one text a row, or two for pairs; in UTF-8
Tokenizer: TypeAlias = Callable[[Columns], list[Row]]


def graph_tokenizer(
    folder: Path, columns: int, max_length: int, stride: int | None = None, words: WordRule | None = None
) -> Tokenizer:
    """The tokenization of `preprocessing_fn`, as a graph that is traced once.

    Args:
        folder: of the checkpoint.
        columns: 1, or 2 for pairs.
        max_length: maximum tokens of a row or a window, special tokens included.
        stride: tokens that windows share; None: rows are cut.
        words: what ends a word, if words are labelled.

    Raises:
        CheckpointError: the tokenizer files cannot be reproduced, or transformers reads them differently.
        PipelineError: when it is called: `max_length` has no room for the special tokens.
    """
    encode = row_encoder(folder, max_length, stride, words)

    # AutoGraph would wrap a PipelineError in lines about where it was raised.
    @tf.function(input_signature=[[tf.TensorSpec([None], tf.string)] * columns], autograph=False)
    def model_inputs(texts: list[tf.Tensor]) -> dict[str, tf.RaggedTensor]:
        return encode(texts)

    def tokenize(rows: Columns) -> list[Row]:
        made = model_inputs([tf.constant(list(column), tf.string) for column in rows])
        return _rows({name: values.to_list() for name, values in made.items()})

    return tokenize


def transformers_tokenizer(
    folder: Path, max_length: int | None, stride: int | None = None, words: WordRule | None = None
) -> Tokenizer:
    """The checkpoint's Rust tokenizer, called as in Hugging Face's training scripts.

    Args:
        folder: of the checkpoint.
        max_length: maximum tokens of a row or a window; None: rows are not cut.
        stride: tokens that windows share; None: rows are cut.
        words: what ends a word, if words are labelled; the tokenizer gets words then.

    Bytes that are not UTF-8 are replaced by U+FFFD, as in the graph.

    Raises:
        CheckpointError: transformers cannot read the files.
    """
    tokenizer = shared_tokenizer(folder) if words is None else word_tokenizer(folder)

    def tokenize(rows: Columns) -> list[Row]:
        texts: list[list[Any]] = [[text.decode(errors="replace") for text in column] for column in rows]
        if words is not None:
            texts = [[[word.text for word in split_words(text, words)] for text in texts[0]]]
        made = tokenizer(
            *texts,
            is_split_into_words=words is not None,
            truncation=max_length is not None,
            max_length=max_length,
            stride=stride or 0,
            return_overflowing_tokens=stride is not None,
            return_attention_mask=False,
            verbose=False,
        )
        if words is not None:
            made[WORD_INDEX] = [_word_index(made.word_ids(row)) for row in range(len(texts[0]))]
        return _rows(made if stride is None else _joined(made, len(rows[0])))

    return tokenize


def _word_index(words: Sequence[int | None]) -> list[int]:
    return [NO_WORD if word is None else word for word in words]


def _joined(windows: Mapping[str, Any], rows: int) -> dict[str, list[list[int]]]:
    """Joins the windows of each row: transformers gives each as a row, and the number of its text."""
    names = [name for name in (INPUT_IDS, TOKEN_TYPE_IDS) if name in windows]
    joined: dict[str, list[list[int]]] = {name: [[] for _ in range(rows)] for name in names}
    for name in names:
        for row, values in zip(windows["overflow_to_sample_mapping"], windows[name], strict=True):
            joined[name][row] += values
    return joined


def _rows(model_inputs: Mapping[str, Any]) -> list[Row]:
    """Without token types all types are 0, which is what models assume then."""
    ids = model_inputs[INPUT_IDS]
    types = model_inputs.get(TOKEN_TYPE_IDS) or [[0] * len(row) for row in ids]
    words = model_inputs.get(WORD_INDEX) or [None] * len(ids)
    return [Row(*row) for row in zip(ids, types, words, strict=True)]


def first_difference(graph: Row, transformers: Row) -> Difference | None:
    """`(Row([1, 5, 2], [0, 0, 0]), Row([1, 2], [0, 0])) -> Difference(1, Token(5, 0), Token(2, 0))`; None if equal."""
    if graph == transformers:
        return None
    tokens = itertools.zip_longest(graph.tokens, transformers.tokens)
    return next(Difference(place, *both) for place, both in enumerate(tokens) if both[0] != both[1])
