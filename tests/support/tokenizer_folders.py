"""Checkpoint folders with every way to add a token, right and contradictory, for `hypothesis`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["hello", "e", "##1", "1", "[", "]", "who", "##s", "new", "york", "中", "covid", ".", "é"]
# Literal, plain words, of several words, with capitals and accents, CJK, overlapping, without a letter.
ADDED = [
    "[E1]",
    "[e1]",
    "<url>",
    "<url>>",
    "covid",
    "covid19",
    "É1",
    "新词",
    "中",
    "new york",
    "😀",
    "##s",
    ".",
]
TEXTS = [
    "Hello [E1] world[e1]é[É1]x É1 <url>>> <URL>",
    "covid19 COVID precovids covid-19, 19covid1 new york New\tYork newyork",
    "a新词b 中中 hello中😀😀who. ##s whos ##S [MASK][mask] [CLS]x[SEP] [PAD] [UNK] [unk]",
    "",
]
ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

Files = dict[str, Any]


def write_folder(folder: Path, files: Files) -> Path:
    """Writes the files into an emptied folder: texts as they are, all else as JSON."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def vocabulary_file(tokens: list[str]) -> str:
    return "".join(f"{token}\n" for token in tokens)


def tokenizer_json(vocab: list[str], added: list[dict[str, Any]], **switches: Any) -> dict[str, Any]:
    """What BertTokenizerFast saves."""
    ids = {token: index for index, token in enumerate(vocab)}

    def special(token: str, type_id: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    single = [special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
            **switches,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, special("[SEP]", 1)],
            "special_tokens": {
                token: {"id": token, "ids": [ids.get(token, 0)], "tokens": [token]}
                for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def flags(content: str, **given: bool) -> dict[str, Any]:
    """A serialized AddedToken with all its flags."""
    plain = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}
    return {"content": content, **plain, **given}


@st.composite
def folders(draw: st.DrawFn) -> Files:
    """Files of a checkpoint's tokenizer; about half of the folders are consistent."""
    missing = draw(_mostly([[]], [["[MASK]"], ["[CLS]"], ["[UNK]"], ["[MASK]", "[PAD]"]]))
    listed = draw(st.lists(st.sampled_from(["[E1]", "<url>", "covid19", "新词"]), unique=True, max_size=3))
    vocab = [token for token in [*SPECIAL, *WORDS, *listed] if token not in missing]
    files: Files = {"vocab.txt": vocabulary_file(vocab), "config.json": {"model_type": "bert"}}
    config: dict[str, Any] = {
        key: draw(_CONFIG[key])
        for key in draw(st.lists(st.sampled_from(sorted(_CONFIG)), unique=True, max_size=4))
    }
    for key in draw(_mostly([[]], [["vocab_file"], ["tokenizer_file"]])):
        config[key] = draw(st.sampled_from([None, "tokenizer.json"]))
    config |= draw(_named(typed=True))
    ids = _Ids(draw, vocab)
    if draw(st.booleans()):
        files["added_tokens.json"] = {token: ids.of(token) for token in draw(_TOKENS)}
    if draw(st.sampled_from([True, False, False])):
        entries = draw(st.lists(_added(), unique_by=lambda entry: entry["content"], max_size=3))
        config["added_tokens_decoder"] = {str(ids.of(entry["content"])): entry for entry in entries}
    if draw(st.booleans()):
        files["special_tokens_map.json"] = draw(_named(typed=False))
    if draw(st.booleans()):
        entries = draw(st.lists(_added(whole=True), unique_by=lambda entry: entry["content"], max_size=3))
        added = [{"id": ids.of(entry["content"]), **entry} for entry in entries]
        files["tokenizer.json"] = tokenizer_json(vocab, added, **draw(_SWITCHES))
        files["tokenizer.json"] |= draw(st.fixed_dictionaries({}, optional=_TOKENIZER))
    if config or draw(st.booleans()):
        files["tokenizer_config.json"] = config
    return files


class _Ids:
    """The id that a file claims for a token: mostly the right one, its line or the next free one."""

    def __init__(self, draw: st.DrawFn, vocab: list[str]) -> None:
        self._draw = draw
        self._ids = {token: index for index, token in enumerate(vocab)}

    def of(self, token: str) -> int:
        wrong = self._draw(st.sampled_from([*[None] * 30, 0, 3, 99]))
        return self._ids.setdefault(token, len(self._ids)) if wrong is None else wrong


_TOKENS = st.lists(st.sampled_from([*ADDED, "[MASK]", "[CLS]", "[X]"]), unique=True, max_size=3)
_FLAG = st.sampled_from([False, False, False, True])


@st.composite
def _added(draw: st.DrawFn, whole: bool = False) -> dict[str, Any]:
    names = ["lstrip", "rstrip", "normalized", "special"]
    given = {name: draw(st.booleans()) for name in names if whole or draw(st.booleans())}
    if whole or draw(_FLAG):
        given["single_word"] = draw(st.sampled_from([False] * 20 + [True]))
    return {"content": draw(st.sampled_from([*ADDED, "[MASK]", "[SEP]", "hello"])), **given}


@st.composite
def _named(draw: st.DrawFn, typed: bool) -> dict[str, Any]:
    """Roles and their tokens, as texts or serialized."""

    def token(content: str) -> Any:
        if draw(st.sampled_from([True, True, False])):
            return content
        given = {
            name: draw(st.booleans()) for name in ("normalized", "lstrip", "special") if draw(st.booleans())
        }
        return {**({"__type": "AddedToken"} if typed else {}), "content": content, **given}

    found: dict[str, Any] = {}
    usual = dict(
        zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], SPECIAL, strict=True)
    )
    for role in draw(st.lists(st.sampled_from(ROLES), unique=True, max_size=3)):
        found[role] = token(draw(st.sampled_from([*[usual.get(role, "[E1]")] * 4, *ADDED])))
    if draw(_FLAG):
        found["additional_special_tokens"] = [token(content) for content in draw(_TOKENS)]
    if typed and draw(_FLAG):
        found["extra_special_tokens"] = {"image_token": token(draw(st.sampled_from(ADDED)))}
    if draw(_FLAG):
        found["foo_token"] = "[E1]"
    return found


