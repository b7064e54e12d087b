"""Replaces Erfc, which TensorFlow uses for GELU but ONNX and TensorFlow.js lack, by 1 - erf(x)."""

from __future__ import annotations

from typing import Any


def without_erfc(graph: Any) -> Any:
    """Returns a GraphDef in which each Erfc(x) is replaced by 1 - Erf(x), under the same name.

    Raises:
        ValueError: the graph has an Erfc of another type than float32.
    """
    import tensorflow as tf

    rewritten = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    for node in graph.node:
        if node.op != "Erfc":
            rewritten.node.append(node)
            continue
        if node.attr["T"].type != tf.float32.as_datatype_enum:
            raise ValueError(
                f"{node.name} is an Erfc of {tf.as_dtype(node.attr['T'].type).name}, not float32"
            )
        one, erf = rewritten.node.add(op="Const", name=f"{node.name}/one"), rewritten.node.add()
        one.attr["dtype"].type = tf.float32.as_datatype_enum
        one.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.0))
        erf.CopyFrom(node)
        erf.op, erf.name = "Erf", f"{node.name}/erf"
        difference = rewritten.node.add(op="Sub", name=node.name, input=[one.name, erf.name])
        difference.attr["T"].type = tf.float32.as_datatype_enum
    return rewritten
