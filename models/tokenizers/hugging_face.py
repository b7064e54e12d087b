"""transformers' own tokenizer of a checkpoint, and the proof that the graph's is the same.

`load_spec` works out from the files what this class would be, because importing transformers takes a
second. Transform, which takes longer anyway, asks transformers itself: what a new release, or a key that nobody
has thought of, makes of the files can then cost a run, and never a difference between training and Hugging Face.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import weakref
from pathlib import Path
from typing import Any, cast

from models.errors import CheckpointError
from models.files import one_line, shown
from models.tokenizers.family import (
    ResolvedTokenizer,
    Spec,
    Stamps,
    family_of,
    file_stamps,
    load_spec,
    word_spec,
)
from models.tokenizers.tokenizer_files import pads_on_any_side

_IN_ANY_ORDER = ("special_tokens", "normalized_tokens", "added_tokens")


def hugging_face_tokenizer(folder: Path, **options: Any) -> Any:
    """`AutoTokenizer.from_pretrained(folder)`.

    Raises:
        CheckpointError: transformers cannot read the files, whatever it raises.
    """
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, **options)
    except BaseException as error:
        # A panic of the Rust tokenizer is no Exception.
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise CheckpointError(f"{folder}: transformers cannot load the tokenizer ({reason})") from error


_in_use: weakref.WeakValueDictionary[tuple[Path, Stamps], Any] = weakref.WeakValueDictionary()


def shared_tokenizer(folder: Path) -> Any:
    """`hugging_face_tokenizer(folder)`, which is not loaded again while it is in use; how it cuts texts is for each call to say.

    Raises:
        CheckpointError: transformers cannot read the files.
    """
    key = folder, file_stamps(folder)
    tokenizer = _in_use.get(key)
    if tokenizer is None:
        tokenizer = _in_use[key] = hugging_face_tokenizer(folder)
    return tokenizer


def word_options(folder: Path) -> dict[str, Any]:
    """What transformers' tokenizer of words is loaded with: the family's `WORD_OPTIONS`, such as a space before each word."""
    return dict(family_of(folder).load_spec_module().WORD_OPTIONS)


def word_tokenizer(folder: Path) -> Any:
    """Transformers' tokenizer of words, each of which is tokenized alone."""
    options = word_options(folder)
    return hugging_face_tokenizer(folder, **options) if options else shared_tokenizer(folder)


def verified_spec(tokenizer_dir: str | Path) -> Spec:
    """`load_spec`, held to transformers' own tokenizer of the same files.

    Raises:
        CheckpointError: as `load_spec`, or the two differ; the message names what differs.
    """
    folder = Path(tokenizer_dir)
    return _verified(folder, file_stamps(folder), words=False)


def verified_word_spec(tokenizer_dir: str | Path) -> Spec:
    """The same of `word_spec`, held to transformers' tokenizer with the family's `WORD_OPTIONS`."""
    folder = Path(tokenizer_dir)
    return _verified(folder, file_stamps(folder), words=True)


@functools.lru_cache(maxsize=8)
def _verified(folder: Path, stamps: Stamps, words: bool) -> Spec:
    """Kept, because TFT traces the preprocessing again and again; `stamps` change with the files."""
    module = family_of(folder).load_spec_module()
    spec = word_spec(folder) if words else load_spec(folder)
    tokenizer = word_tokenizer(folder) if words else shared_tokenizer(folder)
    theirs = module.make_spec(_resolved(spec.file, tokenizer, pads_on_any_side(folder)))
    for field in dataclasses.fields(cast(Any, spec)):
        ours, other = (_comparable(field.name, getattr(one, field.name)) for one in (spec, theirs))
        if ours != other:
            raise CheckpointError(
                f"{spec.file}: {field.name} was read as {_difference(ours, other)}, transformers makes it "
                f"{_difference(other, ours)}; save the tokenizer again with save_pretrained of transformers"
            )
    return spec


def _resolved(file: Path, tokenizer: Any, may_pad_left: bool) -> ResolvedTokenizer:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CheckpointError(
            f"{file}: {type(tokenizer).__name__} has no fast tokenizer that could be reproduced"
        )
    for key, wanted in (
        ("truncation_side", ("right",)),
        ("padding_side", ("right", "left") if may_pad_left else ("right",)),
        ("split_special_tokens", (False,)),
    ):
        if getattr(tokenizer, key) not in wanted:
            raise CheckpointError(f"{file}: transformers reads {key} as {shown(getattr(tokenizer, key))}")
    return ResolvedTokenizer(
        file=file,
        state=json.loads(backend.to_str()),
        pad_token=tokenizer.pad_token,
        token_types="token_type_ids" in tokenizer.model_input_names,
    )


def _comparable(field: str, value: Any) -> Any:
    """The order in which tokens were added says nothing of the ids."""
    return tuple(sorted(value)) if field in _IN_ANY_ORDER else value


def _difference(one: Any, other: Any) -> str:
    """What `one` has that `other` has not; of a value that is no list, the value."""
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return shown(one)
    others = set(other)
    return shown([entry for entry in one if entry not in others])
