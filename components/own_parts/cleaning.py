"""`transform.text`: what the user's cleaning makes of texts, in the graph and outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from models.own_parts import load_part

Cleaning = Callable[[tf.Tensor], tf.Tensor]


def cleaning_of(path: str | None) -> Cleaning:
    """The function of a config's `transform.text`, string [n] -> string [n]; without one, texts stay as they are.

    Raises:
        UsageError: it cannot be loaded.
    """
    return tf.identity if path is None else load_part(path)


def traced(clean: Cleaning) -> Any:
    """The same as a graph, traced once for any number of texts."""
    # As the trial does, so that what passes it is traced in the same way; AutoGraph would turn Python's `if` into an op.
    return tf.function(clean, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def cleaned(texts: Sequence[bytes], clean: Cleaning) -> list[bytes]:
    """Cleans texts outside of a graph."""
    return clean(tf.constant(list(texts), tf.string)).numpy().tolist()