def _mostly(usual: list[Any], seldom: list[Any]) -> st.SearchStrategy[Any]:
    """Values that are refused would otherwise end most cases before the rest of them is read."""
    return st.sampled_from([*usual * (15 // len(usual)), *seldom])


_SWITCHES: st.SearchStrategy[dict[str, Any]] = _mostly(
    [{}, {"clean_text": False}],
    [{"lowercase": False}, {"strip_accents": False}, {"handle_chinese_chars": False}],
)
_SIDES = _mostly(["Right"], ["Left"])
_TOKENIZER: dict[str, st.SearchStrategy[Any]] = {
    "truncation": st.fixed_dictionaries(
        {
            "direction": _SIDES,
            "max_length": st.just(8),
            "strategy": st.just("LongestFirst"),
            "stride": st.just(0),
        }
    ),
    "padding": st.fixed_dictionaries(
        {
            "strategy": st.just("BatchLongest"),
            "direction": _SIDES,
            "pad_to_multiple_of": st.none(),
            "pad_id": st.just(0),
            "pad_type_id": st.just(0),
            "pad_token": st.sampled_from(["[PAD]", "[E1]"]),
        }
    ),
    "decoder": st.none(),
}
_CONFIG: dict[str, st.SearchStrategy[Any]] = {
    "do_lower_case": _mostly([True], [False]),
    "strip_accents": _mostly([None], [False, True]),
    "tokenize_chinese_chars": _mostly([True], [False]),
    "tokenizer_class": _mostly(
        [
            *["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "ElectraTokenizerFast"],
            "PreTrainedTokenizerFast",
        ],
        ["BertJapaneseTokenizer", "RobertaTokenizer"],
    ),
    "do_basic_tokenize": st.booleans(),
    "never_split": st.just(["[E1]"]),
    "model_max_length": st.sampled_from([4, 512, 10**30]),
    "padding_side": _mostly(["right"], ["left"]),
    "truncation_side": _mostly(["right"], ["left"]),
    "add_prefix_space": st.booleans(),
    "wordpieces_prefix": st.just("@@"),
    "clean_text": st.booleans(),
    "split_special_tokens": _mostly([False], [True]),
    "legacy": st.booleans(),
    "model_input_names": st.sampled_from([["input_ids", "attention_mask"], ["input_ids", "token_type_ids"]]),
    "init_inputs": _mostly([[]], [["vocab.txt"]]),
    "fast_tokenizer_files": _mostly([["tokenizer.json"]], [["tokenizer.json", "tokenizer.4.0.json"]]),
    "special_tokens_map_file": st.just("special_tokens_map.json"),
    "name_or_path": st.just("bert"),
    "clean_up_tokenization_spaces": st.booleans(),
}
