"""What transformers makes of a checkpoint's WordPiece tokenizer files, worked out without importing it.

`AutoTokenizer.from_pretrained(folder)` takes tokenizer.json, or else makes the same of vocab.txt, and adds tokens
to it (`added_tokens.py`). The result is told here in the shape of tokenizer.json. `hugging_face.py` holds it to
transformers' own whenever Transform runs. No TensorFlow here.
"""

from __future__ import annotations

import functools
import io
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import CheckpointError
from models.files import FromFile, read_text, shown, typed
from models.tokenizers.added_tokens import (
    Named,
    Wrapped,
    as_json,
    content_of,
    in_order,
    listed_tokens,
    special_tokens,
    with_ids,
)
from models.tokenizers.family import ResolvedTokenizer
from models.tokenizers.tokenizer_files import (
    CONFIG_FILE,
    GENERIC_CLASS,
    TOKENIZER_FILE,
    TokenizerConfig,
    TokenizerFiles,
    check_keys,
    named_class,
)
from models.tokenizers.tokenizer_files import refused as refused_by

VOCABULARY_FILE = "vocab.txt"


@dataclass(frozen=True)
class BertClass:
    """What a class of transformers has of its own.

    `defaults`: role -> its token, where no file names one. `token_types`: whether it gives token types. `wrapped`: how
    the class makes AddedTokens of texts; `wrapped_slow`: how the class does that reads vocab.txt. `single`, `pair`: what its
    converter makes, CLS:0 A:0 SEP:0.
    """

    defaults: Mapping[str, str]
    token_types: bool = True
    wrapped: Wrapped = field(default_factory=dict)
    wrapped_slow: Wrapped = field(default_factory=dict)
    single: str = "CLS:0 A:0 SEP:0"
    pair: str = "CLS:0 A:0 SEP:0 B:1 SEP:1"


_BERT = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_MPNET = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "[UNK]",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_FUNNEL = {**_MPNET, "unk_token": "<unk>", "sep_token": "<sep>", "cls_token": "<cls>"}
# Without "Fast". What differs from BertTokenizer is in the code of transformers 4.57.
BERT_CLASSES = {
    "BertTokenizer": BertClass(_BERT),
    "DistilBertTokenizer": BertClass(_BERT, token_types=False),
    "ElectraTokenizer": BertClass(_BERT),
    "MobileBertTokenizer": BertClass(_BERT),
    "ConvBertTokenizer": BertClass(_BERT),
    "LayoutLMTokenizer": BertClass(_BERT),
    "MPNetTokenizer": BertClass(
        _MPNET,
        token_types=False,
        wrapped={role: {"lstrip": role == "mask_token"} for role in _MPNET},
        wrapped_slow={role: {"lstrip": role == "mask_token", "special": True} for role in _MPNET},
        pair="CLS:0 A:0 SEP:0 SEP:0 B:1 SEP:1",
    ),
    "FunnelTokenizer": BertClass(_FUNNEL, single="CLS:2 A:0 SEP:0", pair="CLS:2 A:0 SEP:0 B:1 SEP:1"),
}

TITLE = "WordPiece"
refused = functools.partial(refused_by, TITLE)


class BertTokenizerConfig(TokenizerConfig):
    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None


class _Vocabulary(FromFile):
    vocab: dict[str, int]


def resolve_tokenizer(files: TokenizerFiles) -> ResolvedTokenizer:
    """Works out what `AutoTokenizer.from_pretrained` of their folder would be.

    Raises:
        CheckpointError: a file is missing or malformed, files contradict each other, or a key asks for a
            tokenizer that is not reproduced; the message names file and key.
    """
    check_keys(files)
    config = typed(BertTokenizerConfig, files.path(CONFIG_FILE), files.values)
    known = _known_class(files)
    added = listed_tokens(files)
    wrapped = {} if known is None else known.wrapped_slow if files.tokenizer is None else known.wrapped
    specials = special_tokens(files, config, added, known.defaults if known else {}, wrapped)
    if files.tokenizer is not None:
        state = _state_of_json(files, config if known else None)
    elif files.has(VOCABULARY_FILE) and known:
        state = _state_of_vocabulary(files, config, specials, known)
    else:
        wanted = f"{TOKENIZER_FILE} and no {VOCABULARY_FILE}" if known else TOKENIZER_FILE
        raise CheckpointError(
            f"{files.folder}: no {wanted}; give a checkpoint folder with its tokenizer files"
        )
    file = files.path(TOKENIZER_FILE if files.tokenizer is not None else VOCABULARY_FILE)
    tokens = with_ids(
        ordered_vocabulary(file, state), in_order(added, specials, copied=files.tokenizer is None)
    )
    if files.tokenizer is None:
        _check_found_in_normalized_text(files, tokens)
    pad = specials.get("pad_token")
    names = config.model_input_names
    return ResolvedTokenizer(
        file=file,
        state={**state, "added_tokens": tokens},
        pad_token=content_of(pad[0]) if pad else None,
        token_types=(known is None or known.token_types) if names is None else "token_type_ids" in names,
    )


