"""Windows of long texts: where they begin and end, and that they are those of the Rust tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from models.errors import PipelineError
from models.tokenizers.parity import graph_tokenizer, transformers_tokenizer
from models.tokenizers.windows import encode_windows, windows_of
from tests.models.tokenizers.test_packing import Templates, tokenize
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.sentencepiece import write_sentencepiece_tokenizer
from tests.support.tokenizers import write_bert_tokenizer
from tests.support.unicode_texts import generated_texts, vocabulary

LONG = "Who was Galileo Galilei, and where did he first see the moons of Jupiter? " * 30


def cut(rows: list[list[int]], size: int, stride: int) -> tuple[list[list[int]], list[int]]:
    windows, counts = windows_of(tf.ragged.constant(rows, tf.int64, ragged_rank=1), size, stride)
    return windows.to_list(), counts.numpy().tolist()


def test_windows_overlap_by_the_stride_and_the_last_one_ends_with_the_text() -> None:
    assert cut([[1, 2, 3, 4, 5], [6]], 3, 1) == ([[1, 2, 3], [3, 4, 5], [6]], [2, 1])
    assert cut([[1, 2, 3, 4, 5, 6]], 3, 1) == ([[1, 2, 3], [3, 4, 5], [5, 6]], [3])
    assert cut([[1, 2, 3, 4]], 2, 0) == ([[1, 2], [3, 4]], [2])


def test_a_text_that_fits_and_an_empty_one_have_one_window() -> None:
    assert cut([[1, 2, 3], [], [4]], 3, 2) == ([[1, 2, 3], [], [4]], [1, 1, 1])


def test_special_tokens_and_types_are_those_of_each_window() -> None:
    spec = Templates(single=((5, 2), ("A", 0), (6, 0)))
    windows = encode_windows([tf.constant(["a bb ccc", ""])], tokenize, spec, 4, 1)
    assert {name: rows.to_list() for name, rows in windows.items()} == {
        "input_ids": [[5, 1, 2, 6, 5, 2, 3, 6], [5, 6]],
        "token_type_ids": [[2, 0, 0, 0, 2, 0, 0, 0], [2, 0]],
        "window_lengths": [[4, 4], [2]],
    }


def test_stride_without_room_for_new_tokens_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"windows of 4 tokens, 2 of them special, cannot overlap by 2"):
        encode_windows([tf.constant(["a"])], tokenize, Templates(), 4, 2)


KINDS: dict[str, Callable[[Path], Path]] = {
    "wordpiece": lambda folder: write_bert_tokenizer(folder, vocabulary()),
    "byte_bpe": write_byte_bpe_tokenizer,
    "sentencepiece": lambda folder: write_sentencepiece_tokenizer(folder, "XLMRobertaTokenizer"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_those_of_the_rust_tokenizer(kind: str, tmp_path: Path) -> None:
    folder = KINDS[kind](tmp_path)
    rows = [[LONG.encode(), b"", b"a b", *(text.encode() for text in generated_texts(200, seed=5))]]
    for length, stride in ((16, 0), (16, 5), (9, 6)):
        windows = graph_tokenizer(folder, 1, length, stride)(rows)
        assert windows == transformers_tokenizer(folder, length, stride)(rows)
        assert len(windows[0].ids) > 10 * length


def test_a_text_that_fits_has_the_tokens_that_it_has_without_windows(tmp_path: Path) -> None:
    folder = KINDS["wordpiece"](tmp_path)
    rows = [[b"a b", b"", b"a"]]
    assert graph_tokenizer(folder, 1, 5, 1)(rows) == graph_tokenizer(folder, 1, 5)(rows)
