"""ONNX, for onnxruntime: float32, and int8 weights with dynamically quantized activations."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.exports.classify import open_onnx
from components.exports.erfc import without_erfc
from components.exports.opened import Opened, timed
from components.exports.shipped_files import write_shipped_files
from components.exports.token_model import converting, token_function

VARIANTS = ("float32", "int8")
OPSET = 18  # sufficient for all ops, and supported by onnxruntime since 2023
AXES = ("batch", "tokens")
_LARGE = 4096  # bytes of a constant; smaller ones may be shapes, which the converter must know


def convert(saved_model: Path, variant: str, out: Path) -> None:
    """Writes `model.<variant>.onnx`: int32 [batch, tokens] inputs, the answer, such as "probabilities" float32 [batch, classes].

    Args:
        saved_model: folder that the Trainer exported.
        variant: one of VARIANTS.
        out: existing folder of this SavedModel's variants; int8 is made from float32 if that exists.

    Raises:
        PipelineError: the SavedModel cannot be read or cannot be converted.
    """
    import onnx

    with converting(saved_model, f"ONNX {variant}"):
        exact = _file(out, "float32")
        if variant == "int8":
            model = _int8(onnx.load(str(exact)) if exact.is_file() else _float32(saved_model))
        else:
            model = _float32(saved_model)
        onnx.checker.check_model(model)
        onnx.save(model, str(_file(out, variant)))


def _float32(saved_model: Path) -> Any:
    from tf2onnx.convert import from_graph_def

    function = token_function(saved_model)
    inputs = {tensor.name: tensor.op.name for tensor in function.inputs}
    [(answer, output)] = zip(function.structured_outputs, function.outputs, strict=True)
    graph, weights = _without_weights(without_erfc(function.graph.as_graph_def()))
    model, _ = from_graph_def(
        graph,
        input_names=[*inputs, *weights],
        output_names=[output.name],
        tensors_to_rename={**inputs, output.name: answer},
        opset=OPSET,
    )
    _put_back(model.graph, weights)
    for value in [*model.graph.input, *model.graph.output]:
        for dimension, axis in zip(value.type.tensor_type.shape.dim, AXES, strict=False):
            if not dimension.HasField("dim_value"):
                dimension.dim_param = axis
    return model


def _without_weights(graph: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Replaces each large constant of a GraphDef by an input; returns the graph and tensor name -> constant.

    tf2onnx copies a graph many times, which with the weights in it takes many times their memory.
    """
    import tensorflow as tf

    rest, weights = tf.compat.v1.GraphDef(versions=graph.versions), {}
    for node in graph.node:
        if node.op != "Const" or node.attr["value"].tensor.ByteSize() < _LARGE:
            rest.node.append(node)
            continue
        weights[f"{node.name}:0"] = tf.make_ndarray(node.attr["value"].tensor)
        placeholder = rest.node.add(op="Placeholder", name=node.name)
        placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
        placeholder.attr["shape"].shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
    return rest, weights


def _put_back(graph: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Replaces the inputs that stand for weights by the weights."""
    from onnx import numpy_helper

    inputs = [value for value in graph.input if value.name not in weights]
    graph.ClearField("input")
    graph.input.extend(inputs)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())


def _int8(model: Any) -> Any:
    """Quantizes matrices and embeddings to int8."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(prefix="onnx-") as folder:
        target = Path(folder, "int8.onnx")
        # One scale per column: with one per matrix, many more labels change. 7 of the 8 bits, because
        # processors without VNNI add two products in 16 bits, which would saturate.
        quantize_dynamic(model, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
        return onnx.load(str(target))


@contextlib.contextmanager
def opened(out: Path, variant: str) -> Iterator[Opened]:
    """Loads the variant in onnxruntime, with the cores of this process."""
    yield timed(open_onnx(_file(out, variant)).predict)


def files(out: Path, variant: str) -> list[Path]:
    """The model's file."""
    return [_file(out, variant)]


def ship_beside(
    saved_model: Path,
    checkpoint: Path,
    max_length: int,
    text_columns: Sequence[str],
    variants: Sequence[str],
    out: Path,
) -> None:
    """Writes the labels, the tokenizer and the Python example: see `write_shipped_files`."""
    models = [_file(out, variant).name for variant in variants]
    write_shipped_files(saved_model, checkpoint, max_length, text_columns, models, "onnxruntime", out)


def _file(out: Path, variant: str) -> Path:
    return out / f"model.{variant}.onnx"