def _check_found_in_normalized_text(files: TokenizerFiles, tokens: Sequence[Mapping[str, Any]]) -> None:
    """Without a basic tokenizer, transformers adds the tokens before it sets the normalizer.

    They are then compared, as they are written, with text that is normalized: `[E1]` is never found. Nothing of
    this is to be seen in the tokenizer that it makes.
    """
    if files.values.get("do_basic_tokenize", True):
        return
    for token in tokens:
        if token["normalized"]:
            raise files.refused(
                files.of_key("do_basic_tokenize"),
                "do_basic_tokenize",
                False,
                f"true beside the added token {shown(token['content'])}, which is found in normalized text",
            )


def _known_class(files: TokenizerFiles) -> BertClass | None:
    """The class that AutoTokenizer picks; None: the generic one, which takes tokenizer.json as it is."""
    file, name = named_class(files)
    if name == GENERIC_CLASS:
        return None
    if name is not None and name not in BERT_CLASSES:
        raise refused(file, "tokenizer_class", name, ", ".join([*BERT_CLASSES, GENERIC_CLASS]))
    return BERT_CLASSES[name or "BertTokenizer"]


def ordered_vocabulary(file: Path, state: Mapping[str, Any]) -> tuple[str, ...]:
    """`{"model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "a": 1}}}` -> `("[PAD]", "a")`.

    Raises:
        CheckpointError: another model, or ids that are not 0, 1, 2 ... without a gap.
    """
    model = state.get("model")
    kind = model.get("type") if isinstance(model, dict) else model
    if not isinstance(model, dict) or kind != "WordPiece":
        raise refused(file, "model.type", kind, "'WordPiece'")
    by_id = sorted(typed(_Vocabulary, file, model, "model").vocab.items(), key=lambda item: item[1])
    for wanted, (token, index) in enumerate(by_id):
        if index != wanted:
            raise CheckpointError(
                f"{file}: model.vocab has no id {wanted} before {shown(token)} ({index}); ids must be 0, 1, 2 ..."
            )
    return tuple(token for token, _ in by_id)


def _state_of_json(files: TokenizerFiles, config: BertTokenizerConfig | None) -> Mapping[str, Any]:
    """`config`: of BERT's classes, which let it, and its defaults, win over tokenizer.json.

    Both are the checkpoint's word, so where they differ there is no right answer to reproduce.
    """
    file, normalizer = files.path(TOKENIZER_FILE), files.state.get("normalizer")
    if config is not None and isinstance(normalizer, dict):
        for key, theirs, said in _switches(config):
            if normalizer.get(key, said) != said:
                how = "says" if theirs in files.values else "is silent, which Hugging Face reads as"
                raise CheckpointError(
                    f"{file}: normalizer.{key} is {as_json(normalizer[key])} but {files.of_key(theirs).name} {how} "
                    f"{theirs} {as_json(said)}; make the two files agree"
                )
    return files.state


def _switches(config: BertTokenizerConfig) -> Iterator[tuple[str, str, bool | None]]:
    """(name in tokenizer.json, name in tokenizer_config.json, value)."""
    yield "lowercase", "do_lower_case", config.do_lower_case
    yield "strip_accents", "strip_accents", config.strip_accents
    yield "handle_chinese_chars", "tokenize_chinese_chars", config.tokenize_chinese_chars


def _state_of_vocabulary(
    files: TokenizerFiles,
    config: BertTokenizerConfig,
    specials: Mapping[str, list[Named]],
    known: BertClass,
) -> Mapping[str, Any]:
    """What transformers' converter of the class makes of vocab.txt."""
    for role in ("unk_token", "cls_token", "sep_token"):
        if role not in specials:
            raise refused(files.of_key(role), role, None, "tokenizers that have one")
    cls, sep = (content_of(specials[role][0]) for role in ("cls_token", "sep_token"))
    for role, token in (("cls_token", cls), ("sep_token", sep)):
        if set(token) & {*string.whitespace, ":", "$"}:
            raise refused(
                files.of_key(role),
                role,
                token,
                "tokens that fit transformers' template: no space, ':' or '$'",
            )
    names = {"CLS": cls, "SEP": sep}
    single, pair = ([_step(step, names) for step in steps.split()] for steps in (known.single, known.pair))
    return {
        "model": {
            "type": "WordPiece",
            "vocab": _lines(files.path(VOCABULARY_FILE)),
            "unk_token": content_of(specials["unk_token"][0]),
        },
        "normalizer": {"type": "BertNormalizer", **{key: value for key, _, value in _switches(config)}},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair},
    }


def _step(step: str, names: Mapping[str, str]) -> dict[str, Any]:
    """`"A:0"` -> `{"Sequence": {"id": "A", "type_id": 0}}`; CLS and SEP are special tokens."""
    name, _, type_id = step.partition(":")
    kind = "SpecialToken" if name in names else "Sequence"
    return {kind: {"id": names.get(name, name), "type_id": int(type_id)}}


def _lines(file: Path) -> dict[str, int]:
    """Token -> line from 0; lines end where they do for Python's open(), at \\r too."""
    lines = [line.rstrip("\n") for line in io.StringIO(read_text(file), newline=None)]
    vocab = {token: index for index, token in enumerate(lines)}
    if len(vocab) != len(lines):
        twice = next(token for index, token in enumerate(lines) if vocab[token] != index)
        raise CheckpointError(f"{file}: {shown(twice)} is there twice; a token must have one line")
    return vocab
