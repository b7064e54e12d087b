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

from models.features import INPUT_IDS, TOKEN_TYPE_IDS
from models.tokenizers.family import family_of
from models.tokenizers.hugging_face import shared_tokenizer, verified_spec
from models.tokenizers.windows import encode_rows


class Token(NamedTuple):
    """A token's id and its type."""

    id: int
    type: int


class Row(NamedTuple):
    """Token ids with special tokens, cut at the maximum length and not padded, and the type of each.

    With windows, those of all windows of the text, one after the other.
    """

    ids: list[int]
    types: list[int]

    @property
    def tokens(self) -> list[Token]:
        return list(map(Token, *self))


class Difference(NamedTuple):
    """The first place, from 0, at which two tokenizations of a row differ; None: the row has ended there."""

    place: int
    graph: Token | None
    transformers: Token | None


Columns: TypeAlias = Sequence[Sequence[bytes]]  # one text a row, or two for pairs; in UTF-8
Tokenizer: TypeAlias = Callable[[Columns], list[Row]]


def graph_tokenizer(folder: Path, columns: int, max_length: int, stride: int | None = None) -> Tokenizer:
    """The tokenization of `preprocessing_fn`, as a graph that is traced once.

    Args:
        folder: of the checkpoint.
        columns: 1, or 2 for pairs.
        max_length: maximum tokens of a row or a window, special tokens included.
        stride: tokens that windows share; None: rows are cut.

    Raises:
        CheckpointError: the tokenizer files cannot be reproduced, or transformers reads them differently.
        PipelineError: when it is called: `max_length` has no room for the special tokens.
    """
    spec, graph = verified_spec(folder), family_of(folder).load_graph()

    # AutoGraph would wrap a PipelineError in lines about where it was raised.
    @tf.function(input_signature=[[tf.TensorSpec([None], tf.string)] * columns], autograph=False)
    def model_inputs(texts: list[tf.Tensor]) -> dict[str, tf.RaggedTensor]:
        return encode_rows(texts, graph.tokenize, spec, max_length, stride)

    def tokenize(rows: Columns) -> list[Row]:
        made = model_inputs([tf.constant(list(column), tf.string) for column in rows])
        return _rows({name: values.to_list() for name, values in made.items()})

    return tokenize


def transformers_tokenizer(folder: Path, max_length: int | None, stride: int | None = None) -> Tokenizer:
    """The checkpoint's Rust tokenizer, called as in Hugging Face's training scripts.

    Args:
        folder: of the checkpoint.
        max_length: maximum tokens of a row or a window; None: rows are not cut.
        stride: tokens that windows share; None: rows are cut.

    Bytes that are not UTF-8 are replaced by U+FFFD, as in the graph.

    Raises:
        CheckpointError: transformers cannot read the files.
    """
    tokenizer = shared_tokenizer(folder)

    def tokenize(rows: Columns) -> list[Row]:
        texts = [[text.decode(errors="replace") for text in column] for column in rows]
        made = tokenizer(
            *texts,
            truncation=max_length is not None,
            max_length=max_length,
            stride=stride or 0,
            return_overflowing_tokens=stride is not None,
            return_attention_mask=False,
            verbose=False,
        )
        return _rows(made if stride is None else _joined(made, len(rows[0])))

    return tokenize


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
    return [Row(*row) for row in zip(ids, types, strict=True)]


def first_difference(graph: Row, transformers: Row) -> Difference | None:
    """`(Row([1, 5, 2], [0, 0, 0]), Row([1, 2], [0, 0])) -> Difference(1, Token(5, 0), Token(2, 0))`; None if equal."""
    if graph == transformers:
        return None
    tokens = itertools.zip_longest(graph.tokens, transformers.tokens)
    return next(Difference(place, *both) for place, both in enumerate(tokens) if both[0] != both[1])
