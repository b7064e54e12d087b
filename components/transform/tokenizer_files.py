"""What transformers makes of a checkpoint's tokenizer files, worked out without importing it.

`AutoTokenizer.from_pretrained(folder)` takes one of two ways (transformers 4.57, `_from_pretrained` of
`tokenization_utils_base.py` and `PreTrainedTokenizerFast.__init__`): tokenizer.json, or vocab.txt. Tokens are then
added to it, in this order: those of tokenizer.json; `added_tokens_decoder` of tokenizer_config.json or, without it,
those of added_tokens.json; the special tokens that tokenizer_config.json and special_tokens_map.json name. The
result is told here in the shape of tokenizer.json. Files that contradict each other about a token are refused.
`hugging_face.py` holds the outcome to transformers' own whenever Transform runs. No TensorFlow here.
"""

from __future__ import annotations

import io
import json
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from components.checkpoint_files import FromFile, checkpoint_file, read_json, read_text, shown, typed
from components.errors import CheckpointError

TOKENIZER_FILE = "tokenizer.json"
VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
MAP_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"
MODEL_CONFIG_FILE = "config.json"
FILES = (TOKENIZER_FILE, VOCABULARY_FILE, CONFIG_FILE, MAP_FILE, ADDED_FILE, MODEL_CONFIG_FILE)

# Classes of transformers whose code is BertTokenizerFast's, without "Fast" -> whether they give token types.
_BERT_CLASSES = {"BertTokenizer": True, "DistilBertTokenizer": False, "ElectraTokenizer": True}
_BERT_CLASSES |= {"MobileBertTokenizer": True}
_GENERIC_CLASS = "PreTrainedTokenizerFast"  # takes tokenizer.json as it is

# In the order in which transformers adds them.
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_ADDITIONAL = "additional_special_tokens"
_EXTRA = "extra_special_tokens"
BERT_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}

# Keys of tokenizer_config.json that change the ids and are not reproduced -> the values that do no harm.
_REFUSED: dict[str, tuple[object, ...]] = {
    "truncation_side": ("right",),
    "padding_side": ("right",),
    "split_special_tokens": (False, None),
    "from_slow": (False, None),
    "fix_mistral_regex": (False, None),
    "init_inputs": ([], None),
    "fast_tokenizer_files": ([TOKENIZER_FILE],),
    "auto_map": ({}, [], None),
    "tokenizer_object": (),
    "__slow_tokenizer": (),
    "gguf_file": (None,),
    # Read instead of the folder's own file, wherever it would be.
    "tokenizer_file": (),
    "vocab_file": (),
}


@dataclass(frozen=True)
class Token:
    """A token with flags, as a file serializes it: where in texts it is found, before they are split into words.

    `normalized`: in the text as BertNormalizer leaves it, not in the raw one; None: unless it is special.
    `index`: the id that the file says it has.
    """

    file: Path
    content: str
    single_word: bool = False
    normalized: bool | None = None
    special: bool = False
    index: int | None = None


Named: TypeAlias = "str | Token"  # files name a special token by its text, or with flags


@dataclass(frozen=True)
class TokenizerFiles:
    """`state` is the tokenizer in the shape of tokenizer.json, every added token with its final id and flags.

    `file` is where most of it comes from, for error messages. `vocab[i]` is the model's token with id i.
    """

    file: Path
    vocab: tuple[str, ...]
    state: Mapping[str, Any]
    pad_token: str | None
    token_types: bool


class _AddedToken(FromFile):
    content: Annotated[str, Field(min_length=1)]
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False


class _SerializedToken(_AddedToken):
    """As tokenizer.json has it, where nothing may be left out."""

    id: Annotated[int, Field(ge=0)]
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Direction(FromFile):
    direction: str = "Right"


class _Padding(_Direction):
    pad_token: str


class _Vocabulary(FromFile):
    vocab: dict[str, int]


