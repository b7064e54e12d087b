"""Special tokens, cuts and token types around token ids that a toy makes: a word's id is its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import tensorflow as tf

from models.errors import PipelineError
from models.tokenizers.family import Template
from models.tokenizers.packing import encode


@dataclass(frozen=True)
class Templates:
    """The part of a spec that packing reads."""

    single: Template = ((101, 0), ("A", 0), (102, 0))
    pair: Template = ((101, 0), ("A", 0), (102, 0), ("B", 1), (102, 1))
    token_types: bool = True


def tokenize(texts: tf.Tensor, spec: Any) -> tf.RaggedTensor:
    words = tf.strings.split(texts)
    return words.with_flat_values(tf.cast(tf.strings.length(words.flat_values), tf.int64))


def packed(*texts: list[str], spec: Any = Templates(), max_length: int = 16) -> dict[str, list[list[int]]]:
    columns = [tf.constant(column) for column in texts]
    return {name: rows.to_list() for name, rows in encode(columns, tokenize, spec, max_length).items()}


def test_one_text_has_no_token_types_where_all_are_0() -> None:
    assert packed(["a bb", ""]) == {"input_ids": [[101, 1, 2, 102], [101, 102]]}


def test_one_text_has_the_token_types_of_its_template() -> None:
    spec = Templates(single=((5, 2), ("A", 0), (6, 0)))
    assert packed(["a bb", ""], spec=spec) == {
        "input_ids": [[5, 1, 2, 6], [5, 6]],
        "token_type_ids": [[2, 0, 0, 0], [2, 0]],
    }


def test_special_tokens_may_follow_the_text_alone() -> None:
    spec = Templates(single=(("A", 0), (4, 0), (3, 2)))
    assert packed(["a bb ccc dddd"], spec=spec, max_length=5) == {
        "input_ids": [[1, 2, 3, 4, 3]],
        "token_type_ids": [[0, 0, 0, 0, 2]],
    }


def test_texts_without_special_tokens_are_rows_of_their_own() -> None:
    spec = Templates(single=(("A", 0),), pair=(("A", 0), ("B", 1)), token_types=False)
    assert packed(["a bb", ""], spec=spec) == {"input_ids": [[1, 2], []]}
    assert packed(["a bb"], ["ccc"], spec=spec) == {"input_ids": [[1, 2, 3]]}


def test_special_tokens_are_never_cut() -> None:
    spec = Templates(pair=((0, 0), ("A", 0), (2, 0), (2, 0), ("B", 0), (2, 0)))
    assert packed(["a"], ["bb"], spec=spec, max_length=4) == {"input_ids": [[0, 2, 2, 2]]}
    with pytest.raises(PipelineError, match="a maximum of 3 tokens has no room for 4 special tokens"):
        packed(["a"], ["bb"], spec=spec, max_length=3)


@pytest.mark.parametrize(
    ("max_length", "ids"), [(6, [101, 1, 2, 3, 4, 102]), (5, [101, 1, 2, 3, 102]), (2, [101, 102])]
)
def test_the_end_of_a_text_is_cut(max_length: int, ids: list[int]) -> None:
    assert packed(["a bb ccc dddd"], max_length=max_length) == {"input_ids": [ids]}


def test_the_longer_text_of_a_pair_is_cut_first() -> None:
    assert packed(["a bb"], ["ccc dddd eeeee"], max_length=7) == {
        "input_ids": [[101, 1, 2, 102, 3, 4, 102]],
        "token_type_ids": [[0, 0, 0, 0, 1, 1, 1]],
    }


def test_pairs_of_a_tokenizer_without_token_types_are_packed_without_them() -> None:
    spec = Templates(pair=((0, 0), ("A", 0), (2, 0), (2, 0), ("B", 0), (2, 0)), token_types=False)
    assert packed(["a bb"], ["ccc"], spec=spec) == {"input_ids": [[0, 1, 2, 2, 2, 3, 2]]}


def test_every_piece_of_a_template_has_the_token_type_that_it_says() -> None:
    spec = Templates(pair=(("B", 1), (4, 0), ("A", 0), (4, 0), (3, 2)))
    assert packed(["a", "a bb"], ["ccc", ""], spec=spec) == {
        "input_ids": [[3, 4, 1, 4, 3], [4, 1, 2, 4, 3]],
        "token_type_ids": [[1, 0, 0, 0, 2], [0, 0, 0, 0, 2]],
    }
