"""A tiny checkpoint of each architecture with its own tokenizer's files, as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from models.encoders.families import FAMILIES
from models.errors import CheckpointError
from models.features import TOKEN_TYPE_IDS
from models.tokenizers.family import load_spec
from tests.support import byte_bpe, sentencepiece
from tests.support.tiny_encoders import write_encoder
from tests.support.tiny_model import SPECIAL, rows, vocabulary

TEXTS = tuple(text for text, _ in rows(100))
_TOKENS = 400


def write_checkpoint(folder: Path, model_type: str) -> str:
    """Writes encoder and tokenizer into `folder`.

    Returns:
        Why the own tokenizer of the architecture is refused, in which case the files are GPT-2's; usually "".
    """
    folder.mkdir(parents=True)
    refused = ""
    try:
        _write_tokenizer(folder, _class_of(model_type))
        load_spec(folder)
    except CheckpointError as error:
        refused = str(error).replace(f"{folder}/", "")
        for path in folder.iterdir():
            path.unlink()
        _write_tokenizer(folder, "GPT2Tokenizer")
    spec = load_spec(folder)
    write_encoder(folder, model_type, learns=True, vocab_size=len(spec.tokens), pad_token_id=spec.pad_id)
    return refused


def has_pairs(folder: Path, model_type: str) -> bool:
    """Whether the rows are pairs: where the encoder reads token types and the tokenizer gives them."""
    spec = load_spec(folder)
    types = {kind for _, kind in spec.pair}
    return TOKEN_TYPE_IDS in FAMILIES[model_type].facts().INPUTS and spec.token_types and len(types) > 1


def _class_of(model_type: str) -> str:
    """The name of the tokenizer class without "Fast": `"gptj" -> "GPT2Tokenizer"`."""
    _, fast = TOKENIZER_MAPPING_NAMES[model_type]
    return str(fast).removesuffix("Fast")


def _write_tokenizer(folder: Path, name: str) -> None:
    if name in byte_bpe.CLASSES:
        byte_bpe.write_byte_bpe_tokenizer(folder, name, TEXTS, _TOKENS)
    elif name in sentencepiece.CLASSES:
        sentencepiece.write_sentencepiece_tokenizer(folder, name, TEXTS, _TOKENS)
    elif name == "OpenAIGPTTokenizer":
        _save(folder, name, _bpe(end_of_word_suffix="</w>"), {"unk_token": "<unk>", "pad_token": "<unk>"})
    elif name == "LlamaTokenizer":
        _save(folder, name, _byte_fallback(), {"pad_token": "<unk>"})
    else:
        _write_wordpiece(folder, name)


def _write_wordpiece(folder: Path, name: str) -> None:
    special = ("<pad>", "[UNK]", "<s>", "</s>", "<mask>") if name == "MPNetTokenizer" else SPECIAL
    words = [word for word in vocabulary() if word not in SPECIAL]
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token in (*special, *words)), encoding="utf-8")
    getattr(transformers, f"{name}Fast")(vocab_file=str(vocab)).save_pretrained(folder)


def _bpe(**options: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **options))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=_TOKENS, special_tokens=["<unk>"], show_progress=False, **options
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _byte_fallback() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=_TOKENS, special_tokens=special, max_token_length=16, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _save(folder: Path, name: str, tokenizer: Tokenizer, special: dict[str, str]) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": name, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
