"""The tokens that transformers adds to a tokenizer, in its order and with its ids and flags.

Those of tokenizer.json come first; then `added_tokens_decoder` of tokenizer_config.json or, without it,
added_tokens.json; then the special tokens that tokenizer_config.json and special_tokens_map.json name
(transformers 4.57, `_from_pretrained` of tokenization_utils_base.py and `PreTrainedTokenizerFast.__init__`).
Files that contradict each other about a token are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from models.errors import CheckpointError
from models.files import FromFile, shown, typed
from models.tokenizers.tokenizer_files import (
    ADDED_FILE,
    CONFIG_FILE,
    MAP_FILE,
    TOKENIZER_FILE,
    AddedToken,
    TokenizerConfig,
    TokenizerFiles,
    refused,
)

# In the order in which transformers adds them.
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_ADDITIONAL = "additional_special_tokens"
_EXTRA = "extra_special_tokens"


@dataclass(frozen=True)
class Token:
    """A token with flags, as a file serializes it: where in texts it is found, before they are split into words.

    `normalized`: in the text as the normalizer leaves it, not in the raw one; None: unless it is special.
    `index`: the id that the file says it has. `lstrip`, `rstrip`: with the white space on that side.
    `of_class`: the flags are those of the tokenizer's class, which win over those of a file.
    """

    file: Path
    content: str
    single_word: bool = False
    normalized: bool | None = None
    special: bool = False
    index: int | None = None
    lstrip: bool = False
    rstrip: bool = False
    of_class: bool = False


@dataclass(frozen=True)
class FoundToken:
    """A token as `segments.py` finds it in texts, with its final id and flags."""

    content: str
    id: int
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


class _Flagged(FromFile):
    """As `with_ids` and tokenizer.json list it."""

    content: str
    id: int
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool


class _Listed(FromFile):
    added_tokens: list[_Flagged]


Named: TypeAlias = "str | Token"  # files name a special token by its text, or with flags
# Role -> the flags that a tokenizer class gives a token that is named by its text; without them it stays a text.
Wrapped: TypeAlias = Mapping[str, Mapping[str, bool]]


class _Decoder(FromFile):
    added_tokens_decoder: dict[Annotated[str, Field(pattern="^(0|[1-9][0-9]{0,8})$")], AddedToken]


class _Encoder(FromFile):
    """added_tokens.json, whose keys are the tokens."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[int, Field(ge=0)]]


def listed_tokens(files: TokenizerFiles) -> list[Token]:
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


def _special_for_added_file(files: TokenizerFiles) -> set[str]:
    """What transformers 4.57 takes for special in added_tokens.json: named by a file, but not with flags in
    tokenizer_config.json, which are not parsed yet where it looks."""
    named = [token for role in (*_ROLES, _ADDITIONAL) for token in _named(files, role)]
    parsed = (token for token in named if isinstance(token, str) or token.file.name == MAP_FILE)
    return set(map(content_of, parsed))


def _named(files: TokenizerFiles, role: str) -> list[Named]:
    """The tokens that tokenizer_config.json and special_tokens_map.json name for a role; only _ADDITIONAL adds up."""
    if role != _ADDITIONAL:
        return _tokens(files, role, files.of_key(role), [files.values.get(role)])
    found: list[Named] = []
    for values, name in ((files.config, CONFIG_FILE), (files.map, MAP_FILE)):
        listed = values.get(role)
        if not isinstance(listed, list | None):
            raise files.refused(files.path(name), role, listed, "a list of tokens")
        found += [
            token for token in _tokens(files, role, files.path(name), listed or []) if token not in found
        ]
    return found


def _tokens(files: TokenizerFiles, role: str, file: Path, values: Sequence[object]) -> list[Named]:
    return [_token(files, role, file, value) for value in values if value not in (None, "")]


