"""How near training comes to the machine: its useful matrix products against how fast the machine does such products.

Useful are those of true lengths, without padding, and in the last layer those of the first token alone, which is all
that the head reads. A backward pass takes two products for each of the forward pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

_PASSES = 3  # of products: forward, gradient of the input, gradient of the kernel
_REPEATS = 30


def training_operations(config: Any, lengths: Sequence[int]) -> float:
    """Additions and multiplications of one epoch over rows of these lengths, for an encoder like BERT.

    `(BertConfig(hidden_size=2, intermediate_size=4, num_hidden_layers=1), [1])` -> `3 * 2 * (4 * 4 + 2 * 8 + 2 * 2)`,
    without the products of the head.
    """
    return _PASSES * sum(_row_operations(config, length) for length in lengths)


def _row_operations(config: Any, tokens: int) -> float:
    width, inner, layers = config.hidden_size, _inner(config), config.num_hidden_layers

    def layer(queries: int) -> float:
        projections = 2 * width * width * (queries + 2 * tokens + queries)
        attention = 2 * 2 * queries * tokens * width
        return projections + attention + 2 * 2 * queries * width * inner

    return (layers - 1) * layer(tokens) + layer(1)


def _inner(config: Any) -> int:
    """The width of the feed-forward; DistilBERT has its own name for it."""
    return int(config.hidden_dim if hasattr(config, "hidden_dim") else config.intermediate_size)


def product_rate(config: Any, tokens: int, dtype: str = "float32") -> float:
    """Additions and multiplications per second of one layer's dense products, forward and backward.

    Args:
        config: of an encoder like BERT.
        tokens: of a batch.
        dtype: of the products.
    """
    import tensorflow as tf

    operands = [
        [tf.cast(tf.random.normal(shape), dtype) for shape in shapes]
        for shapes in _operand_shapes(config, tokens)
    ]

    @tf.function
    def products() -> list[tf.Tensor]:
        # Of each product one value is read, so that none is left out.
        return [tf.matmul(a, b)[0, 0] for a, b in operands]

    tf.nest.map_structure(lambda value: value.numpy(), products())
    best = float("inf")
    for _ in range(_REPEATS):
        start = time.perf_counter()
        tf.nest.map_structure(lambda value: value.numpy(), products())
        best = min(best, time.perf_counter() - start)
    return sum(2.0 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in operands) / best


def _operand_shapes(config: Any, tokens: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    width, inner = config.hidden_size, _inner(config)
    for inputs, outputs in ((width, width),) * 4 + ((width, inner), (inner, width)):
        yield (tokens, inputs), (inputs, outputs)
        yield (tokens, outputs), (outputs, inputs)
        yield (inputs, tokens), (tokens, outputs)
