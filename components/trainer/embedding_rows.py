"""Training of the embedding rows whose tokens occur in the training data.

Most tokens of a vocabulary never occur in a dataset. The gradients of their rows are always 0, and so are their
moments: AdamW changes these rows by weight decay alone. They need no moments and no update per step, only the product
of all decays before they are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

_WORTHWHILE = 0.75  # of the rows: above that, copying costs what is saved


def is_worthwhile(variable: tf.Variable, ids: Sequence[int]) -> bool:
    """Whether so few rows are used that training them apart from the others is faster."""
    return len(ids) <= _WORTHWHILE * variable.shape[0]


class EmbeddingRows(tf.Module):
    """The used rows of an embedding as a variable of their own.

    `values`: float32 [used, width], what the optimizer updates; `write` copies it into the embedding. `pending`:
    float32 scalar, the factor that weight decay makes due for all other rows, until `settle`.

    Args:
        variable: the embedding, float32 [vocabulary, width].
        ids: the rows that can have a gradient, ascending.
    """

    def __init__(self, variable: tf.Variable, ids: Sequence[int]) -> None:
        super().__init__()
        self.variable = variable
        self._ids = tf.constant(ids, tf.int32)
        places = tf.scatter_nd(self._ids[:, None], tf.range(1, len(ids) + 1), [variable.shape[0]])
        self._places = places - 1  # -1: unsorted_segment_sum leaves it out
        self.values = tf.Variable(tf.gather(variable, self._ids), trainable=False)
        self.pending = tf.Variable(
            1.0, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )

    def gradient(self, gradient: tf.IndexedSlices) -> tf.Tensor:
        """The embedding's gradient -> that of `values`, float32 [used, width].

        Raises:
            TypeError: the gradient is dense: the model uses the embedding for more than looking up words.
        """
        if not isinstance(gradient, tf.IndexedSlices):
            raise TypeError(f"the gradient of {self.variable.name} is not sparse")
        places = tf.gather(self._places, gradient.indices)
        return tf.math.unsorted_segment_sum(gradient.values, places, self.values.shape[0])

    def write(self) -> None:
        """Copies `values` into the embedding."""
        # Through the handles: every replica does the same to its own copy.
        tf.raw_ops.ResourceScatterUpdate(
            resource=self.variable.handle, indices=self._ids, updates=self.values.read_value()
        )

    def settle(self) -> None:
        """Applies the decay that is pending; outside of a replica."""
        decayed = self.variable.read_value() * self.pending.read_value()
        self.variable.assign(
            tf.tensor_scatter_nd_update(decayed, self._ids[:, None], self.values.read_value())
        )
        self.pending.assign(1.0)

    def reload(self) -> None:
        """Takes `values` from the embedding, after that was restored."""
        self.values.assign(tf.gather(self.variable.read_value(), self._ids))
