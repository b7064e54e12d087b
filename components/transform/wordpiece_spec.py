"""What a checkpoint's own tokenizer files say about its WordPiece tokenization. No TensorFlow here.

Only what `wordpiece.py` reproduces token for token is accepted; anything else is refused with the
file and the key that say it, because a tokenizer that is nearly right costs accuracy silently.
"""

from __future__ import annotations

import functools
import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from components.errors import PipelineError

_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")

# RE2 refuses larger counted repetitions, and the long-word rule is one.
LONGEST_WORD_LIMIT = 1000

# BertTokenizerFast's own defaults, where the files are silent.
DEFAULT_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
DEFAULT_NORMALIZER = {
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
# tokenizer_config.json's names for the same switches.
NORMALIZER_KEYS = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}


@dataclass(frozen=True)
class WordpieceSpec:
    """One BERT tokenization: [CLS] A [SEP], or [CLS] A [SEP] B [SEP] for pairs.

    `vocab[i]` is the token with id i. `special_tokens` are (token, id) pairs that are found literally
    in the raw text, before any normalization, as Hugging Face fast tokenizers do. `strip_accents` is
    resolved: where the files say null it follows `lower_case`.
    """

    vocab: tuple[str, ...]
    lower_case: bool = True
    strip_accents: bool = True
    handle_chinese_chars: bool = True
    clean_text: bool = True
    max_input_chars_per_word: int = 100
    continuing_prefix: str = "##"
    unk_token: str = "[UNK]"
    cls_token: str = "[CLS]"
    sep_token: str = "[SEP]"
    pad_token: str = "[PAD]"
    mask_token: str | None = "[MASK]"
    special_tokens: tuple[tuple[str, int], ...] = ()

    @property
    def cls_id(self) -> int:
        return self.vocab.index(self.cls_token)

    @property
    def sep_id(self) -> int:
        return self.vocab.index(self.sep_token)

    @property
    def pad_id(self) -> int:
        return self.vocab.index(self.pad_token)

    @property
    def unk_id(self) -> int:
        return self.vocab.index(self.unk_token)


def load_wordpiece_spec(tokenizer_dir: str | Path) -> WordpieceSpec:
    """Reads `tokenizer.json` (else `vocab.txt`) and `tokenizer_config.json` of a checkpoint folder.

    Raises:
        PipelineError: no tokenizer file, one that cannot be read, or a tokenization that cannot be
            reproduced exactly; the message names the file and the key.
    """
    folder = Path(tokenizer_dir)
    return _load(folder, tuple(_stamp(folder / name) for name in _FILES))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    if not file.exists():
        return None
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=8)
def _load(folder: Path, stamps: tuple[tuple[int, int, int] | None, ...]) -> WordpieceSpec:
    """Kept, because TFT traces the preprocessing again and again; `stamps` change with the files."""
    config_file, map_file = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    config = _read_json(config_file) if config_file.exists() else {}
    if map_file.exists():  # older checkpoints name their special tokens only there
        config = {**_read_json(map_file), **config}
    if config.get("truncation_side", "right") != "right":
        raise _refused(config_file, "truncation_side", config["truncation_side"], "'right'")
    tokenizer_file, vocab_file = folder / "tokenizer.json", folder / "vocab.txt"
    if tokenizer_file.exists():
        return _from_tokenizer_json(tokenizer_file, config_file, config)
    if vocab_file.exists():
        return _from_vocab_txt(vocab_file, config)
    raise PipelineError(
        f"{folder}: no tokenizer.json and no vocab.txt; give a checkpoint folder with its tokenizer files"
    )


def _from_tokenizer_json(file: Path, config_file: Path, config: dict[str, Any]) -> WordpieceSpec:
    state = _read_json(file)
    for key, wanted in (("model", "WordPiece"), ("normalizer", "BertNormalizer")):
        _check_type(file, state, key, wanted)
    _check_type(file, state, "pre_tokenizer", "BertPreTokenizer")
    if (state.get("truncation") or {}).get("direction", "Right") != "Right":
        raise _refused(file, "truncation.direction", state["truncation"]["direction"], "'Right'")
    model, normalizer = state["model"], {**DEFAULT_NORMALIZER, **state["normalizer"]}
    _check_agreement(file, normalizer, config_file, config)
    vocab = _ordered(file, model["vocab"])
    cls, sep = _template(file, state, vocab)
    return _checked(
        file,
        vocab,
        normalizer,
        {**_named_tokens(config), "cls_token": cls, "sep_token": sep, "unk_token": model["unk_token"]},
        _added_tokens(file, state.get("added_tokens") or [], config, vocab),
        limit=model.get("max_input_chars_per_word", 100),
        prefix=model.get("continuing_subword_prefix", "##"),
    )


