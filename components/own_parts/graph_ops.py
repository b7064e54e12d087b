"""Which ops the graph of an own part may have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from components.canary.op_set import foreign
from components.own_parts.unfit import UnfitError

_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
# TensorFlow counts them as stateful, because the functions that they call can be.
_CALLS = ("PartitionedCall", "StatefulPartitionedCall", "Placeholder")


def check_ops(function: Any, allowed: Collection[str] = ()) -> None:
    """Checks the ops of a concrete function and of all functions that it calls; `allowed` may have a state.

    Raises:
        UnfitError: one runs Python code, is not linked by TF Serving, or keeps a state or draws random numbers.
    """
    used = set(_ops(function.graph))
    for op in sorted(used):
        if op in _PYTHON:
            raise UnfitError(
                f"runs Python in the graph ({op}, of tf.py_function or tf.numpy_function), which no served model can: use "
                "TensorFlow ops only"
            )
    for op in foreign(used):
        raise UnfitError(f"uses the op {op}, which TF Serving does not link")
    for op in sorted(used - {*_CALLS, *allowed}):
        definition = op_def_registry.get(op)
        if definition is not None and definition.is_stateful:
            raise UnfitError(
                f"uses the op {op}, which keeps a state or draws random numbers: the result must depend on the row alone"
            )


def _ops(graph: Any) -> Iterator[str]:
    definition = graph.as_graph_def(add_shapes=False)
    names = {function.signature.name for function in definition.library.function}
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        yield from (node.op for node in nodes if node.op not in names)


def one_tensor(function: Any) -> tf.Tensor:
    """What a concrete function returns, as a tensor of its graph.

    Raises:
        UnfitError: it is not one tensor.
    """
    if not isinstance(function.structured_outputs, tf.Tensor):
        raise UnfitError(f"must return one tensor, returns {type(function.structured_outputs).__name__}")
    return function.structured_outputs
