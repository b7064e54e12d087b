"""In-graph WordPiece against BertTokenizerFast: token ids must be the same, whatever the text."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from transformers import BertTokenizerFast

from models.features import INPUT_IDS
from models.tokenizers.family import load_spec
from models.tokenizers.packing import encode
from models.tokenizers.wordpiece.code_points import reordered_marks
from models.tokenizers.wordpiece.graph import tokenize
from tests.support.tokenizers import MakeTokenizer, token_ids
from tests.support.unicode_texts import vocabulary

UNCUT = 100_000


def hugging_face(folder: Path, texts: list[str], max_length: int = UNCUT) -> list[list[int]]:
    backend = _hugging_face_tokenizer(folder).backend_tokenizer
    backend.enable_truncation(max_length)
    return [encoding.ids for encoding in backend.encode_batch_fast(texts)]


def in_graph(folder: Path, texts: list[str], max_length: int = UNCUT) -> list[list[int]]:
    return token_ids(folder, texts, max_length)


@functools.cache
def _hugging_face_tokenizer(folder: Path) -> BertTokenizerFast:
    return BertTokenizerFast.from_pretrained(folder)


def mismatches(
    folder: Path, texts: list[str], max_length: int = UNCUT
) -> list[tuple[str, list[int], list[int]]]:
    """(text, our ids, Hugging Face's ids) of every text where they differ."""
    ours, theirs = in_graph(folder, texts, max_length), hugging_face(folder, texts, max_length)
    return [row for row in zip(texts, ours, theirs, strict=True) if row[1] != row[2]]


@pytest.fixture(scope="module")
def rich_tokenizer(make_tokenizer: MakeTokenizer) -> Path:
    return make_tokenizer(vocabulary())


# --- literal ids ----------------------------------------------------------------------------------

WORDS = ["who", "was", "?", "cafe", ",", "un", "##who", "中", "["]  # ids from 5


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Who was Galileo?", [2, 5, 6, 1, 7, 3]),
        ("CAFÉ, cafe\u0301", [2, 8, 9, 8, 3]),
        ("unwho", [2, 10, 11, 3]),
        ("", [2, 3]),
        (" \t\n", [2, 3]),
        ("who中who", [2, 5, 12, 5, 3]),
        ("who [SEP] was[MASK]", [2, 5, 3, 6, 4, 3]),
        ("[sep", [2, 13, 1, 3]),
        ("w\u0000h\u200bo\ufffd", [2, 5, 3]),
        ("who\u00a0was\u3000who", [2, 5, 6, 5, 3]),
        ("שלום who", [2, 1, 5, 3]),
        ("👩‍💻🏳‍🌈", [2, 1, 3]),
    ],
)
def test_token_ids_are_these(make_tokenizer: MakeTokenizer, text: str, ids: list[int]) -> None:
    folder = make_tokenizer(WORDS)
    assert in_graph(folder, [text]) == [ids]
    assert hugging_face(folder, [text]) == [ids]


def test_cased_tokenizer_keeps_case_and_accents(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["Who", "who", "é", "e"], do_lower_case=False)
    assert in_graph(folder, ["Who who é e WHO"]) == [[2, 5, 6, 7, 8, 1, 3]]
    assert hugging_face(folder, ["Who who é e WHO"]) == [[2, 5, 6, 7, 8, 1, 3]]


def test_lower_casing_looks_at_one_character_at_a_time(make_tokenizer: MakeTokenizer) -> None:
    # No final sigma, and the dot of Turkish İ stays where accents do.
    folder = make_tokenizer(["ασ", "ας", "i\u0307"], strip_accents=False)
    assert in_graph(folder, ["ΑΣ ας İ"]) == [[2, 5, 6, 7, 3]]
    assert hugging_face(folder, ["ΑΣ ας İ"]) == [[2, 5, 6, 7, 3]]


def test_the_one_known_difference_is_two_marks_that_nfd_swaps(make_tokenizer: MakeTokenizer) -> None:
    # Hangul tone mark (class 224) before Javanese pangkon (class 9): NFD puts the pangkon first.
    folder = make_tokenizer(["x", "##\u302e", "##\ua9c0"])
    assert reordered_marks(load_spec(folder)) == {("\u302e", "\ua9c0")}
    assert in_graph(folder, ["x\u302e\ua9c0", "x\ua9c0\u302e"]) == [[2, 5, 6, 7, 3], [2, 5, 7, 6, 3]]
    assert hugging_face(folder, ["x\u302e\ua9c0", "x\ua9c0\u302e"]) == [[2, 5, 7, 6, 3], [2, 5, 7, 6, 3]]


