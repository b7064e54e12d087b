"""Tries the function of `transform.text` on a few texts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from components.own_parts.cleaning import cleaned, traced
from components.own_parts.graph_ops import check_ops, one_tensor
from components.own_parts.unfit import UnfitError

TEXTS = (
    b"Who was Galileo ?",
    b"",
    b" \t\r\n ",
    "Ünï\u00a0code \U0001f600 e\u0301 ﷺ".encode(),
    b"not UTF-8: \xff\xfe\xc3",
    b"<b>R&amp;D</b> https://example.com a.b@example.com #1 @x",
    b"\x00control\x07",
    b"word " * 2000,
)


def try_text(function: Any) -> None:
    """Raises UnfitError if the function breaks the contract: string [n] -> string [n], each text for itself."""
    clean = traced(function)
    concrete = clean.get_concrete_function()
    made = one_tensor(concrete)
    if made.dtype != tf.string or not made.shape.is_compatible_with([None]):
        raise UnfitError(f"must return string [n] for string [n], returns {made.dtype.name} {made.shape}")
    check_ops(concrete)
    together = _clean(clean, TEXTS)
    if _clean(clean, ()) != []:
        raise UnfitError("must return no text for no text: batches can be empty")
    for text, of_batch in zip(TEXTS, together, strict=True):
        [alone] = _clean(clean, (text,))
        if alone != of_batch:
            raise UnfitError(
                f"makes {_shown(alone)} of {_shown(text)} alone and {_shown(of_batch)} among other texts: a text may not "
                "depend on the texts beside it"
            )


def _clean(clean: Any, texts: tuple[bytes, ...]) -> list[bytes]:
    try:
        made = cleaned(texts, clean)
    except tf.errors.OpError as error:
        [culprit] = texts if len(texts) == 1 else [_culprit(clean, texts)]
        raise UnfitError(
            f"fails for the text {_shown(culprit)}: {error.message.splitlines()[0][:200]}"
        ) from error
    if len(made) != len(texts):
        raise UnfitError(f"must return as many texts as it takes, returns {len(made)} for {len(texts)}")
    return made


def _culprit(clean: Any, texts: tuple[bytes, ...]) -> bytes:
    for text in texts:
        try:
            cleaned((text,), clean)
        except tf.errors.OpError:
            return text
    return b""


def _shown(text: bytes) -> str:
    return repr(text if len(text) <= 40 else text[:37] + b"...")
