"""The tokenization, as the graph needs to know it. No TensorFlow here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.tokenizers.family import FIRST, SECOND, ResolvedTokenizer, Template
from models.tokenizers.tokenizer_files import TOKENIZER_FILE, TokenizerFiles

WORD_OPTIONS: dict[str, bool] = {}


@dataclass(frozen=True)
class WordSpec:
    """`<s> A </s>`, or `<s> A </s> </s> B </s>`."""

    file: Path
    vocab: tuple[str, ...]
    added_tokens: tuple[tuple[str, int], ...]
    unk_token: str
    pad_token: str
    token_types: bool

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.vocab

    @property
    def pad_id(self) -> int:
        return self.vocab.index(self.pad_token)

    @property
    def single(self) -> Template:
        return (self.vocab.index("<s>"), 0), (FIRST, 0), (self.vocab.index("</s>"), 0)

    @property
    def pair(self) -> Template:
        end = (self.vocab.index("</s>"), 0)
        return *self.single, end, (SECOND, 0), end


def read_spec(files: TokenizerFiles) -> WordSpec:
    resolved = ResolvedTokenizer(
        file=files.path(TOKENIZER_FILE),
        state=files.state,
        pad_token=files.config["pad_token"],
        token_types="token_type_ids" in files.config["model_input_names"],
    )
    return make_spec(resolved)


def make_spec(resolved: ResolvedTokenizer) -> WordSpec:
    model, pad_token = resolved.state["model"], resolved.pad_token
    assert pad_token is not None
    return WordSpec(
        file=resolved.file,
        vocab=tuple(sorted(model["vocab"], key=model["vocab"].__getitem__)),
        added_tokens=tuple((token["content"], token["id"]) for token in resolved.state["added_tokens"]),
        unk_token=model["unk_token"],
        pad_token=pad_token,
        token_types=resolved.token_types,
    )
