"""What transformers makes of a checkpoint's SentencePiece files, worked out without importing it.

`AutoTokenizer.from_pretrained(folder)` takes tokenizer.json, or else converts the `.model` file by the rules of its
class, and adds tokens to it (`added_tokens.py`). The result has the shape of tokenizer.json. `hugging_face.py` compares
it with transformers' own whenever Transform runs. No TensorFlow here.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.added_tokens import (
    Named,
    Token,
    Wrapped,
    as_json,
    content_of,
    in_order,
    listed_tokens,
    special_tokens,
    with_ids,
)
from models.tokenizers.family import ResolvedTokenizer
from models.tokenizers.sentencepiece.model_file import (
    CONTROL,
    MODEL_TYPES,
    UNIGRAM,
    USER_DEFINED,
    SentencePieceModel,
    read_model,
)
from models.tokenizers.sentencepiece.steps import META, SPACES, TITLE, refused
from models.tokenizers.tokenizer_files import (
    CONFIG_FILE,
    GENERIC_CLASS,
    TOKENIZER_FILE,
    TokenizerConfig,
    TokenizerFiles,
    check_keys,
    named_class,
    pads_on_any_side,
    part,
)

VOCABULARY_FILES = ("sentencepiece.bpe.model", "spiece.model", "spm.model", "sentencepiece.model")

_FAIRSEQ = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_ALBERT = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_REMBERT = {**_ALBERT, "unk_token": "[UNK]", "pad_token": "[PAD]"}
_XLNET = {**_FAIRSEQ, "sep_token": "<sep>", "cls_token": "<cls>"}

_ADDITIONAL = "additional_special_tokens"
_RAW = {"lstrip": True, "normalized": False}


@dataclass(frozen=True)
class UnigramClass:
    """What a class of transformers has of its own.

    `vocabulary_file`: its `.model` file. `defaults`: role -> its token, where no file names one. `template`: the texts and
    tokens of a row and of a pair, as its converter makes them. `mask`: how it makes an AddedToken of the mask token.
    `token_types`: whether it gives them. `slow_defaults`, `slow_flags`: what differs in the class that reads the `.model` file.
    `lower_case`, `keep_accents`: defaults of do_lower_case and keep_accents. `additional`: its additional special tokens.
    """

    vocabulary_file: str
    defaults: Mapping[str, str]
    template: tuple[str, str]
    mask: Mapping[str, bool] | None = None
    token_types: bool = True
    slow_defaults: Mapping[str, str] = field(default_factory=dict)
    slow_flags: Wrapped = field(default_factory=dict)
    lower_case: bool = False
    keep_accents: bool = False
    additional: tuple[str, ...] = ()


_XLNET_TEMPLATE = "A:0 <sep>:0 <cls>:2", "A:0 <sep>:0 B:1 <sep>:1 <cls>:2"
_FAIRSEQ_TEMPLATE = "<s>:0 A:0 </s>:0", "<s>:0 A:0 </s>:0 </s>:0 B:0 </s>:0"
_BERT_TEMPLATE = "[CLS]:0 A:0 [SEP]:0", "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1"

# Without "Fast". What each has is in the code of transformers 4.57.
UNIGRAM_CLASSES = {
    "XLMRobertaTokenizer": UnigramClass(
        "sentencepiece.bpe.model", _FAIRSEQ, _FAIRSEQ_TEMPLATE, mask=_RAW, token_types=False
    ),
    "CamembertTokenizer": UnigramClass(
        "sentencepiece.bpe.model",
        _FAIRSEQ,
        _FAIRSEQ_TEMPLATE,
        mask=_RAW,
        token_types=False,
        additional=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
    "AlbertTokenizer": UnigramClass("spiece.model", _ALBERT, _BERT_TEMPLATE, mask=_RAW, lower_case=True),
    "RemBertTokenizer": UnigramClass(
        "sentencepiece.model",
        _ALBERT,
        _BERT_TEMPLATE,
        mask=_RAW,
        slow_defaults=_REMBERT,
        slow_flags={"mask_token": {"lstrip": True, "normalized": True}},
        keep_accents=True,
    ),
    "XLNetTokenizer": UnigramClass(
        "spiece.model", _XLNET, _XLNET_TEMPLATE, mask=_RAW, additional=("<eop>", "<eod>")
    ),
    "DebertaV2Tokenizer": UnigramClass(
        "spm.model", _REMBERT, _BERT_TEMPLATE, slow_flags={"unk_token": {"normalized": True}}
    ),
}


Vocabulary: TypeAlias = "list[list[Any]]"  # a piece and its score, as tokenizer.json has them


class UnigramTokenizerConfig(TokenizerConfig):
    do_lower_case: bool | None = None
    keep_accents: bool | None = None
    split_by_punct: bool | None = None


class _Vocabulary(FromFile):
    vocab: list[Any]


def resolve_tokenizer(files: TokenizerFiles) -> ResolvedTokenizer:
    """Works out what `AutoTokenizer.from_pretrained` of their folder would be.

    Raises:
        CheckpointError: a file is missing or malformed, files contradict each other, or a key asks for a
            tokenizer that is not reproduced; the message names file and key.
    """
    check_keys(files)
    config = typed(UnigramTokenizerConfig, files.path(CONFIG_FILE), files.values)
    name, known = _known_class(files)
    own_side = "padding_side" not in files.values
    if name == "XLNetTokenizer" and own_side and not pads_on_any_side(files.folder):
        raise refused(files.path(CONFIG_FILE), "padding_side", "left (XLNetTokenizer's own)", "'right'")
    added = listed_tokens(files)
    specials = _special_tokens(files, config, added, known)
    if files.tokenizer is not None:
        file, state = files.path(TOKENIZER_FILE), files.state
    elif known is not None and files.has(known.vocabulary_file):
        file = files.path(known.vocabulary_file)
        state, of_model = _state_of_model(file, name, known, files)
        added = of_model + added
    else:
        wanted = TOKENIZER_FILE if known is None else f"{TOKENIZER_FILE} and no {known.vocabulary_file}"
        raise CheckpointError(
            f"{files.folder}: no {wanted}; give a checkpoint folder with its tokenizer files"
        )
    vocab, _ = ordered_vocabulary(file, state)
    listed = list(in_order(added, specials, copied=files.tokenizer is None))
    _check_normalized(listed)
    tokens = with_ids(vocab, _with_last_strips(listed), white_space=True)
    pad, names = specials.get("pad_token"), config.model_input_names
    return ResolvedTokenizer(
        file=file,
        state={**state, "added_tokens": tokens},
        pad_token=content_of(pad[0]) if pad else None,
        token_types=(known is None or known.token_types) if names is None else "token_type_ids" in names,
    )


def _special_tokens(
    files: TokenizerFiles,
    config: UnigramTokenizerConfig,
    added: Sequence[Token],
    known: UnigramClass | None,
) -> dict[str, list[Named]]:
    if known is None:
        return special_tokens(files, config, added, {}, {})
    defaults, wrapped = {**known.defaults}, dict[str, Mapping[str, bool]]()
    if known.mask is not None:
        wrapped["mask_token"] = known.mask
    if files.tokenizer is None:
        defaults |= known.slow_defaults
        wrapped |= known.slow_flags
    specials = special_tokens(files, config, added, defaults, wrapped)
    if known.additional and _ADDITIONAL not in files.values:
        extra = {role: specials.pop(role) for role in config.extra_special_tokens if role in specials}
        specials |= {_ADDITIONAL: list(known.additional), **extra}
    return specials


def _check_normalized(tokens: Sequence[Token]) -> None:
    """A token that is added again keeps the place where it is found, but is saved with the new flag.

    Raises:
        CheckpointError: so the tokenizer would be another one once it is saved.
    """
    first: dict[str, Token] = {}
    for token in tokens:
        known = first.setdefault(token.content, token)
        flags = [not one.special if one.normalized is None else one.normalized for one in (token, known)]
        if flags[0] != flags[1]:
            raise CheckpointError(
                f"{token.file}: {shown(token.content)} has normalized {as_json(flags[0])}, but {known.file.name} says "
                f"{as_json(flags[1])}; make the files agree"
            )


def _with_last_strips(tokens: Sequence[Token]) -> Iterator[Token]:
    """The symbols of a `.model` file have no flags of their own: those of the same token that is added later count."""
    last = {token.content: token for token in tokens}
    for token in tokens:
        if token.file.suffix == ".model":
            later = last[token.content]
            token = replace(token, lstrip=later.lstrip, rstrip=later.rstrip)
        yield token


def _known_class(files: TokenizerFiles) -> tuple[str, UnigramClass | None]:
    """The class that AutoTokenizer picks; None: the generic one, which takes tokenizer.json as it is."""
    file, name = named_class(files)
    if name == GENERIC_CLASS:
        return GENERIC_CLASS, None
    if name not in UNIGRAM_CLASSES:
        raise refused(file, "tokenizer_class", name, ", ".join([*UNIGRAM_CLASSES, GENERIC_CLASS]))
    return name, UNIGRAM_CLASSES[name]


def ordered_vocabulary(file: Path, state: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """`{"model": {"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1]]}}` -> `("<unk>", "a"), (0.0, -1.0)`.

    Raises:
        CheckpointError: another model, entries that are no piece with a score, or a piece that is listed twice.
    """
    listed = part(TITLE, file, state, "model", "Unigram", _Vocabulary).vocab
    for entry in listed:
        if not (
            isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is str and _is_score(entry[1])
        ):
            raise CheckpointError(
                f"{file}: model.vocab has {shown(entry)}; an entry is a piece and its score"
            )
    pieces = tuple(entry[0] for entry in listed)
    if len(set(pieces)) != len(pieces):
        [(twice, _)] = Counter(pieces).most_common(1)
        raise CheckpointError(f"{file}: model.vocab has the piece {shown(twice)} twice; list it once")
    return pieces, tuple(float(entry[1]) for entry in listed)


def _is_score(value: object) -> bool:
    return type(value) in (float, int) and math.isfinite(value)  # type: ignore[arg-type]  # one of these two


# --- from the `.model` file -----------------------------------------------------------------------------


def _state_of_model(
    file: Path, name: str, known: UnigramClass, files: TokenizerFiles
) -> tuple[dict[str, Any], list[Token]]:
    """What the converter of a class makes of its `.model` file, and the tokens that it adds."""
    model = read_model(file)
    if model.model_type != UNIGRAM:
        kind = MODEL_TYPES.get(model.model_type, model.model_type)
        raise refused(file, "trainer_spec.model_type", kind, "'unigram'")
    vocab, unk_id = _VOCABULARIES.get(name, _as_listed)(model)
    single, pair = known.template
    state = {
        "model": {"type": "Unigram", "unk_id": unk_id, "vocab": vocab},
        "normalizer": {"type": "Sequence", "normalizers": list(_normalizers(name, known, files, model))},
        "pre_tokenizer": _pre_tokenizer(name, files),
        "post_processor": {"type": "TemplateProcessing", "single": _row(single), "pair": _row(pair)},
    }
    tokens = [
        Token(file, piece.piece, normalized=False, special=piece.kind == CONTROL)
        for piece in model.pieces
        if piece.kind in (CONTROL, USER_DEFINED)
    ]
    return state, tokens


def _as_listed(model: SentencePieceModel) -> tuple[Vocabulary, int]:
    return [[piece.piece, piece.score] for piece in model.pieces], model.unk_id


def _without_digit_commas(model: SentencePieceModel) -> tuple[Vocabulary, int]:
    """Pieces that end with a digit and a comma are made improbable."""
    vocab, unk_id = _as_listed(model)
    return [[piece, score - 100 if _is_digit_comma(piece) else score] for piece, score in vocab], unk_id


def _is_digit_comma(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _fairseq(model: SentencePieceModel) -> tuple[Vocabulary, int]:
    before = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    return [*before, *_as_listed(model)[0][3:], ["<mask>", 0.0]], 3


def _camembert(model: SentencePieceModel) -> tuple[Vocabulary, int]:
    before = [
        ["<s>NOTUSED", 0.0],
        ["<pad>", 0.0],
        ["</s>NOTUSED", 0.0],
        ["<unk>", 0.0],
        ["<unk>NOTUSED", -100],
    ]
    return [*before, *_as_listed(model)[0][1:], ["<mask>", 0.0]], 3


_VOCABULARIES = {
    "AlbertTokenizer": _without_digit_commas,
    "XLNetTokenizer": _without_digit_commas,
    "XLMRobertaTokenizer": _fairseq,
    "CamembertTokenizer": _camembert,
}


def _normalizers(
    name: str, known: UnigramClass, files: TokenizerFiles, model: SentencePieceModel
) -> Iterator[dict[str, Any]]:
    """The steps of a class, in the order of its converter."""

    def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
        return {"type": "Replace", "pattern": pattern, "content": content}

    charsmap = base64.b64encode(model.charsmap).decode()
    precompiled = [{"type": "Precompiled", "precompiled_charsmap": charsmap}] if charsmap else []
    lower_case = [{"type": "Lowercase"}] if files.values.get("do_lower_case", known.lower_case) else []
    one_space = replace({"Regex": SPACES}, " ")
    if name in ("XLMRobertaTokenizer", "CamembertTokenizer"):
        yield from precompiled
        yield {"type": "Strip", "strip_left": False, "strip_right": True}
        yield replace({"Regex": SPACES}, META)
    elif name == "DebertaV2Tokenizer":
        yield from lower_case
        yield {"type": "Strip", "strip_left": True, "strip_right": True}
        yield from (*precompiled, one_space)
    else:
        yield replace({"String": "``"}, '"')
        yield replace({"String": "''"}, '"')
        yield from [one_space] if name == "RemBertTokenizer" else []
        if not files.values.get("keep_accents", known.keep_accents):
            yield from ({"type": "NFKD"}, {"type": "StripAccents"})
        yield from (*lower_case, *precompiled)
        yield from [one_space] if name != "RemBertTokenizer" else []


def _pre_tokenizer(name: str, files: TokenizerFiles) -> dict[str, Any]:
    metaspace = {"type": "Metaspace", "replacement": META, "prepend_scheme": "always", "split": True}
    if name == "DebertaV2Tokenizer" and files.values.get("split_by_punct", False):
        steps = [{"type": "Punctuation", "behavior": "Isolated"}, metaspace]
        return {"type": "Sequence", "pretokenizers": steps}
    return metaspace


def _row(template: str) -> list[dict[str, Any]]:
    """`"[CLS]:0 A:0"` -> the steps of a template in tokenizer.json."""
    steps = (step.rpartition(":") for step in template.split(" "))
    return [
        {"Sequence" if name in ("A", "B") else "SpecialToken": {"id": name, "type_id": int(kind)}}
        for name, _, kind in steps
    ]
