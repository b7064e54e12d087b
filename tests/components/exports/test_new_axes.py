"""Slices that only add axes become ExpandDims with the same values; others stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.exports.new_axes import without_new_axes

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def rewritten(slices: Callable[[tf.Tensor], tf.Tensor]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ops of the graph after the change, and the values before and after it."""
    function = tf.function(slices).get_concrete_function(tf.TensorSpec([None, None], tf.float32))
    [given], [output] = function.inputs, function.outputs
    graph = without_new_axes(function.graph.as_graph_def())

    def again(values: tf.Tensor) -> Any:
        [made] = tf.graph_util.import_graph_def(graph, {given.name: values}, [output.name], name="")
        return made

    after = tf.function(again)(tf.constant(VALUES)).numpy()
    return [node.op for node in graph.node], function(tf.constant(VALUES)).numpy(), after


@pytest.mark.parametrize(
    ("slices", "shape"),
    [
        (lambda x: x[:, None, None, :], (2, 1, 1, 3)),
        (lambda x: x[None, :, None], (1, 2, 1, 3)),
        (lambda x: x[..., None, :, None], (2, 1, 3, 1)),
        (lambda x: x[None, ..., None], (1, 2, 3, 1)),
    ],
)
def test_new_axes_are_expanded(slices: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, ...]) -> None:
    ops, before, after = rewritten(slices)
    assert "StridedSlice" not in ops
    assert ops.count("ExpandDims") == len(shape) - 2
    assert after.shape == shape
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    "slices",
    [
        lambda x: x[:, None, 1:],
        lambda x: x[None, 0],
        lambda x: x[:, None, ::2],
        lambda x: x[:1],
        lambda x: x[:, :: tf.shape(x)[0], None],
    ],
)
def test_slices_that_leave_something_out_stay(slices: Callable[[tf.Tensor], tf.Tensor]) -> None:
    ops, before, after = rewritten(slices)
    assert "ExpandDims" not in ops
    assert "StridedSlice" in ops
    np.testing.assert_array_equal(after, before)
