"""The tokenizers of tests/support, made for these tests."""

from __future__ import annotations

from tests.support.tokenizers import make_tokenizer

__all__ = ["make_tokenizer"]