def _token(files: TokenizerFiles, role: str, file: Path, value: object) -> Named:
    """A text, or an AddedToken; tokenizer_config.json marks those, in special_tokens_map.json every object is one."""
    if isinstance(value, str):
        return typed(AddedToken, file, {"content": value}, role).content if value else value
    in_map = file.name == MAP_FILE
    if isinstance(value, dict) and (in_map or value.get("__type") == "AddedToken"):
        token = _flagged(file, typed(AddedToken, file, value, role))
        return replace(token, special=True) if in_map else token
    raise files.refused(file, role, value, "texts and serialized AddedTokens")


def special_tokens(
    files: TokenizerFiles,
    config: TokenizerConfig,
    added: Sequence[Token],
    defaults: Mapping[str, str],
    wrapped: Wrapped,
) -> dict[str, list[Named]]:
    """Role -> its tokens, in the order in which transformers adds them; no role without a token.

    Args:
        files: of the checkpoint.
        config: tokenizer_config.json.
        added: what `listed_tokens` returns.
        defaults: of the tokenizer's class, where no file names a token for a role.
        wrapped: of the tokenizer's class.
    """
    listed_first = TOKENIZER_FILE if not files.is_newer else CONFIG_FILE
    listed = {token.content: token for token in added if token.file.name == listed_first}
    found: dict[str, list[Named]] = {}
    for role in _ROLES:
        if role in files.values:
            # The flags of the list win over those given here.
            found[role] = [listed.get(content_of(token), token) for token in _named(files, role)]
        elif role in defaults:
            found[role] = [defaults[role]]
        elif role == "pad_token" and files.tokenizer is not None and files.tokenizer.padding is not None:
            found[role] = [files.tokenizer.padding.pad_token]
    for role, flags in wrapped.items():
        found[role] = [
            Token(Path(CONFIG_FILE), token, of_class=True, **flags)
            if isinstance(token, str) and token
            else token
            for token in found.get(role, [])
        ]
    found[_ADDITIONAL] = _named(files, _ADDITIONAL)
    _check_named_once(files, found)
    if _EXTRA in files.map:  # transformers takes it for a token there, and fails
        raise files.refused(files.path(MAP_FILE), _EXTRA, files.map[_EXTRA], f"this key in {CONFIG_FILE}")
    for role, value in config.extra_special_tokens.items():
        found[role] = [_token(files, _EXTRA, files.path(CONFIG_FILE), value)]
    return {role: kept for role, tokens in found.items() if (kept := [token for token in tokens if token])}


def _check_named_once(files: TokenizerFiles, specials: Mapping[str, list[Named]]) -> None:
    """transformers 4.57 takes the last additional token of the map for the last of added_tokens.json, if a role has it."""
    last = files.map.get(_ADDITIONAL) or []
    if not files.added or not last:
        return
    token = content_of(_token(files, _ADDITIONAL, files.path(MAP_FILE), last[-1]))
    for role in _ROLES:
        if role in files.values and token in map(content_of, specials[role]):
            raise files.refused(
                files.of_key(role),
                role,
                token,
                "tokens that are not the last of additional_special_tokens too",
            )


def in_order(added: Sequence[Token], specials: Mapping[str, list[Named]], copied: bool) -> Iterator[Token]:
    """Every token in the order in which transformers adds it, with final flags. `copied`: there is no tokenizer.json."""
    names = {content_of(token) for tokens in specials.values() for token in tokens}
    for token in added:
        yield replace(token, special=token.special or token.content in names)
    known, named_before = {token.content for token in added}, set[str]()
    for named in (token for tokens in specials.values() for token in tokens):
        is_again = content_of(named) in named_before
        named_before.add(content_of(named))
        if isinstance(named, Token) and named.of_class and is_again:
            continue  # transformers adds the token of two roles with the flags of the first
        if isinstance(named, Token):
            # On its way through the vocabulary file the token is copied, with the flag that it has by then.
            normalized = not named.special if named.normalized is None and copied else named.normalized
            yield replace(named, special=True, normalized=normalized)
        elif named not in known:
            yield Token(Path(CONFIG_FILE), named, special=True)


