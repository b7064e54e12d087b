"""The graph that all formats are made from."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from components.exports.token_model import converting, save_token_model, token_function
from models.errors import PipelineError
from tests.components.exports.conftest import batch
from tests.support.tiny_export import TinyExport, serve

# All ops of a BERT classifier, none of which needs strings, tables or tensorflow-text.
COMPUTATION = {
    *(
        "AddV2",
        "BatchMatMulV2",
        "BiasAdd",
        "Cast",
        "Const",
        "Erfc",
        "ExpandDims",
        "GatherV2",
        "Identity",
        "MatMul",
    ),
    *("Mean", "Mul", "Neg", "Pack", "Placeholder", "Reshape", "Rsqrt", "Shape", "Softmax"),
    *("SquaredDifference", "StopGradient", "StridedSlice", "Sub", "Tanh", "Transpose"),
}


def test_only_what_makes_the_probabilities_is_left(one_text: TinyExport) -> None:
    function = token_function(one_text.saved_model)
    assert {node.op for node in function.graph.as_graph_def().node} <= COMPUTATION
    assert [(spec.name, spec.dtype, spec.shape.as_list()) for spec in function.inputs] == [
        ("attention_mask:0", tf.int32, [None, None]),
        ("input_ids:0", tf.int32, [None, None]),
    ]
    assert not function.graph.variables
    assert not function.captured_inputs


@pytest.mark.parametrize("pairs", [False, True])
def test_its_signature_gives_the_probabilities_of_serve_tokens(pairs, one_text, text_pairs, folder) -> None:
    model = (text_pairs if pairs else one_text).saved_model
    save_token_model(model, folder / "tokens")
    for rows, tokens in ((3, 7), (1, 2), (9, 16)):
        asked = batch(rows, tokens, pairs)
        got = serve(folder / "tokens", "serving_default", **asked)
        served = serve(model, "serve_tokens", **{k: v.astype(np.int64) for k, v in asked.items()})
        assert set(got) == {"probabilities"}
        np.testing.assert_allclose(got["probabilities"], served["probabilities"], atol=1e-6)


def test_a_savedmodel_of_another_kind_is_named(folder) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(folder / "other"))
    with pytest.raises(PipelineError, match=r"other: no signature 'serve_tokens' that gives 'probabilities'"):
        token_function(folder / "other")


def test_a_folder_that_is_no_savedmodel_is_named_in_one_line(folder) -> None:
    (folder / "saved_model.pb").write_bytes(b"\xff\xff no graph")
    with pytest.raises(PipelineError, match=r"out: not a SavedModel that can be loaded: ") as raised:
        token_function(folder)
    assert "\n" not in str(raised.value)


def test_what_a_converter_raises_becomes_one_short_line(folder) -> None:
    with pytest.raises(PipelineError) as raised, converting(folder, "TFLite int8"):
        raise RuntimeError("tf.Foo: not supported\n" + "  <graph>\n" * 1000)
    assert str(raised.value).startswith(f"{folder}: not converted to TFLite int8: RuntimeError: tf.Foo: not")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
