"""transformers' own tokenizer of a checkpoint, and the proof that the graph's is the same.

`load_wordpiece_spec` works out from the files what this class would be, because importing transformers takes a
second. Transform, which takes longer anyway, asks transformers itself: what a new release, or a key that nobody
has thought of, makes of the files can then cost a run, and never a difference between training and Hugging Face.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from models.errors import CheckpointError
from models.files import one_line, shown
from models.tokenizers.resolved_tokenizer import ResolvedTokenizer, ordered_vocabulary
from models.tokenizers.wordpiece.spec import (
    Stamps,
    WordpieceSpec,
    file_stamps,
    load_wordpiece_spec,
    make_spec,
)


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


def verified_spec(tokenizer_dir: str | Path) -> WordpieceSpec:
    """`load_wordpiece_spec`, held to transformers' own tokenizer of the same files.

    Raises:
        CheckpointError: as `load_wordpiece_spec`, or the two differ; the message names what differs.
    """
    folder = Path(tokenizer_dir)
    return _verified(folder, file_stamps(folder))


@functools.lru_cache(maxsize=8)
def _verified(folder: Path, stamps: Stamps) -> WordpieceSpec:
    """Kept, because TFT traces the preprocessing again and again; `stamps` change with the files."""
    spec = load_wordpiece_spec(folder)
    theirs = make_spec(_resolved(spec.file, hugging_face_tokenizer(folder)))
    for field in dataclasses.fields(WordpieceSpec):
        ours, other = (_comparable(getattr(one, field.name)) for one in (spec, theirs))
        if ours != other:
            raise CheckpointError(
                f"{spec.file}: {field.name} was read as {_difference(ours, other)}, transformers makes it "
                f"{_difference(other, ours)}; save the tokenizer again with save_pretrained of transformers"
            )
    return spec


def _resolved(file: Path, tokenizer: Any) -> ResolvedTokenizer:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CheckpointError(
            f"{file}: {type(tokenizer).__name__} has no fast tokenizer that could be reproduced"
        )
    for key, wanted in (
        ("truncation_side", "right"),
        ("padding_side", "right"),
        ("split_special_tokens", False),
    ):
        if getattr(tokenizer, key) != wanted:
            raise CheckpointError(f"{file}: transformers reads {key} as {shown(getattr(tokenizer, key))}")
    state = json.loads(backend.to_str())
    return ResolvedTokenizer(
        file=file,
        vocab=ordered_vocabulary(file, state),
        state=state,
        pad_token=tokenizer.pad_token,
        token_types="token_type_ids" in tokenizer.model_input_names,
    )


def _comparable(value: Any) -> Any:
    """The order in which tokens were added says nothing of the ids."""
    is_found = isinstance(value, tuple) and value and isinstance(value[0], tuple)
    return tuple(sorted(value)) if is_found else value


def _difference(one: Any, other: Any) -> str:
    """What `one` has that `other` has not; of a value that is no list, the value."""
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return shown(one)
    others = set(other)
    return shown([entry for entry in one if entry not in others])
