"""What transformers makes of a checkpoint's byte-level BPE files, worked out without importing it.

`AutoTokenizer.from_pretrained(folder)` takes tokenizer.json, or else makes the same of vocab.json and merges.txt, and
adds tokens to it (`added_tokens.py`). The result has the shape of tokenizer.json. `hugging_face.py` compares it with
transformers' own whenever Transform runs. No TensorFlow here.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from models.errors import CheckpointError
from models.files import FromFile, read_json, read_text, shown, typed
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
    part,
)
from models.tokenizers.tokenizer_files import refused as refused_by

TITLE = "byte-level BPE"
VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"

refused = functools.partial(refused_by, TITLE)


@dataclass(frozen=True)
class BpeClass:
    """What a class of transformers has of its own.

    `defaults`: role -> its token, where no file names one. `token_types`: whether it gives token types. `wrapped`: how
    the class makes AddedTokens of texts; `wrapped_slow`: how the class does that reads vocab.json. `post_processor`: what
    its converter makes.
    """

    defaults: Mapping[str, str]
    post_processor: str
    token_types: bool = False
    wrapped: Wrapped = field(default_factory=dict)
    wrapped_slow: Wrapped = field(default_factory=dict)


_ROBERTA = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_DEBERTA = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_GPT2 = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
_PLAIN: Wrapped = {role: {} for role in _ROBERTA}
_RAW_MASK = {"lstrip": True, "normalized": False}
# Without "Fast". What each has is in the code of transformers 4.57.
BPE_CLASSES = {
    name: BpeClass(
        _ROBERTA,
        "RobertaProcessing",
        wrapped={"mask_token": _RAW_MASK},
        wrapped_slow={**_PLAIN, "mask_token": _RAW_MASK},
    )
    for name in ("RobertaTokenizer", "LongformerTokenizer")
} | {
    "BartTokenizer": BpeClass(
        _ROBERTA,
        "RobertaProcessing",
        wrapped={"mask_token": {"lstrip": True, "normalized": True, "special": True}},
        wrapped_slow={**_PLAIN, "mask_token": {"lstrip": True}},
    ),
    "DebertaTokenizer": BpeClass(
        _DEBERTA,
        "TemplateProcessing",
        token_types=True,
        wrapped_slow={role: {"special": True} for role in _DEBERTA} | {"mask_token": {"lstrip": True}},
    ),
    "GPT2Tokenizer": BpeClass(
        _GPT2,
        "ByteLevel",
        wrapped_slow={role: {} for role in (*_GPT2, "pad_token")},
    ),
}


class BpeTokenizerConfig(TokenizerConfig):
    add_prefix_space: bool = False
    add_bos_token: bool = False


class _Vocabulary(FromFile):
    vocab: dict[str, Annotated[int, Field(ge=0)]]


def resolve_tokenizer(files: TokenizerFiles) -> ResolvedTokenizer:
    """Works out what `AutoTokenizer.from_pretrained` of their folder would be.

    Raises:
        CheckpointError: a file is missing or malformed, files contradict each other, or a key asks for a
            tokenizer that is not reproduced; the message names file and key.
    """
    check_keys(files)
    config = typed(BpeTokenizerConfig, files.path(CONFIG_FILE), files.values)
    known = _known_class(files)
    added = listed_tokens(files)
    wrapped = {} if known is None else known.wrapped_slow if files.tokenizer is None else known.wrapped
    specials = special_tokens(files, config, added, known.defaults if known else {}, wrapped)
    if files.tokenizer is not None:
        state = _state_of_json(files, config)
    elif known is not None and files.has(VOCABULARY_FILE) and files.has(MERGES_FILE):
        state = _state_of_vocabulary(files, config, specials, known)
    else:
        wanted = f"{TOKENIZER_FILE}, and not both {VOCABULARY_FILE} and {MERGES_FILE}"
        raise CheckpointError(
            f"{files.folder}: no {wanted if known else TOKENIZER_FILE}; give a checkpoint folder with its tokenizer files"
        )
    file = files.path(TOKENIZER_FILE if files.tokenizer is not None else VOCABULARY_FILE)
    vocab = ordered_vocabulary(file, state)
    tokens = with_ids(vocab, in_order(added, specials, copied=files.tokenizer is None), white_space=True)
    pad, names = specials.get("pad_token"), config.model_input_names
    return ResolvedTokenizer(
        file=file,
        state={**state, "added_tokens": tokens},
        pad_token=content_of(pad[0]) if pad else None,
        token_types=(known is None or known.token_types) if names is None else "token_type_ids" in names,
    )


def _known_class(files: TokenizerFiles) -> BpeClass | None:
    """The class that AutoTokenizer picks; None: the generic one, which takes tokenizer.json as it is."""
    file, name = named_class(files)
    if name == GENERIC_CLASS:
        return None
    if name not in BPE_CLASSES:
        raise refused(file, "tokenizer_class", name, ", ".join([*BPE_CLASSES, GENERIC_CLASS]))
    return BPE_CLASSES[name]


def ordered_vocabulary(file: Path, state: Mapping[str, Any]) -> tuple[str, ...]:
    """`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}}` -> `("a", "b")`.

    Raises:
        CheckpointError: another model, or ids that are not 0, 1, 2 ... without a gap.
    """
    vocab = part(TITLE, file, state, "model", "BPE", _Vocabulary).vocab
    by_id = sorted(vocab.items(), key=lambda item: item[1])
    for wanted, (token, index) in enumerate(by_id):
        if index != wanted:
            raise CheckpointError(
                f"{file}: model.vocab has no id {wanted} before {shown(token)} ({index}); ids must be 0, 1, 2 ..."
            )
    return tuple(token for token, _ in by_id)


def _state_of_json(files: TokenizerFiles, config: BpeTokenizerConfig) -> Mapping[str, Any]:
    """tokenizer_config.json, and its defaults, win over the pre-tokenizer of tokenizer.json.

    Both are the checkpoint's word, so where they differ there is no right answer to reproduce.
    """
    file, pre_tokenizer = files.path(TOKENIZER_FILE), files.state.get("pre_tokenizer")
    said = config.add_prefix_space
    if isinstance(pre_tokenizer, dict) and pre_tokenizer.get("add_prefix_space", said) != said:
        how = "says" if "add_prefix_space" in files.values else "is silent, which Hugging Face reads as"
        raise CheckpointError(
            f"{file}: pre_tokenizer.add_prefix_space is {as_json(pre_tokenizer['add_prefix_space'])} but "
            f"{files.of_key('add_prefix_space').name} {how} add_prefix_space {as_json(said)}; make the two files agree"
        )
    return files.state


def _state_of_vocabulary(
    files: TokenizerFiles,
    config: BpeTokenizerConfig,
    specials: Mapping[str, list[Named]],
    known: BpeClass,
) -> Mapping[str, Any]:
    """What transformers' converter of the class makes of vocab.json and merges.txt."""
    vocab = read_json(files.path(VOCABULARY_FILE))
    model = {"type": "BPE", "vocab": vocab, "merges": _merges(files.path(MERGES_FILE))}
    return {
        "model": model,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": config.add_prefix_space},
        "post_processor": _post_processor(files, config, specials, known, vocab),
    }


