"""Every tokenizer class with WordPiece, from the files that it saves and from vocab.txt alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import AutoTokenizer

from models.tokenizers.family import load_spec
from models.tokenizers.hugging_face import verified_spec
from tests.support.tokenizers import model_inputs

CLASSES = {
    "BertTokenizer": "bert",
    "DistilBertTokenizer": "distilbert",
    "ElectraTokenizer": "electra",
    "MobileBertTokenizer": "mobilebert",
    "ConvBertTokenizer": "convbert",
    "LayoutLMTokenizer": "layoutlm",
    "MPNetTokenizer": "mpnet",
    "FunnelTokenizer": "funnel",
}
SPECIAL = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    "<cls>",
    "<sep>",
    "<mask>",
]
WORDS = [*SPECIAL, "the", "cat", "##s", "a", "<", "mask", ">", "["]  # ids 12 to 19
FIRST = ["The cats", "a <mask> the  <mask>[MASK] <sep>", ""]
SECOND = ["a a a a a a a", "cat", "</s>"]


def written(folder: Path, name: str, kept: str) -> Path:
    """A checkpoint's folder with what the class saves, or less of it."""
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token in WORDS))
    tokenizer = getattr(transformers, f"{name}Fast")(vocab_file=str(vocab))
    if kept != "vocab.txt alone":
        tokenizer.save_pretrained(folder)
    if kept == "tokenizer.json alone":
        for file in ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            (folder / file).unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": CLASSES[name]}))
    return folder


@pytest.fixture(params=["all files", "vocab.txt alone", "tokenizer.json alone"])
def kept(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("name", CLASSES)
def test_rows_are_those_of_transformers(tmp_path: Path, name: str, kept: str) -> None:
    folder = written(tmp_path, name, kept)
    assert verified_spec(folder) == load_spec(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(tokenizer).__name__ == f"{name}Fast"
    for texts in ([FIRST], [FIRST, SECOND]):
        wanted = tokenizer(*texts, truncation=True, max_length=8, return_attention_mask=False)
        rows = model_inputs(folder, texts, 8)
        assert rows["input_ids"] == wanted["input_ids"]
        zeros = [[0] * len(row) for row in wanted["input_ids"]]
        assert rows.get("token_type_ids", zeros) == wanted.get("token_type_ids", zeros)


@pytest.mark.parametrize(
    ("name", "single", "pair"),
    [
        ("BertTokenizer", ((2, 0), ("A", 0), (3, 0)), ((2, 0), ("A", 0), (3, 0), ("B", 1), (3, 1))),
        (
            "MPNetTokenizer",
            ((5, 0), ("A", 0), (6, 0)),
            ((5, 0), ("A", 0), (6, 0), (6, 0), ("B", 1), (6, 1)),
        ),
        ("FunnelTokenizer", ((9, 2), ("A", 0), (10, 0)), ((9, 2), ("A", 0), (10, 0), ("B", 1), (10, 1))),
    ],
)
def test_each_class_has_its_templates(tmp_path: Path, name: str, single: Any, pair: Any) -> None:
    spec = load_spec(written(tmp_path, name, "vocab.txt alone"))
    assert (spec.single, spec.pair) == (single, pair)


def test_token_types_are_given_where_the_class_has_them(tmp_path: Path) -> None:
    types = {}
    for name in CLASSES:
        (tmp_path / name).mkdir()
        types[name] = load_spec(written(tmp_path / name, name, "vocab.txt alone")).token_types
    assert [name for name in CLASSES if not types[name]] == ["DistilBertTokenizer", "MPNetTokenizer"]
