"""SentencePiece tokenizers, trained on the spot, as the files of a checkpoint folder."""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import transformers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from models.tokenizers.sentencepiece.model_file import parse_model
from tests.support.unicode_texts import generated_texts

ENGLISH = [
    "the cat sat on the mat, and it's the cat's: they're a cat, we've 123 cats! I'll say it isn't.",
    "a b a b the the THE Cat un believe able who was one of the 1990s 2000 e-mail http://a.b/c 1,2, 3,",
]
# Class without "Fast" -> the name of its `.model` file, model_type, and how its SentencePiece model is trained.
CLASSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "XLMRobertaTokenizer": ("sentencepiece.bpe.model", "xlm-roberta", {}),
    "CamembertTokenizer": ("sentencepiece.bpe.model", "camembert", {}),
    "AlbertTokenizer": (
        "spiece.model",
        "albert",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"},
    ),
    "RemBertTokenizer": (
        "sentencepiece.model",
        "rembert",
        {
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "pad_piece": "[PAD]",
            "unk_piece": "[UNK]",
            "control_symbols": "[CLS],[SEP],[MASK]",
        },
    ),
    "XLNetTokenizer": (
        "spiece.model",
        "xlnet",
        {
            "unk_id": 0,
            "bos_id": 1,
            "eos_id": 2,
            "control_symbols": "<cls>,<sep>,<pad>,<mask>,<eod>",
            "user_defined_symbols": "<eop>,.",
        },
    ),
    "DebertaV2Tokenizer": (
        "spm.model",
        "deberta-v2",
        {
            "pad_id": 0,
            "bos_id": 1,
            "eos_id": 2,
            "unk_id": 3,
            "pad_piece": "[PAD]",
            "bos_piece": "[CLS]",
            "eos_piece": "[SEP]",
            "unk_piece": "[UNK]",
        },
    ),
}


@functools.cache
def trained_model(name: str, texts: tuple[str, ...] = (), size: int = 2000) -> bytes:
    """A Unigram model as the class needs it, with SentencePiece's usual normalization; default: of generated texts."""
    _, _, options = CLASSES[name]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts or [*ENGLISH * 50, *generated_texts(1500, seed=7)]),
        model_writer=model,
        vocab_size=size,
        character_coverage=0.98,  # some characters stay unknown
        hard_vocab_limit=False,
        num_threads=1,
        num_sub_iterations=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def charsmap() -> str:
    """SentencePiece's usual normalization, nmt_nfkc, as tokenizer.json has it."""
    return base64.b64encode(parse_model(trained_model("XLMRobertaTokenizer")).charsmap).decode()


def write_model_file(
    folder: Path,
    name: str = "XLMRobertaTokenizer",
    texts: tuple[str, ...] = (),
    size: int = 2000,
    **config: Any,
) -> Path:
    """Writes the `.model` file, config.json and, of `config`, tokenizer_config.json into a folder that exists."""
    file, model_type, _ = CLASSES[name]
    (folder / file).write_bytes(trained_model(name, texts, size))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def write_sentencepiece_tokenizer(
    folder: Path,
    name: str = "XLMRobertaTokenizer",
    texts: tuple[str, ...] = (),
    size: int = 2000,
    **options: Any,
) -> Path:
    """Writes what the class saves, which takes the `options`, into a folder that exists."""
    if name == "RemBertTokenizer":  # its own, of the `.model` file, is another one once it is saved
        mask = AddedToken("[MASK]", lstrip=True, normalized=False, special=True)
        options.setdefault("mask_token", mask)
    write_model_file(folder, name, texts, size)
    tokenizer = getattr(transformers, f"{name}Fast").from_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    return folder


def write_unigram_tokenizer(folder: Path, texts: Sequence[str] = (), size: int = 2000) -> Path:
    """Writes a tokenizer.json that `tokenizers` trained, whose scores are float64, into a folder that exists.

    It has no class of its own, splits at white space and has no character map.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.Lowercase(),
            normalizers.Prepend(" "),
            normalizers.Replace("the", "a"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="never")]
    )
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts or [*ENGLISH * 50, *generated_texts(1500, seed=8)], trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def write_pieces(folder: Path, pieces: Sequence[tuple[str, float]], **changes: Any) -> Path:
    """Writes a tokenizer.json with the pieces after `<unk>` and `<pad>` into a folder that exists.

    `changes`: other values of its keys, such as `normalizer={"type": "NFKD"}`.
    """
    special = [{"id": i, "content": token, "special": True} for i, token in enumerate(("<unk>", "<pad>"))]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    state = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [flags | token for token in special],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "Unigram",
            "unk_id": 0,
            "vocab": [["<unk>", 0.0], ["<pad>", 0.0], *(list(piece) for piece in pieces)],
            "byte_fallback": False,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(state | changes))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
