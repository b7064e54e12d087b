"""Which split a row is in: the one that its publisher chose, otherwise one by a stable hash of its text or group."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from models.errors import PipelineError
from pipeline.importing.rows import short

SPLITS: Mapping[str, float] = {"train": 0.8, "eval": 0.1, "test": 0.1}
TRAIN = "train"
_OTHER_NAMES = {
    "training": TRAIN,
    "validation": "eval",
    "valid": "eval",
    "val": "eval",
    "dev": "eval",
    "development": "eval",
    "testing": "test",
}


def split_of(identity: bytes, published: Collection[str] = ()) -> str:
    """The split of a group or text, by a hash that is the same on every machine and in every run.

    Args:
        identity: what rows that stay together have in common.
        published: splits whose rows are known; the train split has their share.
    """
    digest = hashlib.blake2b(identity, digest_size=8, person=b"split").digest()
    position = int.from_bytes(digest, "big") / 2**64
    kept = sum(SPLITS[name] for name in published)
    for name, share in SPLITS.items():
        if name not in published:
            position -= share + (kept if name == TRAIN else 0)
            if position < 0:
                return name
    # Because of rounding, the shares may sum to less than 1.
    return next(name for name in reversed([*SPLITS]) if name not in published)


def named_split(value: Any, where: str, column: str) -> str:
    """The split that a row names: `"Validation"` -> `"eval"`.

    Raises:
        PipelineError: it names none.
    """
    name = value.strip().lower() if isinstance(value, str) else ""
    name = _OTHER_NAMES.get(name, name)
    if name not in SPLITS:
        raise PipelineError(
            f"{where}: column {column!r} (--split-column) has {short(value, 60)}; it must be train, eval (or validation, valid, "
            "val, dev) or test"
        )
    return name