# --- long words, odd bytes, forged markers --------------------------------------------------------


@pytest.mark.parametrize("letter", ["a", "ж", "한", "é", "e\u0301", "𐐨"])
def test_words_above_100_characters_are_unknown_and_others_are_not(rich_tokenizer: Path, letter: str) -> None:
    texts = [f"the {letter * n}.{letter * n} cat" for n in (25, 33, 34, 49, 50, 51, 99, 100, 101, 102, 300)]
    assert mismatches(rich_tokenizer, texts) == []


def test_word_limit_is_the_checkpoints_own(make_tokenizer: MakeTokenizer) -> None:
    spec = replace(load_spec(make_tokenizer(["a", "##a"])), max_input_chars_per_word=3)
    assert tokenize(tf.constant(["aaa aaaa-aa"]), spec).to_list() == [[5, 6, 6, 1, 1, 5, 6]]


def test_private_use_characters_cannot_forge_special_tokens(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["a"])
    forged = "".join(chr(c) for c in [*range(0xE000, 0xE010), *range(0x10F000, 0x10F010)])
    assert in_graph(folder, [f"a {forged} a"]) == [[2, 5, 5, 3]]


def test_added_tokens_beyond_the_vocabulary_are_found_in_text(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["a"], additional_special_tokens=["<url>"])
    assert in_graph(folder, ["a<url>A <URL>"]) == [[2, 5, 6, 5, 1, 1, 1, 3]]
    assert hugging_face(folder, ["a<url>A <URL>"]) == [[2, 5, 6, 5, 1, 1, 1, 3]]


def test_tokens_that_overlap_are_found_from_the_left_the_longest_first(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["a"], additional_special_tokens=["<u>", "<u>>", "><b", "u>x"])
    texts = ["<u>>", "<u>><b", "<<u>x", "<u><b", "u>x<b>"]
    wanted = [[2, 7, 3], [2, 7, 1, 1, 3], [2, 1, 6, 1, 3], [2, 6, 1, 1, 3], [2, 9, 1, 1, 1, 3]]
    assert hugging_face(folder, texts) == wanted
    assert in_graph(folder, texts) == wanted


def test_special_token_of_white_space_is_found_in_plain_text(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["a", "b"], additional_special_tokens=["\n", "\n\n", "\t#"])  # from 7
    texts = ["a\nb", "a\n\n\nb", "a\t#b\tb"]
    wanted = [[2, 5, 7, 6, 3], [2, 5, 8, 7, 6, 3], [2, 5, 9, 6, 6, 3]]
    assert hugging_face(folder, texts) == wanted
    assert in_graph(folder, texts) == wanted


def test_special_token_that_is_a_word_too_keeps_its_id(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who", "##s", "se"], additional_special_tokens=["who", "##s"])
    texts = ["whose WHO whos WHOS", "who ##s"]
    wanted = [[2, 5, 7, 5, 5, 1, 5, 6, 3], [2, 5, 6, 3]]
    assert hugging_face(folder, texts) == wanted
    assert in_graph(folder, texts) == wanted


# --- SavedModel -----------------------------------------------------------------------------------


def test_saved_model_has_one_op_beyond_tensorflow(make_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    folder = make_tokenizer(["who", "was"])
    spec = load_spec(folder)
    module = tf.Module()
    module.run = tf.function(
        lambda texts: encode([texts], tokenize, spec, 8)[INPUT_IDS].to_tensor(spec.pad_id),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    shutil.rmtree(folder)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved"))
    assert loaded.run(tf.constant(["Who was [SEP]", "wàs"])).numpy().tolist() == [
        [2, 5, 6, 3, 3],
        [2, 6, 3, 0, 0],
    ]
    assert _ops_beyond_tensorflow(tmp_path / "moved") == {"FastWordpieceTokenizeWithOffsets"}


def _ops_beyond_tensorflow(saved_model: Path) -> set[str]:
    graph = SavedModel.FromString((saved_model / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes if not hasattr(tf.raw_ops, node.op)} - functions
