"""Runs the TensorFlow.js converter in its own process, which `tfjs.export` starts.

    python -m components.exports.tfjs.convert TOKEN_MODEL VARIANT OUT

Its package imports TensorFlow Decision Forests, TensorFlow Hub and JAX, for kinds of models that this project does
not make. It does not support Erfc, which TensorFlow uses for GELU, so erfc(x) is replaced by 1 - erf(x).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.exports.erfc import without_erfc

_NOT_USED = (
    "jax",
    "jax.experimental",
    "jax.experimental.jax2tf",
    "jax.experimental.jax2tf.shape_poly",
    "tensorflow_decision_forests",
    "tensorflow_hub",
)
SIGNATURE = "serving_default"


class _NotUsed(types.ModuleType):
    """Replaces a package that the converter imports but does not use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}", type(name, (), {}))


def convert(token_model: Path, variant: str, out: Path) -> None:
    """Writes model.json and the weight files of a graph model into `out`.

    Args:
        token_model: SavedModel with the signature `serving_default`: int32 [batch, tokens] -> float32
            [batch, classes].
        variant: the type that the weights are stored as: "float32", "float16" or "uint8".
        out: created if it does not exist.
    """
    sys.modules.update({name: _NotUsed(name) for name in _NOT_USED})
    import tensorflow as tf
    from google.protobuf.json_format import MessageToDict
    from tensorflowjs.converters import tf_saved_model_conversion_v2 as converter

    frozen, signature = _frozen(token_model)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen, name="")
    out.mkdir(parents=True, exist_ok=True)
    optimized = converter.optimize_graph(graph, signature, strip_debug_ops=True)
    weights = converter.extract_weights(optimized)
    converter.write_artifacts(
        MessageToDict(optimized),
        weights,
        str(out / "model.json"),
        tf.__version__,
        signature,
        quantization_dtype_map=None if variant == "float32" else {variant: _matrices(weights)},
    )


def _matrices(weights: list[list[dict[str, Any]]]) -> list[str]:
    """Names of the weights to quantize. A mask's constant of -1e38 would be infinite as float16, and 0 times that is
    NaN."""
    return [weight["name"] for group in weights for weight in group if weight["data"].ndim > 1]


def _frozen(token_model: Path) -> tuple[Any, Any]:
    """The graph without variables and without Erfc, and the names of its inputs and its output."""
    import tensorflow as tf
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = tf.saved_model.load(str(token_model))
    function = loaded.signatures[SIGNATURE]
    frozen = convert_variables_to_constants_v2(function, aggressive_inlining=True)
    signature = SignatureDef()
    for tensor in frozen.inputs:
        _describe(signature.inputs[tensor.op.name], tensor)
    for name, tensor in zip(function.structured_outputs, frozen.outputs, strict=True):
        _describe(signature.outputs[name], tensor)
    return without_erfc(frozen.graph.as_graph_def()), signature


def _describe(info: Any, tensor: Any) -> None:
    info.name, info.dtype = tensor.name, tensor.dtype.as_datatype_enum
    info.tensor_shape.CopyFrom(tensor.shape.as_proto())


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    token_model, variant, out = arguments
    convert(Path(token_model), variant, Path(out))


if __name__ == "__main__":
    main(sys.argv[1:])