class _TokenizerJson(FromFile):
    added_tokens: list[_SerializedToken] = Field(default_factory=list)
    truncation: _Direction | None = None
    padding: _Padding | None = None


class _TokenizerConfig(FromFile):
    tokenizer_class: str | None = None
    model_input_names: list[str] | None = None
    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None
    extra_special_tokens: dict[str, Any] = Field(default_factory=dict)


class _Decoder(FromFile):
    added_tokens_decoder: dict[Annotated[str, Field(pattern="^(0|[1-9][0-9]{0,8})$")], _AddedToken]


class _Encoder(FromFile):
    """added_tokens.json, whose keys are the tokens."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[int, Field(ge=0)]]


class _ModelConfig(FromFile):
    tokenizer_class: str | None = None


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Works out what `AutoTokenizer.from_pretrained(folder)` would be.

    Raises:
        CheckpointError: a file is missing or malformed, files contradict each other, or a key asks for a
            tokenizer that is not reproduced; the message names file and key.
    """
    files = _Files(folder)
    _check_keys(files)
    config = typed(_TokenizerConfig, files.path(CONFIG_FILE), files.values)
    name = _class_name(files)
    generic = name == _GENERIC_CLASS
    added = _added_tokens(files)
    specials = _special_tokens(files, config, added, {} if generic else BERT_SPECIAL_TOKENS)
    if files.tokenizer is not None:
        state = _state_of_json(files, None if generic else config)
    elif files.has(VOCABULARY_FILE) and not generic:
        state = _state_of_vocabulary(files, config, specials)
    else:
        wanted = TOKENIZER_FILE if generic else f"{TOKENIZER_FILE} and no {VOCABULARY_FILE}"
        raise CheckpointError(f"{folder}: no {wanted}; give a checkpoint folder with its tokenizer files")
    file = files.path(TOKENIZER_FILE if files.tokenizer is not None else VOCABULARY_FILE)
    vocab = ordered_vocabulary(file, state)
    tokens = _in_order(added, specials, copied=files.tokenizer is None)
    pad = specials.get("pad_token")
    names = config.model_input_names
    return TokenizerFiles(
        file=file,
        vocab=vocab,
        state={**state, "added_tokens": _with_ids(vocab, tokens)},
        pad_token=_content(pad[0]) if pad else None,
        token_types=_BERT_CLASSES.get(name, True) if names is None else "token_type_ids" in names,
    )


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


class _Files:
    """The parsed files of a folder; those that are not there are empty."""

    def __init__(self, folder: Path) -> None:
        self._paths = {name: checkpoint_file(folder, name) for name in FILES}
        self._present = {name for name, path in self._paths.items() if path.is_file()}
        self.config = self._json(CONFIG_FILE)
        # Where this key says all about added tokens, transformers opens neither of the two older files.
        self.is_newer = "added_tokens_decoder" in self.config
        self.map = {} if self.is_newer else self._json(MAP_FILE)
        self.added = {} if self.is_newer else self._json(ADDED_FILE)
        self.values = {**self.config, **self.map}
        self.state = self._json(TOKENIZER_FILE)
        self.tokenizer = (
            typed(_TokenizerJson, self.path(TOKENIZER_FILE), self.state) if self.has(TOKENIZER_FILE) else None
        )

    def path(self, name: str) -> Path:
        return self._paths[name]

    def has(self, name: str) -> bool:
        return name in self._present

    def of_key(self, key: str) -> Path:
        """The file whose value of the key counts."""
        return self.path(MAP_FILE if key in self.map else CONFIG_FILE)

    def _json(self, name: str) -> dict[str, Any]:
        return read_json(self.path(name)) if self.has(name) else {}


