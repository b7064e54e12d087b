"""In-graph byte-level BPE against GPT-2's and RoBERTa's fast tokenizers: token ids must be the same, whatever the text."""

from __future__ import annotations

import functools
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from models.tokenizers.byte_bpe.characters import LETTER, NUMBER, OTHER, OTHER_SPACE, SPACE, character_classes
from models.tokenizers.byte_bpe.graph import tokenize
from models.tokenizers.byte_bpe.spec import BYTE_CHARACTERS, ByteBpeSpec
from models.tokenizers.byte_bpe.words import word_table
from models.tokenizers.family import load_spec
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.unicode_texts import generated_texts


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_byte_bpe_tokenizer(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A space before each text, and added tokens of both kinds."""
    folder = write_byte_bpe_tokenizer(tmp_path_factory.mktemp("prefixed"), add_prefix_space=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<url>", "cat sat", "é"])
    tokenizer.save_pretrained(folder)
    return folder


@functools.cache
def _hugging_face_tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def hugging_face(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    backend = _hugging_face_tokenizer(folder).backend_tokenizer
    return [row.ids for row in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def in_graph(folder: Path, texts: Sequence[str | bytes]) -> list[list[int]]:
    return tokenize(tf.constant(list(texts), tf.string), load_spec(folder)).to_list()


def words(folder: Path, text: str) -> list[str]:
    """The tokens of a text, as they are in the vocabulary."""
    tokens = load_spec(folder).tokens
    [ids] = tokenize(tf.constant([text]), load_spec(folder)).to_list()
    assert hugging_face(folder, [text]) == [ids]
    return [tokens[index] for index in ids]


# --- literal tokens: a vocabulary without merges but these --------------------------------------------

MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("'", "s"), ("Ġ", "Ġ"), ("'", "re"), ("r", "e"), ("1", "2")]


def write_literal(folder: Path, merges: Sequence[Sequence[str]] = MERGES, **model: Any) -> Path:
    """A generic tokenizer of bytes and these merges; `[PAD]` is 0, ids of tokens are in the order of merges."""
    ranked = sorted(merges, key=lambda merge: len("".join(merge)))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = ["[PAD]", *alphabet, *dict.fromkeys("".join(merge) for merge in ranked)]
    state = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(vocab)},
            "merges": [list(merge) for merge in ranked],
            **model,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(state))
    PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]").save_pretrained(
        folder
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    return folder


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("the the", ["the", "Ġthe"]),
        (" the", ["Ġthe"]),
        ("  the", ["Ġ", "Ġthe"]),
        ("   the ", ["ĠĠ", "Ġthe", "Ġ"]),
        ("the\tthe", ["the", "ĉ", "the"]),
        ("the\t the", ["the", "ĉ", "Ġthe"]),
        ("the \tthe", ["the", "Ġ", "ĉ", "the"]),
        ("x's", ["x", "'s"]),
        ("x'S", ["x", "'", "S"]),
        ("x 's", ["x", "Ġ", "'", "s"]),
        ("''s", ["'", "'", "s"]),
        ("'s's", ["'s", "'s"]),
        ("1's", ["1", "'s"]),
        ("x're", ["x", "'re"]),
        ("x'r", ["x", "'", "r"]),
        ("x'rex", ["x", "'re", "x"]),
        ("\t's", ["ĉ", "'s"]),
        ("!'s", ["!", "'", "s"]),
        ("the12the", ["the", "12", "the"]),
        ("12½2", ["12", "Â", "½", "2"]),
        ("  ", ["ĠĠ"]),
        ("", []),
        ("é", ["Ã", "©"]),
        ("\u3000the", ["ã", "Ģ", "Ģ", "the"]),
        ("'", ["'"]),
        ("\x00", ["Ā"]),
    ],
)
def test_tokens_are_these(tmp_path: Path, text: str, tokens: list[str]) -> None:
    folder = write_literal(tmp_path)
    assert words(folder, text) == tokens


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_a_word_that_no_merge_makes_is_one_token_only_where_merges_are_ignored(
    tmp_path: Path, ignore_merges: bool
) -> None:
    folder = write_literal(tmp_path, ignore_merges=ignore_merges)
    file = folder / "tokenizer.json"
    state = json.loads(file.read_text())
    state["model"]["vocab"] |= {"zebra": 265, "zebrazebrazebra": 266}
    file.write_text(json.dumps(state))
    texts = ["zebra zebra", "zebrazebrazebra", "zebras", "zebrazebrazebras"]
    assert in_graph(folder, texts) == hugging_face(folder, texts)
    assert ([265] in in_graph(folder, ["zebra"])) is ignore_merges


def test_merges_of_one_token_with_different_parts_are_those_of_hugging_face(tmp_path: Path) -> None:
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("x", "abc"), ("abc", "y")]
    folder = write_literal(tmp_path, merges)
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcxy", k=12)) for _ in range(2000)]
    assert in_graph(folder, texts) == hugging_face(folder, texts)


@pytest.mark.parametrize("seed", range(5))
def test_random_merges_are_done_as_hugging_face_does_them(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    symbols, merges = list("abcd"), []
    for _ in range(40):
        pair = rng.choice(symbols), rng.choice(symbols)
        if "".join(pair) not in symbols and len("".join(pair)) < 9:
            merges.append(pair)
            symbols.append("".join(pair))
    folder = write_literal(tmp_path, sorted(merges, key=lambda merge: len("".join(merge))))
    texts = ["".join(rng.choices("abcd", k=rng.randint(1, 30))) for _ in range(3000)]
    assert in_graph(folder, texts) == hugging_face(folder, texts)


# --- whole vocabularies -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["roberta", "prefixed"])
def test_generated_texts_give_the_same_ids(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    texts = generated_texts(3000, seed=3)
    assert in_graph(folder, texts) == hugging_face(folder, texts)


@pytest.mark.parametrize("kind", ["roberta", "prefixed"])
def test_spaces_quotes_and_added_tokens_in_any_order_give_the_same_ids(
    kind: str, request: pytest.FixtureRequest
) -> None:
    folder, rng = request.getfixturevalue(kind), random.Random(1)
    pieces = [
        " ",
        "  ",
        "\t",
        "\n",
        "\u00a0",
        "\u3000",
        "'",
        "'s",
        "'RE",
        "'ll",
        "’s",
        "the",
        "cat sat",
        "1",
        "½",
        "é",
    ]
    pieces += ["<mask>", "<s>", "</s>", "<url>", "<pad>", "<", "mask>", "-", "中", "\u0301", "\ue000"]
    texts = ["".join(rng.choices(pieces, k=rng.randint(0, 9))) for _ in range(4000)]
    assert in_graph(folder, texts) == hugging_face(folder, texts)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a <mask>", ["a", "<mask>"]),
        ("a \t\u3000<mask> b", ["a", "<mask>", "Ġb"]),
        ("a</s> <mask><mask>", ["a", "</s>", "<mask>", "<mask>"]),
    ],
)
def test_mask_token_takes_the_white_space_before_it(roberta: Path, text: str, tokens: list[str]) -> None:
    assert words(roberta, text) == tokens


def test_each_text_between_added_tokens_begins_with_a_space(prefixed: Path) -> None:
    assert words(prefixed, "a</s>a <url>") == ["Ġa", "</s>", "Ġa", "Ġ", "<url>"]
    assert AutoTokenizer.from_pretrained(prefixed).tokenize("a</s>a <url>") == [
        "Ġa",
        "</s>",
        "Ġa",
        "Ġ",
        "<url>",
    ]


def test_bytes_that_are_not_utf8_count_as_replacement_characters(roberta: Path) -> None:
    rows = [b"th\xffe cat", b"\xc3", b"\xed\xa0\x80a", b"\xff", b"\xffa\xff"]
    decoded = [row.decode("utf-8", errors="replace") for row in rows]
    assert in_graph(roberta, rows) == hugging_face(roberta, decoded)


def test_every_row_of_a_batch_is_tokenized_alone(roberta: Path) -> None:
    texts = ["a", "", " ", "'s", "s", "'", "s", " the", "é", ""]
    assert in_graph(roberta, texts) == [in_graph(roberta, [text])[0] for text in texts]


def test_classes_of_characters_are_those_of_the_rust_tokenizer() -> None:
    classes = character_classes()
    assert [classes[ord(c)] for c in "aé中1½ \t\u00a0'_\u0301"] == [
        *[LETTER] * 3,
        *[NUMBER] * 2,
        SPACE,
        *[OTHER_SPACE] * 2,
        *[OTHER] * 3,
    ]


def test_table_has_each_word_that_is_one_token(roberta: Path) -> None:
    spec = load_spec(roberta)
    table = word_table(spec)
    found = table.keys[:, 1] != np.uint64(0xFFFFFFFFFFFFFFFF)
    words = {spec.vocab[index] for index in table.ids[found]}
    assert len(words) == found.sum()
    assert {"Ġthe", "a", "Ġcat"} <= words
    assert not {"<s>", "<mask>"} & words


def test_table_tells_words_apart_whatever_their_lengths() -> None:
    rng = random.Random(0)
    stems = ["".join(rng.choices("abcdefgh", k=7)) for _ in range(2000)]
    words = [*dict.fromkeys([*stems, *(f"{stem}{end}" for stem in stems for end in "abc"), *"abcdefgh"])]
    vocab = tuple(dict.fromkeys([*BYTE_CHARACTERS, *words]))
    spec = ByteBpeSpec(vocab, (), (("A", 0),), (("A", 0), ("B", 1)), "a", ignore_merges=True)
    assert tokenize(tf.constant(words), spec).to_list() == [[vocab.index(word)] for word in words]


# --- SavedModel ---------------------------------------------------------------------------------------


def test_saved_model_has_only_ops_of_tensorflow_and_sentencepiece(roberta: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(roberta, tmp_path / "encoder"))
    spec, texts = load_spec(folder), ["the cat's", "é <mask>"]
    module = tf.Module()
    module.run = tf.function(
        lambda texts: tokenize(texts, spec).to_tensor(spec.pad_id),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    wanted = module.run(tf.constant(texts)).numpy().tolist()
    tf.saved_model.save(module, str(tmp_path / "saved"))
    shutil.rmtree(folder)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved"))
    assert loaded.run(tf.constant(texts)).numpy().tolist() == wanted
    assert _ops_beyond_tensorflow(tmp_path / "moved") == {"SentencepieceOp", "SentencepieceTokenizeOp"}


def _ops_beyond_tensorflow(saved_model: Path) -> set[str]:
    graph = SavedModel.FromString((saved_model / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes if not hasattr(tf.raw_ops, node.op)} - functions
