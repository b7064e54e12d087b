"""Computing an exported float32 model in bfloat16: a copy whose graph has casts around every matrix product.

The server and the Evaluator make the same copy, so what is evaluated is what is served. Weights, sums, softmax and layer
norms stay float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

BFLOAT16: Final = "bfloat16"  # of the values of `serve.precision`
# Op -> the name of its output, by which the nodes of a function read it.
_PRODUCTS = {"MatMul": "product", "BatchMatMul": "output", "BatchMatMulV2": "output", "Einsum": "output"}
_GRAPH = "saved_model.pb"
_FLOAT32, _BFLOAT16 = tf.float32.as_datatype_enum, tf.bfloat16.as_datatype_enum
Loaded = TypeVar("Loaded")


def load_in(precision: str, model: Path, load: Callable[[str], Loaded]) -> Loaded:
    """Calls `load` with the folder of a SavedModel that computes in this precision; it may read it only during the call."""
    if precision != BFLOAT16:
        return load(str(model))
    with tempfile.TemporaryDirectory(prefix="bfloat16-") as folder:
        write_bfloat16(model, Path(folder))
        return load(folder)


def write_bfloat16(model: Path, out: Path) -> None:
    """Makes of an empty folder the SavedModel `model` with its products in bfloat16; its other files are links."""
    saved = saved_model_pb2.SavedModel.FromString((model / _GRAPH).read_bytes())
    for meta_graph in saved.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            _rewrite(function)
    (out / _GRAPH).write_bytes(saved.SerializeToString())
    for path in model.iterdir():
        if path.name != _GRAPH:
            (out / path.name).symlink_to(path.absolute(), target_is_directory=path.is_dir())


def _rewrite(function: Any) -> None:
    """Puts casts before and behind each float32 product of a FunctionDef."""
    products = [
        node for node in function.node_def if node.op in _PRODUCTS and node.attr["T"].type == _FLOAT32
    ]
    replaced = {f"{node.name}:{_PRODUCTS[node.op]}:0": f"{node.name}/to_float32:y:0" for node in products}
    for node in function.node_def:
        node.input[:] = [replaced.get(name, name) for name in node.input]
    for key, name in function.ret.items():
        function.ret[key] = replaced.get(name, name)
    for node in products:
        function.node_def.extend(_casts(node))


def _casts(product: Any) -> Iterator[Any]:
    """Changes the type of a product; yields the nodes that cast its operands and its result."""
    product.attr["T"].type = _BFLOAT16
    for number, name in enumerate(product.input):
        if name.startswith("^"):
            continue
        cast = _cast(f"{product.name}/to_bfloat16_{number}", name, _FLOAT32, _BFLOAT16)
        product.input[number] = f"{cast.name}:y:0"
        yield cast
    result = f"{product.name}:{_PRODUCTS[product.op]}:0"
    yield _cast(f"{product.name}/to_float32", result, _BFLOAT16, _FLOAT32)


def _cast(name: str, operand: str, source: int, target: int) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Cast", input=[operand])
    node.attr["SrcT"].type = source
    node.attr["DstT"].type = target
    return node
