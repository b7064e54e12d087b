"""JSON in which no object names a key twice. Python's reader keeps the last of the two values and says nothing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class DuplicateKeyError(ValueError):
    """An object names a key twice; `key` is that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} is there twice in one object")
        self.key = key


def loads(text: str) -> Any:
    """Parses one JSON document, as `json.loads` does.

    Raises:
        DuplicateKeyError: an object, at any depth, has a key twice; escapes count as what they stand for.
        ValueError: not JSON, or an integer of more digits than Python converts.
        RecursionError: nested too deep.
    """
    return _DECODER.decode(text)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The `object_pairs_hook` of a decoder that accepts each key of an object once.

    Raises:
        DuplicateKeyError: a key is there twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise DuplicateKeyError(next(name for name, count in counts.items() if count > 1))
    return record


# Made once: `json.loads` with a hook makes a decoder on every call.
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
