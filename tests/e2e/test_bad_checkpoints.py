"""Checkpoints that cannot be trained, run as a user runs them: one line, the exit code, nothing pushed.

What each message says in detail is tested beside the checks, in tests/models/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.checkpoints.checks import check_checkpoint
from models.tokenizers.hugging_face import verified_spec
from pipeline.importing.importer import import_files
from tests.models.checkpoints.conftest import change_config
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.tiny_encoders import write_encoder
from tests.support.tiny_model import SPECIAL

pytestmark = pytest.mark.e2e

Refused = Callable[..., str]


@pytest.fixture
def encoder(folder: Path) -> Path:
    return folder / "encoder"


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def flags(content: str, **others: bool) -> dict[str, Any]:
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"content": content, **dict.fromkeys(names, False), **others}


# --- tokenizer files ------------------------------------------------------------------------------------


def test_no_tokenizer_file(refused: Refused, encoder: Path) -> None:
    (encoder / "tokenizer.json").unlink()
    (encoder / "vocab.txt").unlink()
    assert "no tokenizer.json and no vocab.txt" in refused(1)


def test_files_that_contradict_each_other(refused: Refused, encoder: Path) -> None:
    edit(encoder / "tokenizer_config.json", do_lower_case=False)
    assert "says do_lower_case false; make the two files agree" in refused(1)


def test_more_tokens_than_the_embedding_has_rows(refused: Refused, encoder: Path) -> None:
    (encoder / "tokenizer.json").unlink()
    with (encoder / "vocab.txt").open("a") as vocabulary:
        vocabulary.write("more\nwords\n")
    assert "vocab.txt: 100 tokens do not fit the embedding of 98 rows" in refused(1)


def test_entry_that_is_in_the_vocabulary_twice(refused: Refused, encoder: Path) -> None:
    (encoder / "tokenizer.json").unlink()
    lines = (encoder / "vocab.txt").read_text().replace("\ndog\n", "\ncat\n")
    (encoder / "vocab.txt").write_text(lines)
    assert "vocab.txt: 'cat' is there twice" in refused(1)


def test_added_token_that_matches_whole_words_only(refused: Refused, encoder: Path) -> None:
    state = json.loads((encoder / "tokenizer.json").read_text())
    index = state["model"]["vocab"]["cat"]
    edit(
        encoder / "tokenizer.json",
        added_tokens=[*state["added_tokens"], {"id": index, **flags("cat", single_word=True)}],
    )
    assert "added token 'cat' single_word is True" in refused(1)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        (
            "added_tokens.json",
            {"<tag>": 300},
            "'<tag>' has the id 300, but Hugging Face's fast tokenizer gives it",
        ),
        (
            "added_tokens.json",
            {"<tag>": 98},
            "gives the token '<tag>' the id 98, but the embedding has 98 rows",
        ),
        (
            "special_tokens_map.json",
            {"additional_special_tokens": ["<tag>"]},
            "gives the token '<tag>' the id 98, but the embedding has 98 rows",
        ),
        (
            "tokenizer_config.json",
            {"additional_special_tokens": ["<tag>"]},
            "gives the token '<tag>' the id 98, but the embedding has 98 rows",
        ),
    ],
)
def test_files_that_say_more_than_the_vocabulary(
    refused: Refused, encoder: Path, name: str, values: dict[str, Any], told: str
) -> None:
    for other in ("tokenizer.json", "special_tokens_map.json"):
        (encoder / other).unlink()
    config = json.loads((encoder / "tokenizer_config.json").read_text())
    config.pop("added_tokens_decoder")
    (encoder / "tokenizer_config.json").write_text(json.dumps(config))
    before = json.loads((encoder / name).read_text()) if (encoder / name).exists() else {}
    (encoder / name).write_text(json.dumps({**before, **values}))
    assert told in refused(1)


@pytest.mark.parametrize(
    ("tokenizer_class", "files"),
    [
        ("BertJapaneseTokenizer", {"vocab.txt": "\n".join([*SPECIAL, "猫"])}),
        ("PhobertTokenizer", {"vocab.txt": "a 1\nb 2\n", "bpe.codes": "a b 1\n"}),
        ("FlaubertTokenizer", {"vocab.json": "{}", "merges.txt": "#version: 0.2\n"}),
    ],
)
def test_only_the_files_of_a_slow_tokenizer(
    refused: Refused, encoder: Path, tokenizer_class: str, files: dict[str, str]
) -> None:
    for name in ("tokenizer.json", "vocab.txt", "special_tokens_map.json"):
        (encoder / name).unlink()
    (encoder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    for name, content in files.items():
        (encoder / name).write_text(content, encoding="utf-8")
    assert f"tokenizer_config.json: tokenizer_class is '{tokenizer_class}'" in refused(1)


# --- checkpoints of transformers 5 ------------------------------------------------------------------------


def as_transformers_5_saves(encoder: Path) -> None:
    """As 5.24.0 does: no vocab.txt, no special_tokens_map.json, keys of its own in both configs."""
    for name in ("vocab.txt", "special_tokens_map.json"):
        (encoder / name).unlink()
    config = json.loads((encoder / "tokenizer_config.json").read_text())
    config.pop("added_tokens_decoder")
    config |= {"backend": "tokenizers", "is_local": True, "local_files_only": False}
    (encoder / "tokenizer_config.json").write_text(json.dumps(config))
    change_config(encoder, dtype="float32", transformers_version="5.24.0", tie_word_embeddings=True)


def test_checkpoint_of_transformers_5_is_the_same(encoder: Path) -> None:
    before = verified_spec(encoder)
    as_transformers_5_saves(encoder)
    assert check_checkpoint(encoder, allow_pickle=False) == []
    assert verified_spec(encoder) == before


def test_special_tokens_that_only_transformers_5_reads(refused: Refused, encoder: Path) -> None:
    as_transformers_5_saves(encoder)
    edit(encoder / "tokenizer_config.json", extra_special_tokens=["cat"])
    assert "tokenizer_config.json: extra_special_tokens is ['cat']; it should be a valid dict" in refused(1)


# --- weights and config -----------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 100, -1])
def test_weights_that_are_cut_short(refused: Refused, encoder: Path, left: int) -> None:
    path = encoder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    assert "model.safetensors: " in refused(1)


def test_model_type_that_cannot_be_trained(refused: Refused, encoder: Path) -> None:
    change_config(encoder, model_type="roformer")
    assert "Jieba" in refused(1)


def test_more_tokens_than_positions(refused: Refused, encoder: Path) -> None:
    assert "transform.max_length 65 is more than the 64 positions" in refused(2, "transform.max_length=65")


def test_positions_of_roberta_start_at_2(refused: Refused, encoder: Path) -> None:
    for path in encoder.iterdir():
        path.unlink()
    write_byte_bpe_tokenizer(encoder, size=300)
    write_encoder(encoder, "roberta", vocab_size=400)
    told = "transform.max_length 63 is more than the 62 positions"
    assert told in refused(2, "transform.max_length=63")


def test_pairs_that_the_checkpoint_cannot_tell_apart(refused: Refused, folder: Path, encoder: Path) -> None:
    lines = [json.dumps({"a": f"cat {i}", "b": f"dog {i}", "label": "xy"[i % 2]}) for i in range(60)]
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    import_files(
        [folder / "pairs.jsonl"],
        out_dir=folder / "pairs",
        text="a",
        text_pair="b",
        label="label",
        name="pairs",
    )
    edit(encoder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizer")
    overrides = [f"data.{key}=pairs{rest}" for key, rest in (("path", ""), ("schema", "/schema.pbtxt"))]
    reason = refused(2, *overrides, "data.label_list=pairs/labels.txt", "data.text_pair=text_pair")
    assert "cannot tell two texts apart (its tokenizer gives no token types)" in reason
