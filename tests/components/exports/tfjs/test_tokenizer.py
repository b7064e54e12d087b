"""tokenizer.js compared with the Hugging Face fast tokenizer: equal token ids for every text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertTokenizerFast

from components.exports.tfjs.environment import FILES, find_node
from components.project import PROJECT_DIR
from models.tokenizers.family import load_spec
from models.tokenizers.wordpiece.code_points import CODE_POINTS, SURROGATES
from models.tokenizers.wordpiece.javascript import characters, tokenizer_data
from tests.support.tokenizer_folders import SPECIAL, TEXTS, vocabulary_file, write_folder
from tests.support.tokenizers import MakeTokenizer, make_tokenizer  # noqa: F401 - a fixture
from tests.support.unicode_texts import generated_texts, vocabulary

VARIANTS: dict[str, dict[str, Any]] = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "cased, accents stripped": {"do_lower_case": False, "strip_accents": True},
    "uncased, accents kept": {"strip_accents": False},
    "CJK words": {"tokenize_chinese_chars": False},
    "no clean-up": {"normalizer": {"clean_text": False}},
}
UNCUT = 100_000


def in_javascript(
    folder: Path, first: list[str], second: list[str] | None = None, max_length: int = UNCUT
) -> list[Any]:
    node = find_node()
    if node is None:
        pytest.skip("there is no Node.js 18 or newer (`make tfjs` fetches one)")
    data, asked = folder / "tokenizer_data.json", folder / "asked.json"
    data.write_text(json.dumps(tokenizer_data(load_spec(folder), max_length)), encoding="utf-8")
    asked.write_text(json.dumps({"first": first, "second": second, "max_length": max_length}))
    program = Path(__file__).with_name("tokenize.js")
    command = [node, str(program), str(FILES / "tokenizer.js"), str(data), str(asked)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def hugging_face(folder: Path, texts: list[str], max_length: int = UNCUT) -> list[list[int]]:
    backend = BertTokenizerFast.from_pretrained(folder).backend_tokenizer
    backend.enable_truncation(max_length)
    backend.no_padding()
    return [encoding.ids for encoding in backend.encode_batch_fast(texts)]


def mismatches(
    folder: Path, texts: list[str], max_length: int = UNCUT
) -> list[tuple[str, list[int], list[int]]]:
    """(text, ids in JavaScript, Hugging Face's ids) of every text where they differ."""
    ours, theirs = in_javascript(folder, texts, None, max_length), hugging_face(folder, texts, max_length)
    return [row for row in zip(texts, ours, theirs, strict=True) if row[1] != row[2]]


def every_code_point() -> list[str]:
    words = [f"a{chr(c)}b" for c in range(CODE_POINTS) if c not in SURROGATES]
    return [" ".join(words[start : start + 256]) for start in range(0, len(words), 256)]


WORDS = ["who", "was", "?", "cafe", ",", "un", "##who", "中", "["]  # ids from 5


def test_token_ids_are_these(make_tokenizer: MakeTokenizer) -> None:  # noqa: F811
    wanted = {
        "Who was Galileo?": [2, 5, 6, 1, 7, 3],
        "CAFÉ, cafe\u0301": [2, 8, 9, 8, 3],
        "unwho": [2, 10, 11, 3],
        "": [2, 3],
        " \t\n": [2, 3],
        "who中who": [2, 5, 12, 5, 3],
        "who [SEP] was[MASK]": [2, 5, 3, 6, 4, 3],
        "[sep": [2, 13, 1, 3],
        "w\u0000h\u200bo\ufffd": [2, 5, 3],
        "who\u00a0was\u3000who": [2, 5, 6, 5, 3],
        "👩‍💻🏳‍🌈": [2, 1, 3],
        "who\ud83d was": [2, 5, 6, 3],  # half a surrogate pair: U+FFFD, which the clean-up removes
    }
    assert in_javascript(make_tokenizer(WORDS), list(wanted)) == list(wanted.values())


@pytest.mark.parametrize("variant", ["uncased", "cased"])
def test_every_code_point_gives_the_same_ids(make_tokenizer: MakeTokenizer, variant: str) -> None:  # noqa: F811
    folder = make_tokenizer(vocabulary(), **VARIANTS[variant])
    assert mismatches(folder, every_code_point()) == []


def test_20_000_generated_texts_give_the_same_ids(make_tokenizer: MakeTokenizer) -> None:  # noqa: F811
    assert mismatches(make_tokenizer(vocabulary()), generated_texts(20_000, seed=0)) == []


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_generated_texts_give_the_same_ids_when_cut(
    make_tokenizer: MakeTokenizer,  # noqa: F811
    options: dict[str, Any],
) -> None:
    assert mismatches(make_tokenizer(vocabulary(), **options), generated_texts(3_000, seed=1), 16) == []


@pytest.mark.parametrize("max_length", [4, 5, 8, 13, 64])
def test_pairs_are_cut_and_typed_as_hugging_face_does(
    make_tokenizer: MakeTokenizer,  # noqa: F811
    max_length: int,
) -> None:
    folder = make_tokenizer(["a", "b"])
    lengths = [(m, n) for m in range(16) for n in range(16)]
    first, second = [" ".join("a" * m) for m, _ in lengths], [" ".join("b" * n) for _, n in lengths]
    wanted = BertTokenizerFast.from_pretrained(folder)(first, second, truncation=True, max_length=max_length)
    told = in_javascript(folder, first, second, max_length)
    assert [ids for ids, _ in told] == wanted["input_ids"]
    assert [types for _, types in told] == wanted["token_type_ids"]


def test_special_tokens_beyond_the_vocabulary_are_found_in_text(make_tokenizer: MakeTokenizer) -> None:  # noqa: F811
    folder = make_tokenizer(["a"], additional_special_tokens=["<url>"])
    assert in_javascript(folder, ["a<url>A <URL>"]) == [[2, 5, 6, 5, 1, 1, 1, 3]]


def test_added_tokens_of_every_kind_are_found(tmp_path: Path) -> None:
    added = ["<url>", "<url>>", "[E1]", "É1", "新词", "covid", "covid19", "new york", "😀", "##s"]
    vocab = [*SPECIAL, *WORDS]
    folder = write_folder(
        tmp_path / "tokenizer",
        {
            "vocab.txt": vocabulary_file(vocab),
            "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "bos_token": "<url>>"},
            "added_tokens.json": {token: len(vocab) + i for i, token in enumerate(added)},
        },
    )
    assert in_javascript(folder, TEXTS) == AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]