def _check_keys(files: _Files) -> None:
    tokenizer = files.tokenizer
    sides = (
        {"truncation": tokenizer.truncation, "padding": tokenizer.padding} if tokenizer is not None else {}
    )
    for key, part in sides.items():
        if part is not None and part.direction != "Right" and f"{key}_side" not in files.values:
            raise refused(files.path(TOKENIZER_FILE), f"{key}.direction", part.direction, "'Right'")
    unread = "vocab_file" if tokenizer is not None else "tokenizer_file"
    for key, harmless in _REFUSED.items():
        if key in files.values and key != unread and files.values[key] not in harmless:
            wanted = repr(harmless[0]) if harmless else "files without this key"
            raise refused(files.of_key(key), key, files.values[key], wanted)


def _class_name(files: _Files) -> str:
    """The class that AutoTokenizer picks; without "Fast" where it is one of BERT's."""
    file, name = files.path(CONFIG_FILE), files.config.get("tokenizer_class")
    if name is None and files.has(MODEL_CONFIG_FILE):
        file = files.path(MODEL_CONFIG_FILE)
        name = typed(_ModelConfig, file, read_json(file)).tokenizer_class
    name = "BertTokenizer" if name is None else name.removesuffix("Fast")
    if f"{name}Fast" == _GENERIC_CLASS:
        return _GENERIC_CLASS
    if name not in _BERT_CLASSES:
        raise refused(file, "tokenizer_class", name, ", ".join([*_BERT_CLASSES, _GENERIC_CLASS]))
    return name


# --- the tokenizer before tokens are added to it ------------------------------------------------------


def _state_of_json(files: _Files, config: _TokenizerConfig | None) -> Mapping[str, Any]:
    """`config`: of BERT's classes, which let it, and its defaults, win over tokenizer.json.

    Both are the checkpoint's word, so where they differ there is no right answer to reproduce.
    """
    file, normalizer = files.path(TOKENIZER_FILE), files.state.get("normalizer")
    if config is not None and isinstance(normalizer, dict):
        for key, theirs, said in _switches(config):
            if normalizer.get(key, said) != said:
                how = "says" if theirs in files.values else "is silent, which Hugging Face reads as"
                raise CheckpointError(
                    f"{file}: normalizer.{key} is {_json(normalizer[key])} but {files.of_key(theirs).name} {how} "
                    f"{theirs} {_json(said)}; make the two files agree"
                )
    return files.state


def _switches(config: _TokenizerConfig) -> Iterator[tuple[str, str, bool | None]]:
    """(name in tokenizer.json, name in tokenizer_config.json, value)."""
    yield "lowercase", "do_lower_case", config.do_lower_case
    yield "strip_accents", "strip_accents", config.strip_accents
    yield "handle_chinese_chars", "tokenize_chinese_chars", config.tokenize_chinese_chars


def _json(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool | None) else shown(value)


def _state_of_vocabulary(
    files: _Files, config: _TokenizerConfig, specials: Mapping[str, list[Named]]
) -> Mapping[str, Any]:
    """What transformers' BertConverter makes of vocab.txt."""
    for role in ("unk_token", "cls_token", "sep_token"):
        if role not in specials:
            raise refused(files.of_key(role), role, None, "tokenizers that have one")
    cls, sep = (_content(specials[role][0]) for role in ("cls_token", "sep_token"))
    for role, token in (("cls_token", cls), ("sep_token", sep)):
        if set(token) & {*string.whitespace, ":", "$"}:
            raise refused(
                files.of_key(role),
                role,
                token,
                "tokens that fit transformers' template: no space, ':' or '$'",
            )
    first = [_piece(cls, 0), {"Sequence": {"id": "A", "type_id": 0}}, _piece(sep, 0)]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, _piece(sep, 1)]
    return {
        "model": {
            "type": "WordPiece",
            "vocab": _lines(files.path(VOCABULARY_FILE)),
            "unk_token": _content(specials["unk_token"][0]),
        },
        "normalizer": {"type": "BertNormalizer", **{key: value for key, _, value in _switches(config)}},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": first, "pair": [*first, *second]},
    }


