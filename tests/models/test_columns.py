"""Raw columns in every form in which TFX passes them."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from models.columns import one_value


@pytest.mark.parametrize(
    "column",
    [
        tf.constant(["who", ""]),
        tf.constant([["who"], [""]]),
        tf.sparse.from_dense([["who"], [""]]),
        tf.SparseTensor([[0, 0]], ["who"], [2, 1]),
        tf.ragged.constant([["who", "was"], []]),
    ],
    ids=["batch", "batch by one", "sparse", "sparse without a row", "ragged with two"],
)
def test_first_value_of_a_row_is_taken_whatever_the_tensor(column: Any) -> None:
    assert one_value(column, "").numpy().tolist() == [b"who", b""]
