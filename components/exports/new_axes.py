"""Replaces slices that only add axes, such as `mask[:, None, None, :]`, by ExpandDims.

TensorFlow Lite does not convert the former where the shape is not known.
"""

from __future__ import annotations

from typing import Any


def without_new_axes(graph: Any) -> Any:
    """Returns a GraphDef in which each StridedSlice that takes all of its input is ExpandDims, under the same name.

    Slices that also leave something out, or whose strides are not constant, stay as they are.
    """
    import tensorflow as tf

    rewritten = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    for node in graph.node:
        strides = constants.get(node.input[3].removesuffix(":0")) if node.op == "StridedSlice" else None
        axes = [] if strides is None else _added_axes(node, tf.make_ndarray(strides.attr["value"].tensor))
        if axes:
            _expand(rewritten, node, axes)
        else:
            rewritten.node.append(node)
    return rewritten


def _added_axes(node: Any, strides: Any) -> list[int]:
    """The axes in the order in which they are to be added, or [] if the slice does anything else.

    `x[:, None, None, :] -> [1, 2]`, `x[..., None, :, None] -> [-1, -3]`
    """
    begin, end, ellipsis, new, shrink = (
        node.attr[f"{name}_mask"].i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    )
    places, count = range(len(strides)), len(strides)
    whole = new | ellipsis | (begin & end)
    if shrink or any(not whole >> i & 1 or (strides[i] != 1 and not new >> i & 1) for i in places):
        return []
    added = [i for i in places if new >> i & 1]
    rest = next((i for i in places if ellipsis >> i & 1), count)
    return [i for i in added if i < rest] + [i - count for i in reversed(added) if i > rest]


def _expand(graph: Any, node: Any, axes: list[int]) -> None:
    """Appends one ExpandDims for each axis; the last has the node's name."""
    import tensorflow as tf

    value = node.input[0]
    for number, axis in enumerate(axes):
        last = number == len(axes) - 1
        where = graph.node.add(op="Const", name=f"{node.name}/axis_{number}")
        where.attr["dtype"].type = tf.int32.as_datatype_enum
        where.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(axis))
        expanded = graph.node.add(
            op="ExpandDims",
            name=node.name if last else f"{node.name}/expanded_{number}",
            input=[value, where.name],
        )
        expanded.attr["T"].CopyFrom(node.attr["T"])
        expanded.attr["Tdim"].type = tf.int32.as_datatype_enum
        value = expanded.name