def _piece(token: str, type_id: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def _lines(file: Path) -> dict[str, int]:
    """Token -> line from 0; lines end where they do for Python's open(), at \\r too."""
    lines = [line.rstrip("\n") for line in io.StringIO(read_text(file), newline=None)]
    vocab = {token: index for index, token in enumerate(lines)}
    if len(vocab) != len(lines):
        twice = next(token for index, token in enumerate(lines) if vocab[token] != index)
        raise CheckpointError(f"{file}: {shown(twice)} is there twice; a token must have one line")
    return vocab


# --- the tokens that are added ------------------------------------------------------------------------


def _added_tokens(files: _Files) -> list[Token]:
    """The tokens that the files list with their ids; those of tokenizer.json come first."""
    found = []
    if files.tokenizer is not None:
        found += [
            _flagged(files.path(TOKENIZER_FILE), token, token.id) for token in files.tokenizer.added_tokens
        ]
    if files.is_newer:
        file = files.path(CONFIG_FILE)
        decoder = typed(_Decoder, file, files.config).added_tokens_decoder
        return found + [_flagged(file, decoder[key], int(key)) for key in sorted(decoder, key=int)]
    file = files.path(ADDED_FILE)
    encoder = typed(_Encoder, file, files.added).model_extra or {}
    special = _special_for_added_file(files)
    for content, index in sorted(encoder.items(), key=lambda item: item[1]):
        if content:  # the Rust tokenizer drops the empty token
            is_special = content in special
            found.append(Token(file, content, normalized=not is_special, special=is_special, index=index))
    return found


def _special_for_added_file(files: _Files) -> set[str]:
    """What transformers 4.57 takes for special in added_tokens.json: named by a file, but not with flags in
    tokenizer_config.json, which are not parsed yet where it looks."""
    named = [token for role in (*_ROLES, _ADDITIONAL) for token in _named(files, role)]
    parsed = (token for token in named if isinstance(token, str) or token.file.name == MAP_FILE)
    return set(map(_content, parsed))


def _named(files: _Files, role: str) -> list[Named]:
    """The tokens that tokenizer_config.json and special_tokens_map.json name for a role; only _ADDITIONAL adds up."""
    if role != _ADDITIONAL:
        return _tokens(role, files.of_key(role), [files.values.get(role)])
    found: list[Named] = []
    for values, name in ((files.config, CONFIG_FILE), (files.map, MAP_FILE)):
        listed = values.get(role)
        if not isinstance(listed, list | None):
            raise refused(files.path(name), role, listed, "a list of tokens")
        found += [token for token in _tokens(role, files.path(name), listed or []) if token not in found]
    return found


def _tokens(role: str, file: Path, values: Sequence[object]) -> list[Named]:
    return [_token(role, file, value) for value in values if value not in (None, "")]


def _token(role: str, file: Path, value: object) -> Named:
    """A text, or an AddedToken; tokenizer_config.json marks those, in special_tokens_map.json every object is one."""
    if isinstance(value, str):
        return value
    in_map = file.name == MAP_FILE and role != _EXTRA
    if isinstance(value, dict) and (in_map or value.get("__type") == "AddedToken"):
        token = _flagged(file, typed(_AddedToken, file, value, role))
        return replace(token, special=True) if in_map else token
    raise refused(file, role, value, "texts and serialized AddedTokens")


def _special_tokens(
    files: _Files, config: _TokenizerConfig, added: Sequence[Token], defaults: Mapping[str, str]
) -> dict[str, list[Named]]:
    """Role -> its tokens, in the order in which transformers adds them; no role without a token."""
    listed_first = TOKENIZER_FILE if not files.is_newer else CONFIG_FILE
    listed = {token.content: token for token in added if token.file.name == listed_first}
    found: dict[str, list[Named]] = {}
    for role in _ROLES:
        if role in files.values:
            # The flags of the list win over those given here.
            found[role] = [listed.get(_content(token), token) for token in _named(files, role)]
        elif role in defaults:
            found[role] = [defaults[role]]
        elif role == "pad_token" and files.tokenizer is not None and files.tokenizer.padding is not None:
            found[role] = [files.tokenizer.padding.pad_token]
    found[_ADDITIONAL] = _named(files, _ADDITIONAL)
    _check_named_once(files, found)
    for role, value in config.extra_special_tokens.items():
        found[role] = [_token(_EXTRA, files.of_key(_EXTRA), value)]
    return {role: kept for role, tokens in found.items() if (kept := [token for token in tokens if token])}


def _check_named_once(files: _Files, specials: Mapping[str, list[Named]]) -> None:
    """transformers 4.57 takes the last additional token of the map for the last of added_tokens.json, if a role has it."""
    last = files.map.get(_ADDITIONAL) or []
    if not files.added or not last:
        return
    token = _content(_token(_ADDITIONAL, files.path(MAP_FILE), last[-1]))
    for role in _ROLES:
        if role in files.values and token in map(_content, specials[role]):
            raise refused(
                files.of_key(role),
                role,
                token,
                "tokens that are not the last of additional_special_tokens too",
            )


def _in_order(added: Sequence[Token], specials: Mapping[str, list[Named]], copied: bool) -> Iterator[Token]:
    """Every token in the order in which transformers adds it, with final flags. `copied`: there is no tokenizer.json."""
    names = {_content(token) for tokens in specials.values() for token in tokens}
    for token in added:
        yield replace(token, special=token.special or token.content in names)
    known = {token.content for token in added}
    for named in (token for tokens in specials.values() for token in tokens):
        if isinstance(named, Token):
            # On its way through vocab.txt the token is copied, with the flag that it has by then.
            normalized = not named.special if named.normalized is None and copied else named.normalized
            yield replace(named, special=True, normalized=normalized)
        elif named not in known:
            yield Token(Path(CONFIG_FILE), named, special=True)


def _with_ids(vocab: Sequence[str], tokens: Iterable[Token]) -> list[dict[str, Any]]:
    """The tokens as tokenizer.json lists them: what is in no vocabulary gets the next free id.

    Raises:
        CheckpointError: two files say different things of one token.
    """
    found: dict[str, tuple[Token, dict[str, Any]]] = {}
    ids = {token: index for index, token in enumerate(vocab)}
    for token in tokens:
        normalized = not token.special if token.normalized is None else token.normalized
        flags = {"single_word": token.single_word, "normalized": normalized}
        if token.content not in found:
            index = ids.setdefault(token.content, len(ids))
            found[token.content] = token, {"content": token.content, "id": index, **flags}
        first, entry = found[token.content]
        _check_agreement(first, token, entry, flags)
    return [entry for _, entry in found.values()]


def _check_agreement(first: Token, token: Token, entry: Mapping[str, Any], flags: Mapping[str, bool]) -> None:
    if token.index not in (None, entry["id"]):
        raise CheckpointError(
            f"{token.file}: {shown(token.content)} has the id {token.index}, but Hugging Face's fast tokenizer gives it "
            f"{entry['id']}; make the files agree"
        )
    for flag, value in flags.items():
        if entry[flag] != value:
            raise CheckpointError(
                f"{token.file}: {shown(token.content)} has {flag} {_json(value)}, but {first.file.name} says "
                f"{_json(entry[flag])}; make the files agree"
            )


def _flagged(file: Path, token: _AddedToken, index: int | None = None) -> Token:
    return Token(file, token.content, token.single_word, token.normalized, token.special, index)


def _content(token: Named) -> str:
    return token if isinstance(token, str) else token.content


def refused(file: Path, key: str, found: object, wanted: str) -> CheckpointError:
    """The error of a tokenizer that the graph does not reproduce."""
    return CheckpointError(f"{file}: {key} is {shown(found)}; in-graph WordPiece reproduces only {wanted}")