def with_ids(
    vocab: Sequence[str], tokens: Iterable[Token], white_space: bool = False
) -> list[dict[str, Any]]:
    """The tokens as tokenizer.json lists them: what is in no vocabulary gets the next free id.

    Args:
        vocab: the index is the id.
        tokens: in the order in which they are added.
        white_space: whether the family's ids depend on it, so that files must agree about lstrip and rstrip.

    Raises:
        CheckpointError: two files say different things of one token.
    """
    found: dict[str, tuple[Token, dict[str, Any]]] = {}
    ids = {token: index for index, token in enumerate(vocab)}
    for token in tokens:
        normalized = not token.special if token.normalized is None else token.normalized
        flags = {"single_word": token.single_word, "normalized": normalized}
        strips = {"lstrip": token.lstrip, "rstrip": token.rstrip}
        if token.content not in found:
            index = ids.setdefault(token.content, len(ids))
            found[token.content] = token, {"content": token.content, "id": index, **flags, **strips}
        first, entry = found[token.content]
        if token.of_class:
            entry.update(flags | strips)
        _check_agreement(first, token, entry, flags | strips if white_space else flags)
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
                f"{token.file}: {shown(token.content)} has {flag} {as_json(value)}, but {first.file.name} says "
                f"{as_json(entry[flag])}; make the files agree"
            )


def _flagged(file: Path, token: AddedToken, index: int | None = None) -> Token:
    return Token(
        file,
        token.content,
        token.single_word,
        token.normalized,
        token.special,
        index,
        token.lstrip,
        token.rstrip,
    )


def content_of(token: Named) -> str:
    return token if isinstance(token, str) else token.content


def as_json(value: object) -> str:
    """A flag as its file has it."""
    return json.dumps(value) if isinstance(value, bool | None) else shown(value)


# --- the tokens that the graph finds -------------------------------------------------------------------

MOST_ADDED_TOKENS = 1000  # all of them are one regular expression


def found_tokens(title: str, file: Path, state: Mapping[str, Any]) -> tuple[FoundToken, ...]:
    """The added tokens of a tokenizer.json by their ids, if `segments.tokenize_between` finds them as Hugging Face does.

    Args:
        title: of the tokenizer family, for messages.
        file: where `state` comes from, for messages.
        state: the content of tokenizer.json.

    Raises:
        CheckpointError: flags that are not reproduced, or tokens that are too many.
    """
    added = typed(_Listed, file, state).added_tokens
    for token in added:
        if token.single_word:
            raise refused(title, file, f"added token {shown(token.content)} single_word", True, "false")
    if len(added) > MOST_ADDED_TOKENS:
        raise refused(title, file, "the number of added tokens", len(added), f"up to {MOST_ADDED_TOKENS}")
    found = [
        FoundToken(token.content, token.id, token.lstrip, token.rstrip, token.normalized) for token in added
    ]
    for normalized in (False, True):
        check_white_space(title, file, [token for token in found if token.normalized is normalized])
    return tuple(sorted(found, key=lambda token: token.id))


def check_white_space(title: str, file: Path, tokens: Sequence[FoundToken]) -> None:
    """Raises CheckpointError if a token is not found at the place where its white space begins, or another one is."""
    strips = [token for token in tokens if token.lstrip or token.rstrip]
    for token in tokens:
        if strips and token.content != token.content.strip():
            raise refused(
                title,
                file,
                f"added token {shown(strips[0].content)} {'lstrip' if strips[0].lstrip else 'rstrip'}",
                True,
                f"false beside the added token {shown(token.content)}, which has white space at an end",
            )
        for prefix in tokens:
            if prefix.lstrip and not token.lstrip and token.content.startswith(prefix.content):
                raise refused(
                    title,
                    file,
                    f"added token {shown(prefix.content)} lstrip",
                    True,
                    f"false beside the added token {shown(token.content)}, which begins with it",
                )


def may_overlap(tokens: Sequence[str]) -> bool:
    """Whether matches of two tokens can overlap in a text: `["[a]", "]"]`, `["ab", "bc"]`."""
    pairs = ((one, other) for one in tokens for other in tokens if one != other)
    return any(
        one in other or any(one.endswith(other[:k]) for k in range(1, len(other))) for one, other in pairs
    )