def _merges(file: Path) -> list[list[str]]:
    """The lines after the first one, which transformers takes for a header; what follows the last line end is no line."""
    lines = read_text(file).replace("\r\n", "\n").replace("\r", "\n").split("\n")[1:-1]
    merges = [line.split() for line in lines]
    for number, merge in enumerate(merges, start=2):
        if len(merge) != 2:
            raise CheckpointError(f"{file}: line {number} is {shown(' '.join(merge))}; a merge has two parts")
    return merges


def _post_processor(
    files: TokenizerFiles,
    config: BpeTokenizerConfig,
    specials: Mapping[str, list[Named]],
    known: BpeClass,
    vocab: Mapping[str, int],
) -> Mapping[str, Any] | None:
    def ends(*roles: str) -> list[str]:
        return [_in_vocabulary(files, role, specials, vocab) for role in roles]

    if known.post_processor == "RobertaProcessing":
        cls, sep = ends("cls_token", "sep_token")
        return {"type": "RobertaProcessing", "cls": [cls, vocab[cls]], "sep": [sep, vocab[sep]]}
    if known.post_processor == "TemplateProcessing":
        for token in ("[CLS]", "[SEP]"):
            if token not in vocab:
                raise CheckpointError(
                    f"{files.path(VOCABULARY_FILE)}: no {token}, which DebertaTokenizer adds to texts"
                )
        return _template("[CLS]:0 A:0 [SEP]:0", "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1")
    if config.add_bos_token:
        [bos] = ends("bos_token")
        if set(bos) & {*string.whitespace, ":", "$"}:
            wanted = "tokens that fit transformers' template: no space, ':' or '$'"
            raise refused(files.of_key("bos_token"), "bos_token", bos, wanted)
        return _template(f"{bos}:0 A:0", f"{bos}:0 A:0 B:1")
    return None


def _in_vocabulary(
    files: TokenizerFiles, role: str, specials: Mapping[str, list[Named]], vocab: Mapping[str, int]
) -> str:
    token = content_of(specials[role][0]) if role in specials else None
    if token is None or token not in vocab:
        raise refused(files.of_key(role), role, token, f"tokens of {VOCABULARY_FILE}")
    return token


def _template(single: str, pair: str) -> dict[str, Any]:
    return {
        "type": "TemplateProcessing",
        "single": [_step(step) for step in single.split(" ")],
        "pair": [_step(step) for step in pair.split(" ")],
    }


def _step(step: str) -> dict[str, Any]:
    """`"A:0"` -> `{"Sequence": {"id": "A", "type_id": 0}}`; other names are special tokens."""
    name, _, type_id = step.rpartition(":")
    kind = "Sequence" if name in ("A", "B") else "SpecialToken"
    return {kind: {"id": name, "type_id": int(type_id)}}
