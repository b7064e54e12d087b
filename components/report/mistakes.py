"""Rows that the model gets wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One of them; texts are cut, bytes that are not UTF-8 replaced."""

    texts: tuple[str, ...]
    label: str
    predicted: str
    probability: float  # of `predicted`
    label_probability: float
