"""Rows of special tokens and texts, as the Rust post-processors make them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from models.errors import CheckpointError
from models.tokenizers.family import FIRST, SECOND
from models.tokenizers.packing import encode
from models.tokenizers.templates import as_text, read_templates
from tests.models.tokenizers.test_packing import Templates, tokenize

IDS = {"<s>": 100, "</s>": 101, "<cls>": 102}
FILE = Path("encoder/tokenizer.json")
LENGTHS = {"a": 1, "bb": 2, "ccc": 3}  # the toy's ids: the lengths of words
NAMES = [("<s>", 100), ("</s>", 101), ("<cls>", 102)]
BYTE_LEVEL = processors.ByteLevel(trim_offsets=False)
ROBERTA = processors.RobertaProcessing(("</s>", 101), ("<s>", 100))


def template(single: str, pair: str) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=NAMES)


@pytest.mark.parametrize(
    "post_processor",
    [
        None,
        BYTE_LEVEL,
        ROBERTA,
        processors.BertProcessing(("</s>", 101), ("<s>", 100)),
        processors.Sequence([BYTE_LEVEL, template("<s> $A", "<s> $A <s> $B")]),
        processors.Sequence([ROBERTA, BYTE_LEVEL]),
        processors.Sequence([]),
        template("<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 $B:1 </s>:1"),
        template("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
        template("$A:0 </s>:0 <cls>:2", "$A:0 </s>:0 $B:1 </s>:1 <cls>:2"),
        template("<cls>:2 $A:0 </s>:0", "<cls>:2 $A:0 </s>:0 $B:1 </s>:1"),
        template("$A:3", "$B:1 $A:2"),
    ],
)
def test_rows_are_those_of_the_rust_tokenizer(post_processor: Any) -> None:
    tokenizer = Tokenizer(models.WordLevel(LENGTHS | IDS, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    single, pair = read_templates("toy", FILE, json.loads(tokenizer.to_str()), IDS)
    spec: Any = Templates(single, pair)
    tokenizer.enable_truncation(7)
    for texts, used in ((["a bb ccc"], single), (["a bb ccc"] * 2, pair)):
        wanted = tokenizer.encode(*texts)
        rows = encode([tf.constant([text]) for text in texts], tokenize, spec, max_length=7)
        assert rows["input_ids"].to_list() == [wanted.ids]
        assert ("token_type_ids" in rows) == any(kind for _, kind in used)
        if "token_type_ids" in rows:
            assert rows["token_type_ids"].to_list() == [wanted.type_ids]


def test_template_is_shown_with_its_tokens() -> None:
    assert as_text(((100, 2), (FIRST, 0), (SECOND, 1)), {100: "<s>"}) == "<s>:2 A:0 B:1"


def special(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}


def text(name: str) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": 0}}


ONE = {"type": "TemplateProcessing", "single": [text("A")], "pair": [text("A"), text("B")]}


@pytest.mark.parametrize(
    ("post_processor", "message"),
    [
        (
            {"type": "Own"},
            "post_processor.type is 'Own'; in-graph toy reproduces only TemplateProcessing, BertProcessing, "
            "RobertaProcessing, ByteLevel, a Sequence with one of them, and none",
        ),
        ("Own", "post_processor.type is 'Own'"),
        (
            {"type": "Sequence", "processors": [ONE, {"type": "ByteLevel"}, ONE]},
            "post_processor.processors is ['TemplateProcessing', 'TemplateProcessing']; in-graph toy reproduces only one "
            "that adds special tokens",
        ),
        ({"type": "Sequence"}, "post_processor.processors is missing"),
        (ONE | {"single": [text("B")]}, "post_processor.single with the texts is ['B']"),
        (
            ONE | {"pair": [text("A"), text("A"), text("B")]},
            "post_processor.pair with the texts is ['A', 'A', 'B']",
        ),
        (ONE | {"single": [special("[X]"), text("A")]}, "post_processor: '[X]' is not in the vocabulary"),
        (
            ONE | {"single": [special("<s>"), text("A")], "special_tokens": {"<s>": {"ids": [1, 2]}}},
            "post_processor.special_tokens.'<s>'.ids is [1, 2]; in-graph toy reproduces only [100], its id elsewhere",
        ),
        (
            {"type": "RobertaProcessing", "cls": ["<s>", 100], "sep": ["</s>", 7]},
            "post_processor is ['</s>', 7]; in-graph toy reproduces only tokens with the ids of the vocabulary",
        ),
        ({"type": "RobertaProcessing", "cls": ["<s>"]}, "post_processor.cls is ['<s>']"),
    ],
)
def test_other_post_processors_are_refused(post_processor: Any, message: str) -> None:
    with pytest.raises(CheckpointError) as error:
        read_templates("toy", FILE, {"post_processor": post_processor}, IDS)
    assert str(error.value).startswith(f"{FILE}: {message}")
    assert "\n" not in str(error.value)
