"""The SentencePiece Unigram tokenization of a checkpoint, as the graph needs to know it. No TensorFlow here.

Only what `graph.py` reproduces token for token is accepted; anything else is refused with the file and the key that
say it, because a tokenizer that is nearly right costs accuracy silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import CheckpointError
from models.files import FromFile, shown
from models.tokenizers.added_tokens import FoundToken, check_white_space, found_tokens
from models.tokenizers.family import ResolvedTokenizer, Template
from models.tokenizers.sentencepiece.steps import (
    TITLE,
    Metaspace,
    Normalizer,
    Splitter,
    read_normalizers,
    read_pre_tokenizer,
    refused,
)
from models.tokenizers.sentencepiece.unigram_tokenizer import ordered_vocabulary, resolve_tokenizer
from models.tokenizers.templates import read_templates
from models.tokenizers.tokenizer_files import TokenizerFiles, part

TFLITE_TOKENIZER = None  # TFLite metadata has no options for it
WORD_OPTIONS: dict[str, bool] = {}


@dataclass(frozen=True)
class SentencepieceSpec:
    """One Unigram tokenization, with the templates of a text and of a pair.

    `vocab[i]` is the piece with the id i, of the log probability `scores[i]`; added tokens may have ids past its end.
    `normalizers` change a text, then `splitters` and `metaspace` split it. `found`: the added tokens.
    `file` is named in error messages.
    """

    vocab: tuple[str, ...]
    scores: tuple[float, ...]
    unk_id: int
    normalizers: tuple[Normalizer, ...]
    splitters: tuple[Splitter, ...]
    metaspace: Metaspace
    single: Template
    pair: Template
    pad_token: str
    found: tuple[FoundToken, ...] = ()
    token_types: bool = False
    file: Path = Path()

    @property
    def raw_tokens(self) -> tuple[FoundToken, ...]:
        """The added tokens that are found before a text is normalized."""
        return tuple(token for token in self.found if not token.normalized)

    @property
    def normalized_tokens(self) -> tuple[FoundToken, ...]:
        """Those that are found in normalized text, as they are found there."""
        return _normalized(self.found, self.normalizers)

    @property
    def pad_id(self) -> int:
        added = dict(self.added_tokens)
        return added[self.pad_token] if self.pad_token in added else self.vocab.index(self.pad_token)

    @property
    def added_tokens(self) -> tuple[tuple[str, int], ...]:
        return tuple((token.content, token.id) for token in self.found)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token, those past the vocabulary too; the index is the id."""
        return self.vocab + tuple(token.content for token in self.found if token.id >= len(self.vocab))


class _Unigram(FromFile):
    """`vocab` is read by `ordered_vocabulary`."""

    unk_id: int | None = None
    byte_fallback: bool = False


def read_spec(files: TokenizerFiles) -> SentencepieceSpec:
    """Reads a checkpoint's tokenizer files; neither TensorFlow nor transformers is imported.

    Raises:
        CheckpointError: no tokenizer file, files that contradict each other, or a tokenization that cannot be
            reproduced exactly; the message names the file and the key.
    """
    return make_spec(resolve_tokenizer(files))


def make_spec(resolved: ResolvedTokenizer) -> SentencepieceSpec:
    """Raises CheckpointError where the graph could only nearly reproduce the tokenizer."""
    file, state = resolved.file, resolved.state
    model = part(TITLE, file, state, "model", "Unigram", _Unigram)
    vocab, scores = ordered_vocabulary(file, state)
    unk_id = _checked_model(file, model, vocab, scores)
    normalizers = read_normalizers(file, state.get("normalizer"))
    splitters, metaspace = read_pre_tokenizer(file, state.get("pre_tokenizer"))
    found = found_tokens(TITLE, file, state)
    if metaspace.prepend == "first":  # depends on where in the raw text a word begins
        raise refused(file, "pre_tokenizer.prepend_scheme", "first", "'always' and 'never'")
    _check_normalized(file, found, normalizers)
    ids = {piece: i for i, piece in enumerate(vocab)} | {token.content: token.id for token in found}
    single, pair = read_templates(TITLE, file, state, ids)
    if resolved.pad_token is None or resolved.pad_token not in ids:
        raise refused(file, "pad_token", resolved.pad_token, "tokenizers that have one")
    return SentencepieceSpec(
        vocab=vocab,
        scores=scores,
        unk_id=unk_id,
        normalizers=normalizers,
        splitters=splitters,
        metaspace=metaspace,
        single=single,
        pair=pair,
        pad_token=resolved.pad_token,
        found=found,
        token_types=resolved.token_types,
        file=file,
    )


def _checked_model(file: Path, model: _Unigram, vocab: Sequence[str], scores: Sequence[float]) -> int:
    """The id of the unknown piece."""
    if model.byte_fallback:
        raise refused(file, "model.byte_fallback", True, "false")
    if model.unk_id is None or not 0 <= model.unk_id < len(vocab):
        raise refused(file, "model.unk_id", model.unk_id, f"an id of the {len(vocab)} pieces")
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] > 0:
        # Unknown characters side by side could else be a piece that is worse than each of them.
        raise refused(
            file, f"the score of the piece {shown(vocab[best])}", scores[best], "log probabilities, up to 0"
        )
    unknown = vocab[model.unk_id]
    repeated = [piece for piece in vocab if piece not in ("", unknown) and not piece.replace(unknown, "")]
    if repeated:
        raise refused(file, "model.vocab", repeated[0], f"vocabularies without {shown(unknown)} repeated")
    return model.unk_id


def _normalized(found: Sequence[FoundToken], normalizers: Sequence[Normalizer]) -> tuple[FoundToken, ...]:
    tokens = [token for token in found if token.normalized]
    if not tokens:
        return ()
    # Few tokenizers need it, and each run would wait for it.
    from models.tokenizers.sentencepiece.normalization import normalized

    return tuple(replace(token, content=normalized(normalizers, token.content)) for token in tokens)


def _check_normalized(file: Path, found: Sequence[FoundToken], normalizers: Sequence[Normalizer]) -> None:
    seen: dict[str, str] = {}
    tokens = _normalized(found, normalizers)
    for token in tokens:
        original = next(other.content for other in found if other.id == token.id)
        if token.content != token.content.strip() or not token.content:
            raise CheckpointError(
                f"{file}: the added token {shown(original)} is empty once normalized, or has white space at an end; leave it "
                "out, or set normalized to false"
            )
        if token.content in seen:
            raise CheckpointError(
                f"{file}: the added tokens {shown(seen[token.content])} and {shown(original)} are both "
                f"{shown(token.content)} once normalized; only one can be found"
            )
        seen[token.content] = original
    check_white_space(TITLE, file, tokens)
