"""What every tokenizer family does: the model inputs of transformers' own tokenizer, whatever the text."""

from __future__ import annotations

import dataclasses
import functools
import random
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from models.features import INPUT_IDS, TOKEN_TYPE_IDS
from models.tokenizers.family import FAMILIES, family_of, load_spec
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.packing import encode
from tests.support.full import FULL, cases
from tests.support.tokenizer_kinds import KINDS, ONLY_FULL
from tests.support.tokenizers import model_inputs
from tests.support.unicode_texts import generated_texts
from tests.support.word_family import WORDS_FAMILY
from tests.support.word_family.files import write_word_tokenizer

CODE_POINTS = [*range(0xD800), *range(0xE000, 0x110000)]  # without surrogates
# Letters without case, private and unassigned code points are most of them, and much alike.
ALIKE = ("Lo", "Co", "Cn")
UNCUT = 100_000
BATCH = 1000

# Family -> kind of tokenizer -> writes its files into a folder; the first is the usual one.
MEMBERS: dict[str, dict[str, Callable[[Path], Path]]] = {
    **{
        family: {kind: write for kind, write in kinds.items() if FULL or kind not in ONLY_FULL}
        for family, kinds in KINDS.items()
    },
    # The toy of CONTRIBUTING.md's recipe.
    "words": {
        "words": lambda folder: write_word_tokenizer(folder, ["a", "b", "the", "cat", "1", "été", "中文"])
    },
}
ROWS = {**FAMILIES, "words": WORDS_FAMILY}


def _kinds(usual: bool) -> list[Any]:
    return [
        pytest.param((family, kind), id=f"{family}, {kind}")
        for family, kinds in MEMBERS.items()
        for kind in ([*kinds][:1] if usual else kinds)
    ]


def _written(param: tuple[str, str], factory: pytest.TempPathFactory) -> Iterator[Path]:
    family, kind = param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, family, ROWS[family])
        yield MEMBERS[family][kind](factory.mktemp("checkpoint"))


@pytest.fixture(scope="module", params=_kinds(usual=False))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tokenizer files of each kind of each family."""
    yield from _written(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=_kinds(usual=True))
def usual(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Those of the usual kind of each family."""
    yield from _written(request.param, tmp_path_factory)


def hugging_face(folder: Path, texts: Sequence[str], max_length: int) -> list[list[int]]:
    backend = _hugging_face_tokenizer(folder).backend_tokenizer
    backend.enable_truncation(max_length)
    return [encoding.ids for encoding in backend.encode_batch_fast(list(texts))]


@functools.cache
def _hugging_face_tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def in_graph(folder: Path, texts: Sequence[str | bytes], max_length: int) -> list[list[int]]:
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    return [ids for batch in batches for ids in _graph(folder, max_length)(tf.constant(batch)).to_list()]


@functools.cache
def _graph(folder: Path, max_length: int) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    spec, tokenize = load_spec(folder), family_of(folder).load_graph().tokenize

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def graph(batch: tf.Tensor) -> tf.RaggedTensor:
        return encode([batch], tokenize, spec, max_length)[INPUT_IDS]

    return graph


def mismatches(
    folder: Path, texts: list[str], max_length: int = UNCUT
) -> list[tuple[str, list[int], list[int]]]:
    """(text, our ids, Hugging Face's ids) of every text where they differ."""
    ours, theirs = in_graph(folder, texts, max_length), hugging_face(folder, texts, max_length)
    return [row for row in zip(texts, ours, theirs, strict=True) if row[1] != row[2]]


# --- which family, and its spec -------------------------------------------------------------------


def test_every_family_is_held_to_the_contract() -> None:
    assert [*MEMBERS] == [*FAMILIES, "words"]


def test_files_are_recognized_as_those_of_their_family(checkpoint: Path, request: Any) -> None:
    family, _ = request.node.callspec.params["checkpoint"]
    assert family_of(checkpoint) is FAMILIES[family]


def test_spec_is_a_frozen_dataclass_and_what_transformers_makes_of_the_files(checkpoint: Path) -> None:
    spec = load_spec(checkpoint)
    assert dataclasses.is_dataclass(spec)
    assert hash(spec) == hash(load_spec(checkpoint))
    assert verified_spec(checkpoint) == spec


