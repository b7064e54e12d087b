"""Words of raw texts, and which token is of which word: as the Rust tokenizer does with words that are given to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from components.project import PROJECT_DIR
from models.features import INPUT_IDS, TOKEN_TYPE_IDS, WORD_INDEX
from models.tokenizers.family import family_of, word_spec
from models.tokenizers.hugging_face import verified_word_spec
from models.tokenizers.word_rules import WORD_RULES, Word, WordRule, split_words
from models.tokenizers.words import NO_WORD, encode_words, find_words
from tests.components.transform.test_real_datasets import ROWS, TOKENIZERS, real_texts
from tests.models.tokenizers.test_contract import CODE_POINTS, usual  # noqa: F401  # a fixture
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.full import FULL, cases
from tests.support.tokenizers import write_bert_tokenizer
from tests.support.unicode_texts import generated_texts

UNCUT = 100_000


def in_graph(texts: Sequence[str | bytes], rule: WordRule) -> list[list[Word]]:
    found = find_words(tf.constant(list(texts), tf.string), rule)
    rows = zip(*(column.to_list() for column in found), strict=True)
    return [[Word(word.decode(), *span) for word, *span in zip(*row, strict=True)] for row in rows]


def encoded(folder: Path, texts: Sequence[str], rule: WordRule, max_length: int) -> dict[str, Any]:
    graph, words = family_of(folder).load_graph(), find_words(tf.constant(list(texts), tf.string), rule).texts
    made = encode_words(words, graph.tokenize, word_spec(folder), max_length)
    return {name: values.to_list() for name, values in made.items()}


def hugging_face(folder: Path, texts: Sequence[str], rule: WordRule, max_length: int) -> dict[str, Any]:
    """Ids, types and words of the fast tokenizer, given the words of its own pre-tokenizer."""
    words = [[word.text for word in split_words(text, rule)] for text in texts]
    tokenizer = AutoTokenizer.from_pretrained(folder, **family_of(folder).load_spec_module().WORD_OPTIONS)
    made = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length)
    of_tokens = (made.word_ids(row) for row in range(len(texts)))
    index = [[NO_WORD if word is None else word for word in row] for row in of_tokens]
    types = {TOKEN_TYPE_IDS: made[TOKEN_TYPE_IDS]} if TOKEN_TYPE_IDS in made else {}
    return {INPUT_IDS: made[INPUT_IDS], WORD_INDEX: index, **types}


def differing(folder: Path, texts: Sequence[str], rule: WordRule, max_length: int = UNCUT) -> list[Any]:
    ours, theirs = (function(folder, texts, rule, max_length) for function in (encoded, hugging_face))
    return [
        (name, text, mine, other)
        for name in (INPUT_IDS, WORD_INDEX)
        for text, mine, other in zip(texts, ours[name], theirs[name], strict=True)
        if mine != other
    ]


# --- words ------------------------------------------------------------------------------------------


def test_words_of_both_rules_have_their_places_in_code_points() -> None:
    text = "👍🏽 Dr. Müller's\u3000naïve—中文\n"
    assert in_graph([text], "whitespace") == [
        [
            Word("👍🏽", 0, 2),
            Word("Dr.", 3, 6),
            Word("Müller's", 7, 15),
            Word("naïve—中文", 16, 24),
        ]
    ]
    assert [(word.text, word.start) for word in in_graph([text], "whitespace_punctuation")[0]] == [
        ("👍🏽", 0),
        ("Dr", 3),
        (".", 5),
        ("Müller", 7),
        ("'", 13),
        ("s", 14),
        ("naïve", 16),
        ("—", 21),
        ("中文", 22),
    ]


@pytest.mark.parametrize("rule", WORD_RULES)
def test_words_around_every_code_point_are_those_of_the_rust_tokenizer(rule: WordRule) -> None:
    texts = ["".join(f"a{chr(c)}" for c in CODE_POINTS[i : i + 256]) for i in range(0, len(CODE_POINTS), 256)]
    assert in_graph(texts, rule) == [split_words(text, rule) for text in texts]


@pytest.mark.parametrize("rule", WORD_RULES)
def test_words_of_generated_texts_are_those_of_the_rust_tokenizer(rule: WordRule) -> None:
    texts = ["", " ", "\ufeffa", "\x00", *generated_texts(5000, seed=3)]
    found = in_graph(texts, rule)
    assert found == [split_words(text, rule) for text in texts]
    assert all(
        text[word.start : word.end] == word.text
        for text, row in zip(texts, found, strict=True)
        for word in row
    )


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=40), max_size=30), rule=st.sampled_from(WORD_RULES))
def test_words_of_any_texts_are_those_of_the_rust_tokenizer(texts: list[str], rule: WordRule) -> None:
    assert in_graph(texts, rule) == [split_words(text, rule) for text in texts]


def test_bytes_that_are_not_utf8_count_as_one_replacement_character_each() -> None:
    assert in_graph([b"a\xff\xfe b"], "whitespace") == [[Word("a\ufffd\ufffd", 0, 3), Word("b", 4, 5)]]


def test_a_batch_without_rows_has_no_words() -> None:
    assert in_graph([], "whitespace") == []


# --- tokens of words --------------------------------------------------------------------------------


def test_wordpiece_has_these_ids_and_words(tmp_path: Path) -> None:
    folder = write_bert_tokenizer(tmp_path, ["un", "##believ", "##able", "cat", "##s", "."])
    assert encoded(folder, ["Unbelievable cats ."], "whitespace", 8) == {
        INPUT_IDS: [[2, 5, 6, 7, 8, 9, 10, 3]],
        WORD_INDEX: [[-1, 0, 0, 0, 1, 1, 2, -1]],
    }
    # The last word has no room.
    assert encoded(folder, ["Unbelievable cats ."], "whitespace", 7)[WORD_INDEX] == [[-1, 0, 0, 0, 1, 1, -1]]
    # A soft hyphen is removed by the tokenizer: the word 1 has no token.
    assert encoded(folder, ["cat \u00ad cat"], "whitespace", 8)[WORD_INDEX] == [[-1, 0, 2, -1]]


@pytest.mark.parametrize("rule", WORD_RULES)
def test_ids_and_words_of_generated_texts_are_those_of_the_fast_tokenizer(
    usual: Path,  # noqa: F811
    rule: WordRule,
) -> None:
    texts = generated_texts(cases(600, 20_000), seed=4)
    assert differing(usual, texts, rule) == []
    assert differing(usual, texts, rule, max_length=12) == []


@pytest.mark.parametrize("name", ["RobertaTokenizer", "GPT2Tokenizer", "DebertaTokenizer"])
def test_byte_bpe_words_begin_with_a_space_in_all_its_tokenizers(tmp_path: Path, name: str) -> None:
    folder = write_byte_bpe_tokenizer(tmp_path, name)
    assert differing(folder, ["the cat's cat", "<mask> the</s>cat  a"], "whitespace_punctuation") == []
    same = encoded(folder, ["cat cat"], "whitespace", 8)
    first, second = (same[INPUT_IDS][0][same[WORD_INDEX][0].index(word)] for word in (0, 1))
    assert first == second


def test_specs_of_words_are_what_transformers_makes_of_them(usual: Path) -> None:  # noqa: F811
    assert verified_word_spec(usual) == word_spec(usual)


@pytest.mark.real
@pytest.mark.parametrize("kind", TOKENIZERS if FULL else ["wordpiece"])
def test_every_real_row_has_the_ids_and_words_of_the_fast_tokenizer(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not all((PROJECT_DIR / name).exists() for name in ("checkpoints", *(f"datasets/{d}" for d in ROWS))):
        pytest.skip("made by `make data`")
    folder = TOKENIZERS[kind](tmp_path_factory.mktemp("tokenizer"))
    texts = [text.decode() for dataset in ROWS for text in real_texts(dataset)]
    assert len(texts) == 23304
    assert differing(folder, texts, "whitespace_punctuation", max_length=64) == []
