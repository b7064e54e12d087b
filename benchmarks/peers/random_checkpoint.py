"""Writes a checkpoint with random weights and a tokenizer trained on a file of texts. Runs in `.venv-bench`.

    python -m benchmarks.peers.random_checkpoint JOB.json

The job: {"folder": where to, "config": keys of config.json, "tokenizer": a key of TRAINERS, "texts": one a line}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, SentencePieceUnigramTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModel,
    DistilBertTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

_PIECES = 30_000  # at most; the texts of a small dataset give fewer
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _wordpiece(texts: Sequence[str], folder: Path) -> None:
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(texts, _PIECES, min_frequency=1, show_progress=False)
    tokenizer.save_model(str(folder))
    DistilBertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)


def _byte_bpe(texts: Sequence[str], folder: Path) -> None:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, _PIECES, min_frequency=1, show_progress=False, special_tokens=_SPECIAL
    )
    tokenizer.save_model(str(folder))
    RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)


def _unigram(texts: Sequence[str], folder: Path) -> None:
    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(
        texts, _PIECES, show_progress=False, special_tokens=_SPECIAL, unk_token="<unk>"
    )
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    XLMRobertaTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)


TRAINERS: Mapping[str, Callable[[Sequence[str], Path], None]] = {
    "wordpiece": _wordpiece,
    "byte_bpe": _byte_bpe,
    "unigram": _unigram,
}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    folder.mkdir(parents=True)
    TRAINERS[job["tokenizer"]](Path(job["texts"]).read_text(encoding="utf-8").splitlines(), folder)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**job["config"])).save_pretrained(folder)


if __name__ == "__main__":
    main()
