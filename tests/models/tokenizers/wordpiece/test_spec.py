"""What tokenizer files are accepted, and the one line that says why others are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import PipelineError
from models.tokenizers.family import load_spec
from models.tokenizers.hugging_face import verified_spec
from models.tokenizers.wordpiece.code_points import code_point_table
from tests.support.tokenizer_folders import flags
from tests.support.tokenizers import MakeTokenizer


def edit(file: Path, **changes: Any) -> None:
    """`edit(file, **{"model.type": "BPE"})` sets state["model"]["type"]."""
    state = json.loads(file.read_text())
    for path, value in changes.items():
        *parents, key = path.split(".")
        place = state
        for parent in parents:
            place = place[parent]
        place[key] = value
    file.write_text(json.dumps(state))


def refusal(folder: Path) -> str:
    with pytest.raises(PipelineError) as error:
        load_spec(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_tokenizer_json_gives_the_whole_spec(make_tokenizer: MakeTokenizer) -> None:
    spec = load_spec(make_tokenizer(["who"], do_lower_case=False, tokenize_chinese_chars=False))
    assert spec.vocab == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who")
    assert (spec.lower_case, spec.strip_accents, spec.handle_chinese_chars, spec.clean_text) == (
        False,
        False,
        False,
        True,
    )
    assert (spec.pad_id, spec.unk_id) == (0, 1)
    assert spec.single == ((2, 0), ("A", 0), (3, 0))
    assert spec.pair == ((2, 0), ("A", 0), (3, 0), ("B", 1), (3, 1))
    assert (spec.max_input_chars_per_word, spec.continuing_prefix) == (100, "##")
    assert sorted(spec.special_tokens) == [
        ("[CLS]", 2),
        ("[MASK]", 4),
        ("[PAD]", 0),
        ("[SEP]", 3),
        ("[UNK]", 1),
    ]


def test_tokenizer_that_was_edited_is_read_again(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who"])
    assert load_spec(folder).max_input_chars_per_word == 100
    edit(folder / "tokenizer.json", **{"model.max_input_chars_per_word": 7})
    assert load_spec(folder).max_input_chars_per_word == 7


def test_older_file_without_the_type_of_its_model_is_read(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who"])
    spec = load_spec(folder)
    state = json.loads((folder / "tokenizer.json").read_text())
    del state["model"]["type"]
    (folder / "tokenizer.json").write_text(json.dumps(state))
    assert verified_spec(folder) == spec


@pytest.mark.parametrize("options", [{}, {"do_lower_case": False}, {"strip_accents": False}])
def test_vocab_txt_alone_gives_the_same_spec(make_tokenizer: MakeTokenizer, options: dict) -> None:
    folder = make_tokenizer(["who", "##s", "é"], **options)
    with_json = load_spec(folder)
    (folder / "tokenizer.json").unlink()
    without = load_spec(folder)
    assert sorted(without.special_tokens) == sorted(with_json.special_tokens)
    assert (without.vocab, without.lower_case, without.strip_accents) == (
        with_json.vocab,
        with_json.lower_case,
        with_json.strip_accents,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.type": "Own"}, "model.type is 'Own'; in-graph WordPiece reproduces only 'WordPiece'"),
        ({"normalizer": {"type": "NFC"}}, "normalizer.type is 'NFC'"),
        ({"normalizer": None}, "normalizer.type is None"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer.type is 'Whitespace'"),
        ({"post_processor": None}, "post_processor.type is None"),
        (
            {"post_processor.single": [{"Sequence": {"id": "A", "type_id": 0}}]},
            "post_processor is 'A:0 and [CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1'",
        ),
        ({"model.continuing_subword_prefix": ""}, "continuing_subword_prefix is ''"),
        ({"model.max_input_chars_per_word": 5000}, "max_input_chars_per_word is 5000"),
        ({"model.vocab": {"[PAD]": 0, "who": 2}}, "model.vocab has no id 1 before 'who'"),
        ({"model.unk_token": "<unk>"}, "unk_token '<unk>' is not in the vocabulary of 6 tokens"),
        ({"truncation": {"direction": "Left"}}, "truncation.direction is 'Left'"),
        (
            {"added_tokens": [{"id": 5, **flags("who", single_word=True)}]},
            "added token 'who' single_word is True; in-graph WordPiece reproduces only false",
        ),
        (
            {"added_tokens": [{"id": 8, **flags("<url>")}]},
            "'<url>' has the id 8, but Hugging Face's fast tokenizer gives it 6; make the files agree",
        ),
        (
            {
                "added_tokens": [
                    {"id": 6, **flags("É", normalized=True)},
                    {"id": 7, **flags("e", normalized=True)},
                ]
            },
            "the added tokens 'É' and 'e' are both 'e' once normalized; only one can be found",
        ),
        (
            {"added_tokens": [{"id": 6, **flags(" who", normalized=True)}]},
            "the added token ' who' is empty once normalized, or has white space at an end; the graph finds",
        ),
        (
            {"post_processor.special_tokens.[CLS].ids": [0]},
            "post_processor.special_tokens.'[CLS]'.ids is [0]",
        ),
        (
            {"post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 0]}},
            "['[SEP]', 0]",
        ),
        ({"padding": {"direction": "Left", "pad_token": "[PAD]"}}, "padding.direction is 'Left'"),
    ],
)
def test_tokenizers_that_cannot_be_reproduced_are_refused(
    make_tokenizer: MakeTokenizer, changes: dict, message: str
) -> None:
    folder = make_tokenizer(["who"])
    edit(folder / "tokenizer.json", **changes)
    assert f"{folder / 'tokenizer.json'}: " in refusal(folder)
    assert message in refusal(folder)


def test_files_that_contradict_each_other_are_refused(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who"])
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert refusal(folder) == (
        f"{folder / 'tokenizer.json'}: normalizer.lowercase is true but tokenizer_config.json says "
        "do_lower_case false; make the two files agree"
    )


def test_tokens_that_the_config_adds_are_special_too(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["<url>", "who"])
    edit(folder / "tokenizer_config.json", additional_special_tokens=["<url>"])
    assert ("<url>", 5) in load_spec(folder).special_tokens
    edit(folder / "tokenizer_config.json", additional_special_tokens=["<tag>"])
    spec = load_spec(folder)
    assert ("<tag>", 7) in spec.special_tokens  # past the vocabulary
    assert spec.tokens[5:] == ("<url>", "who", "<tag>")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("truncation_side", "left", "'right'"),
        ("padding_side", "left", "'right'"),
        ("split_special_tokens", True, "False"),
        ("auto_map", {"AutoTokenizer": ["own.Tokenizer", None]}, "{}"),
        ("tokenizer_class", "BertJapaneseTokenizer", "BertTokenizer, "),
        ("tokenizer_file", "/elsewhere/tokenizer.json", "files without this key"),
        ("from_slow", True, "False"),
        ("init_inputs", ["vocab.txt"], "[]"),
        ("fast_tokenizer_files", ["tokenizer.4.json"], "['tokenizer.json']"),
    ],
)
def test_keys_that_make_another_tokenizer_are_refused_by_name(
    make_tokenizer: MakeTokenizer, key: str, value: Any, wanted: str
) -> None:
    folder = make_tokenizer(["who"])
    edit(folder / "tokenizer_config.json", **{key: value})
    assert refusal(folder).startswith(
        f"{folder / 'tokenizer_config.json'}: {key} is {value!r}; in-graph WordPiece reproduces only {wanted}"
    )


def test_the_class_of_the_model_config_counts_where_the_tokenizer_names_none(
    make_tokenizer: MakeTokenizer,
) -> None:
    folder = make_tokenizer(["who"])
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "tokenizer_class": "HerbertTokenizer"})
    )
    load_spec(folder)
    edit(folder / "tokenizer_config.json", tokenizer_class=None)
    assert f"{folder / 'config.json'}: tokenizer_class is 'HerbertTokenizer'" in refusal(folder)


def test_without_tokenizer_config_a_cased_tokenizer_json_is_refused(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who"], do_lower_case=False)
    (folder / "tokenizer_config.json").unlink()
    assert refusal(folder) == (
        f"{folder / 'tokenizer.json'}: normalizer.lowercase is false but tokenizer_config.json is silent, which "
        "Hugging Face reads as do_lower_case true; make the two files agree"
    )


def test_tokenizer_that_gives_no_token_types_is_told(make_tokenizer: MakeTokenizer) -> None:
    folder = make_tokenizer(["who"])
    assert load_spec(folder).token_types
    edit(folder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizer")
    assert not load_spec(folder).token_types


@pytest.mark.parametrize("character", ["\U0010f000", "\U0010f100"])
def test_vocabulary_with_the_graphs_own_characters_is_refused(
    make_tokenizer: MakeTokenizer, character: str
) -> None:
    folder = make_tokenizer([f"a{character}"])
    assert f"token {f'a{character}'!a} has a character of U+10F000 to U+10F100, which" in refusal(folder)


def test_broken_and_missing_files_are_named(make_tokenizer: MakeTokenizer, tmp_path: Path) -> None:
    assert "no tokenizer.json and no vocab.txt" in refusal(tmp_path)
    folder = make_tokenizer(["who"])
    (folder / "tokenizer.json").write_text("{")
    assert "tokenizer.json: not readable as JSON" in refusal(folder)


def test_a_token_on_two_lines_of_vocab_txt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nwho\nwho\n")
    assert "'who' is there twice" in refusal(tmp_path)


def test_table_spells_text_over_ascii_and_stand_ins(make_tokenizer: MakeTokenizer) -> None:
    table = code_point_table(load_spec(make_tokenizer(["cafe", "中"])))
    chinese = table.vocab[6]
    assert table.spell("CAFÉ\u00a0x\u200by, 中!") == f"cafe xy,  {chinese} !"
    assert table.spell("国") == f" {table.spell('ж')} "  # outside the vocabulary: unknown, but still alone