def _from_vocab_txt(file: Path, config: dict[str, Any]) -> WordpieceSpec:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{file}: not UTF-8 at byte {error.start}; export the tokenizer again") from error
    vocab = [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    if len(set(vocab)) != len(vocab):
        twice = next(token for i, token in enumerate(vocab) if token in vocab[:i])
        raise PipelineError(f"{file}: {twice!r} is there twice; a token must have one line")
    normalizer = {
        ours: config.get(theirs, DEFAULT_NORMALIZER[ours]) for ours, theirs in NORMALIZER_KEYS.items()
    }
    added_file = file.parent / "added_tokens.json"
    if added_file.exists() and not set(_read_json(added_file)) <= set(vocab):
        raise _refused(
            added_file,
            "the tokens",
            list(_read_json(added_file)),
            "those of vocab.txt, without tokenizer.json",
        )
    added = _added_tokens(file, [], config, tuple(vocab))
    return _checked(file, tuple(vocab), {**DEFAULT_NORMALIZER, **normalizer}, _named_tokens(config), added)


def _checked(
    file: Path,
    vocab: tuple[str, ...],
    normalizer: dict[str, Any],
    named: dict[str, str],
    added: dict[str, int],
    limit: int = 100,
    prefix: str = "##",
) -> WordpieceSpec:
    """Puts the spec together and refuses what the graph could only nearly reproduce."""
    ids = {token: i for i, token in enumerate(vocab)}
    for role in ("unk_token", "cls_token", "sep_token", "pad_token"):
        if named[role] not in ids:
            raise PipelineError(
                f"{file}: {role} {named[role]!r} is not in the vocabulary of {len(vocab)} tokens"
            )
    if not prefix or not all(char in string.punctuation for char in prefix):
        raise _refused(file, "continuing_subword_prefix", prefix, "ASCII punctuation such as '##'")
    if not 1 <= limit <= LONGEST_WORD_LIMIT:
        raise _refused(file, "max_input_chars_per_word", limit, f"1 to {LONGEST_WORD_LIMIT}")
    mask = named["mask_token"] if named["mask_token"] in ids else None
    special = {**{token: ids[token] for token in named.values() if token in ids}, **added}
    _check_no_overlap(file, list(special))
    lower = bool(normalizer["lowercase"])
    accents = normalizer["strip_accents"]
    return WordpieceSpec(
        vocab=vocab,
        lower_case=lower,
        strip_accents=lower if accents is None else bool(accents),
        handle_chinese_chars=bool(normalizer["handle_chinese_chars"]),
        clean_text=bool(normalizer["clean_text"]),
        max_input_chars_per_word=limit,
        continuing_prefix=prefix,
        mask_token=mask,
        special_tokens=tuple(special.items()),
        **{role: named[role] for role in ("unk_token", "cls_token", "sep_token", "pad_token")},
    )


def _ordered(file: Path, vocab: dict[str, int]) -> tuple[str, ...]:
    """`{"[PAD]": 0, "a": 1}` -> `("[PAD]", "a")`; ids must be 0, 1, 2 ... without a gap."""
    by_id = sorted(vocab.items(), key=lambda item: item[1])
    for wanted, (token, index) in enumerate(by_id):
        if index != wanted:
            raise PipelineError(
                f"{file}: model.vocab has no id {wanted} before {token!r} ({index}); ids must be 0, 1, 2 ..."
            )
    return tuple(token for token, _ in by_id)


def _named_tokens(config: dict[str, Any]) -> dict[str, str]:
    """The special tokens by role."""
    return {role: _content(config.get(role) or default) for role, default in DEFAULT_SPECIAL_TOKENS.items()}


def _content(token: str | dict[str, Any]) -> str:
    """A token as its string; the files also write it as a serialized AddedToken."""
    return token["content"] if isinstance(token, dict) else token


def _added_tokens(
    file: Path, added: list[dict[str, Any]], config: dict[str, Any], vocab: tuple[str, ...]
) -> dict[str, int]:
    """Tokens found literally in raw text. lstrip and rstrip only eat white space, which makes no token."""
    ids = {token: i for i, token in enumerate(vocab)}
    decoder = config.get("added_tokens_decoder") or {}
    for entry in [*added, *({**entry, "id": int(key)} for key, entry in decoder.items())]:
        for flag in ("normalized", "single_word"):
            if entry.get(flag):
                raise _refused(file, f"added_tokens {entry['content']!r} {flag}", True, "false")
        wanted = ids.setdefault(entry["content"], entry["id"])
        if wanted != entry["id"]:
            raise _refused(file, f"added_tokens {entry['content']!r} id", entry["id"], str(wanted))
    extra = [_content(token) for token in config.get("additional_special_tokens") or []]
    unknown = [token for token in extra if token not in ids]
    if unknown:
        raise _refused(file, "additional_special_tokens", unknown, "tokens that have an id in these files")
    contents = {
        *extra,
        *(entry["content"] for entry in added),
        *(entry["content"] for entry in decoder.values()),
    }
    return {content: ids[content] for content in sorted(contents)}


def _template(file: Path, state: dict[str, Any], vocab: tuple[str, ...]) -> tuple[str, str]:
    """The [CLS] and [SEP] tokens of a post-processor that makes [CLS] A [SEP] and [CLS] A [SEP] B [SEP]."""
    post = state.get("post_processor") or {}
    if post.get("type") == "BertProcessing":
        return post["cls"][0], post["sep"][0]
    _check_type(file, state, "post_processor", "TemplateProcessing")
    single = list(_pieces(post["single"]))
    pair = list(_pieces(post["pair"]))
    names = [name for name, _ in single]
    if len(names) == 3 and names[1] == "A":
        cls, sep = names[0], names[2]
        wanted = [(cls, 0), ("A", 0), (sep, 0)]
        ids = {name: entry["ids"] for name, entry in post["special_tokens"].items()}
        known = all(name in vocab and ids.get(name) == [vocab.index(name)] for name in (cls, sep))
        if known and single == wanted and pair == [*wanted, ("B", 1), (sep, 1)]:
            return cls, sep
    found = " and ".join(" ".join(f"{name}:{kind}" for name, kind in template) for template in (single, pair))
    raise _refused(file, "post_processor", found, "[CLS] A [SEP] and [CLS] A [SEP] B [SEP]")


def _pieces(template: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for piece in template:
        body = piece.get("SpecialToken") or piece["Sequence"]
        yield body["id"], body["type_id"]


def _check_type(file: Path, state: dict[str, Any], key: str, wanted: str) -> None:
    found = (state.get(key) or {}).get("type")
    if found != wanted:
        raise _refused(file, f"{key}.type", found, repr(wanted))


def _check_agreement(
    file: Path, normalizer: dict[str, Any], config_file: Path, config: dict[str, Any]
) -> None:
    """BertTokenizerFast lets tokenizer_config.json (and its own defaults) win over tokenizer.json.

    Both are the checkpoint's word, so where they differ there is no right answer to reproduce.
    """
    if not config or config.get("tokenizer_class") == "PreTrainedTokenizerFast":
        return
    for key, theirs in NORMALIZER_KEYS.items():
        said = config.get(theirs, DEFAULT_NORMALIZER[key])
        if said != normalizer[key]:
            how = "says" if theirs in config else "is silent, which Hugging Face reads as"
            raise PipelineError(
                f"{file}: normalizer.{key} is {json.dumps(normalizer[key])} but {config_file.name} {how} "
                f"{theirs} {json.dumps(said)}; make the two files agree"
            )


def _check_no_overlap(file: Path, tokens: list[str]) -> None:
    """Tokens that may overlap in a text would be found in another order than Hugging Face's."""
    for one, other in product(tokens, tokens):
        inside = one != other and one in other
        tail = any(one[k:] == other[: len(one) - k] for k in range(1, len(one)))
        if inside or tail:
            raise PipelineError(
                f"{file}: special tokens {one!r} and {other!r} can overlap in a text; only tokens that cannot are supported"
            )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PipelineError(f"{file}: not readable as JSON ({error}); fetch the checkpoint again") from error
    if not isinstance(content, dict):
        raise PipelineError(
            f"{file}: holds a JSON {type(content).__name__}, not an object; fetch the checkpoint again"
        )
    return content


def _refused(file: Path, key: str, found: Any, wanted: str) -> PipelineError:
    return PipelineError(f"{file}: {key} is {found!r}; in-graph WordPiece reproduces only {wanted}")