def test_words_of_more_than_100_characters_are_unknown_counted_in_characters(
    make_tokenizer: MakeTokenizer,  # noqa: F811
) -> None:
    folder = make_tokenizer(["𝒳", "##𝒳"])  # two code units each
    assert in_javascript(folder, ["𝒳" * 100, "𝒳" * 101]) == [[2, 5, *[6] * 99, 3], [2, 1, 3]]


def test_the_table_names_what_changes_and_nothing_else(make_tokenizer: MakeTokenizer) -> None:  # noqa: F811
    table = characters(load_spec(make_tokenizer(["a"])))
    assert table["mapped"]["É"] == "e"
    assert "a" not in table["mapped"]
    assert table["space"][:2] == [9, 10]
    assert table["alone"][:2] == [0x21, 0x2F]


@pytest.mark.real
def test_ids_of_every_real_row_are_those_of_hugging_face(tmp_path: Path) -> None:
    from models.checkpoints.settings import CheckpointSettings
    from models.checkpoints.source import checkpoint_folder
    from tests.components.transform.test_real_datasets import real_texts

    datasets = ("trec", "sms_spam", "rotten_tomatoes")
    folders = [PROJECT_DIR / "checkpoints", *(PROJECT_DIR / "datasets" / name for name in datasets)]
    if not all(folder.exists() for folder in folders):
        pytest.skip("made by `make data`")
    recipe, recipes = CheckpointSettings(recipe="all-MiniLM-L6-v2"), PROJECT_DIR / "data" / "checkpoints"
    checkpoint = checkpoint_folder(recipe, recipes, PROJECT_DIR / "checkpoints")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(checkpoint / name, tmp_path)
    texts = [text.decode() for dataset in datasets for text in real_texts(dataset)]
    assert len(texts) == 23304
    assert mismatches(tmp_path, texts, max_length=64) == []
