"""Parses JSON and rejects repeated keys in an object, of which Python's parser silently keeps the last value."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


class DuplicateKeyError(ValueError):
    """An object has a key twice; `key` is that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} occurs twice in one object")
        self.key = key


def loads(text: str) -> Any:
    """Parses one JSON document, as `json.loads` does.

    Raises:
        DuplicateKeyError: an object, at any depth, has a key twice; escapes are resolved before the comparison.
        ValueError: the text is not JSON, or has an integer with more digits than Python converts.
        RecursionError: the text is nested too deeply.
    """
    return _DECODER.decode(text)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The `object_pairs_hook` of a decoder that rejects repeated keys.

    Raises:
        DuplicateKeyError: a key occurs twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise DuplicateKeyError(next(name for name, count in counts.items() if count > 1))
    return record


# Created once, because `json.loads` with a hook creates a decoder on every call.
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