def test_spec_tells_the_tokens_and_their_ids_as_transformers_does(checkpoint: Path) -> None:
    spec, theirs = load_spec(checkpoint), _hugging_face_tokenizer(checkpoint)
    assert list(spec.tokens) == theirs.convert_ids_to_tokens(range(len(theirs)))
    assert list(spec.tokens[: len(spec.vocab)]) == list(spec.vocab)
    assert dict(spec.added_tokens) == theirs.get_added_vocab()
    assert (spec.pad_token, spec.pad_id) == (theirs.pad_token, theirs.pad_token_id)
    assert spec.file.parent == checkpoint


# --- ids ------------------------------------------------------------------------------------------


def test_code_points_give_the_same_ids(checkpoint: Path) -> None:
    codes = [c for c in CODE_POINTS if FULL or c % 64 == 0 or unicodedata.category(chr(c)) not in ALIKE]
    words = [f"a{chr(c)}b" for c in codes]
    texts = [" ".join(words[start : start + 256]) for start in range(0, len(words), 256)]
    assert mismatches(checkpoint, texts) == []


def test_generated_texts_give_the_same_ids(usual: Path) -> None:
    assert mismatches(usual, generated_texts(cases(2_000, 20_000), seed=0)) == []


def test_generated_texts_give_the_same_ids_when_cut(checkpoint: Path) -> None:
    assert mismatches(checkpoint, generated_texts(cases(500, 3_000), seed=1), max_length=16) == []


@settings(max_examples=cases(5, 15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.text(max_size=60), min_size=20, max_size=100))
def test_any_texts_give_the_same_ids(usual: Path, texts: list[str]) -> None:
    assert mismatches(usual, texts) == []


def test_bytes_that_are_not_utf8_count_as_replacement_characters(usual: Path) -> None:
    rng = random.Random(0)
    rows = [b"th\xffe cat", b"\xc3", b"\xed\xa0\x80a", b"\xf5\x80\x80\x80 the", b"\xe4\xb8 cat \x80\x80"]
    rows += [bytes(rng.randrange(256) for _ in range(rng.randrange(30))) for _ in range(cases(500, 2_000))]
    decoded = [row.decode("utf-8", errors="replace") for row in rows]
    assert in_graph(usual, rows, UNCUT) == hugging_face(usual, decoded, UNCUT)


@pytest.mark.parametrize("piece", ["the cats ", "a", "שלום ", "👍🏽", "\x00", " "])
def test_a_text_of_a_megabyte_gives_the_same_ids(usual: Path, piece: str) -> None:
    size = 1_000_000
    if family_of(usual) is FAMILIES["sentencepiece"] and " " not in piece:
        size = cases(20_000, size)  # a word takes a step for each of its characters
    text = piece * (size // len(piece.encode()))
    assert mismatches(usual, [text], max_length=64) == []


def test_a_batch_without_rows_gives_no_rows(usual: Path) -> None:
    assert model_inputs(usual, [[]], 8) == {INPUT_IDS: []}
    assert model_inputs(usual, [[], []], 8)[INPUT_IDS] == []


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_length", [4, 5, 6, 7, 8, 13, 16, 64])
def test_pairs_are_cut_and_typed_as_hugging_face_does(usual: Path, max_length: int) -> None:
    lengths = [(m, n) for m in range(16) for n in range(16)]
    first, second = [" ".join("a" * m) for m, _ in lengths], [" ".join("b" * n) for _, n in lengths]
    wanted = AutoTokenizer.from_pretrained(usual)(
        first, second, truncation=True, max_length=max_length, return_attention_mask=False
    )
    assert model_inputs(usual, [first, second], max_length) == dict(wanted)
    assert (TOKEN_TYPE_IDS in wanted) == load_spec(usual).token_types


# --- SavedModel -----------------------------------------------------------------------------------


def test_saved_model_needs_no_file_of_the_checkpoint(usual: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(usual, tmp_path / "encoder"))
    texts = ["the cat a", "[SEP] b</s>", ""]
    wanted = hugging_face(folder, texts, 8)
    module = tf.Module()
    module.run = _graph(folder, 8)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    shutil.rmtree(folder)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    assert tf.saved_model.load(str(tmp_path / "moved")).run(tf.constant(texts)).to_list() == wanted
