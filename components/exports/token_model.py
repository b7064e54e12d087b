"""The model that all formats are made from: the part of the served model from token ids to probabilities.

No format supports tensorflow-text's ops or string tables, so tokenization and label names are left out. The
weights become constants, which the converters would do first anyway.
"""

from __future__ import annotations

import gc
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.exports.new_axes import without_new_axes
from models import features
from models.answers import answer_name
from models.errors import PipelineError

_REASON_CHARACTERS = 300


def save_token_model(saved_model: Path, out: Path) -> None:
    """Writes a SavedModel whose `serving_default` is `token_function`, and which has no variables.

    Args:
        saved_model: folder that `components.trainer.export.export_model` wrote.
        out: folder to create.

    Raises:
        PipelineError: `saved_model` is not such a folder.
    """
    module = tf.Module()
    module.serve = token_function(saved_model)
    # No gradients: that of an activation such as swish refers to tensors of the graph that the part was taken from.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(out), signatures=module.serve, options=options)
    del module
    gc.collect()  # as in `token_function`


def token_function(saved_model: Path) -> Any:
    """The signature `serve_tokens` of a SavedModel folder, without its labels and on int32.

    Returns:
        ConcreteFunction: the model's inputs, such as input_ids and attention_mask, int32 [batch, tokens]
            -> {"probabilities": float32 [batch, classes]}.

    Raises:
        PipelineError: the folder cannot be read, or this project's Trainer did not export it.
    """
    graph, ends, output, answer = _computation(saved_model)
    gc.collect()  # graphs form reference cycles, and each of them has all the weights

    def serve(**tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = {end: tokens[name] for end, name in ends.items()}
        [probabilities] = tf.graph_util.import_graph_def(graph, inputs, [output], name="")
        return {answer: probabilities}

    names = dict.fromkeys(ends.values())
    specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
    return tf.function(serve, autograph=False).get_concrete_function(**specs)


def _computation(saved_model: Path) -> tuple[tf.compat.v1.GraphDef, dict[str, str], str, str]:
    """Returns the graph that computes the answer, tensor -> input name, the output tensor and the answer's name."""
    loaded = _load(saved_model)
    signature = loaded.signatures.get(features.TOKENS_SIGNATURE)
    answer = answer_name(signature.structured_outputs) if signature is not None else None
    if signature is None or answer is None:
        raise PipelineError(
            f"{saved_model}: no signature {features.TOKENS_SIGNATURE!r} that gives {features.PROBABILITIES!r}; "
            "was it exported by this project's Trainer?"
        )
    # All functions are inlined, so that the probabilities do not depend on the label table.
    frozen = convert_variables_to_constants_v2(signature, aggressive_inlining=True)
    output = frozen.outputs[sorted(signature.structured_outputs).index(answer)]
    nodes = {node.name: node for node in frozen.graph.as_graph_def().node}
    names = set(signature.structured_input_signature[1])
    casts = {name: source for name in nodes if (source := _cast_input(nodes, name)) in names}
    missing = sorted(names - set(casts.values()))
    if missing:
        raise PipelineError(
            f"{saved_model}: the inputs {missing} are not cast to int32; was it exported by this project's Trainer?"
        )
    return (
        without_new_axes(_part(nodes, output.op.name, casts)),
        {f"{cast}:0": name for cast, name in casts.items()},
        output.name,
        answer,
    )


def _load(saved_model: Path) -> Any:
    try:
        return tf.saved_model.load(str(saved_model))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise PipelineError(
            f"{saved_model}: not a SavedModel that can be loaded: {one_line(error)}"
        ) from error


def _cast_input(nodes: Mapping[str, Any], name: str) -> str:
    """The input that a node casts to int32, the type that the formats accept; "" for any other node."""
    node = nodes[name]
    if node.op != "Cast" or node.attr["DstT"].type != tf.int32.as_datatype_enum:
        return ""
    source = nodes[_node_name(node.input[0])]
    while source.op == "Identity":
        source = nodes[_node_name(source.input[0])]
    return str(source.name)


def _part(nodes: Mapping[str, Any], output: str, ends: Container[str]) -> tf.compat.v1.GraphDef:
    """The subgraph that `output` is computed from, up to `ends`, which are left out."""
    part, waiting, seen = tf.compat.v1.GraphDef(), [output], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name in ends:
            continue
        seen.add(name)
        node = part.node.add()
        node.CopyFrom(nodes[name])
        # Control inputs only order side effects, which do not occur here.
        values = [value for value in node.input if not value.startswith("^")]
        node.ClearField("input")
        node.input.extend(values)
        waiting += map(_node_name, values)
    return part


def _node_name(tensor: str) -> str:
    """`"MatMul_1:0" -> "MatMul_1"`."""
    return tensor.partition(":")[0]


@contextmanager
def converting(saved_model: Path, to: str) -> Iterator[None]:
    """Converts any exception of a converter to a one-line error.

    Raises:
        PipelineError: the block raised an exception.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        raise PipelineError(f"{saved_model}: not converted to {to}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The class and the beginning of the message, because converters quote whole graphs."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_REASON_CHARACTERS]
