"""ONNX variants compared with the served signature, and their contents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.exports.onnx import export as onnx_export
from models.errors import PipelineError
from tests.components.exports.answers import (
    check_answers,
    check_answers_to_pairs,
    check_process_is_left_alone,
)

LARGEST_DIFFERENCE = {"float32": 1e-5, "int8": 5e-2}


@pytest.fixture(scope="module")
def made(shipped: Callable[..., Path]) -> Path:
    return shipped("onnx")


@pytest.mark.parametrize("variant", onnx_export.VARIANTS)
def test_answers_are_those_of_the_served_signature(variant, made, one_text) -> None:
    with onnx_export.opened(made, variant) as opened:
        check_answers(opened, one_text, LARGEST_DIFFERENCE[variant])


def test_a_model_of_text_pairs_takes_token_types(shipped, text_pairs) -> None:
    with onnx_export.opened(shipped("onnx", pairs=True), "float32") as opened:
        check_answers_to_pairs(opened, text_pairs)


@pytest.mark.parametrize("variant", onnx_export.VARIANTS)
def test_inputs_and_outputs_have_their_names_and_free_dimensions(variant, made) -> None:
    import onnx

    model = onnx.load(str(made / f"model.{variant}.onnx"))
    onnx.checker.check_model(model, full_check=True)
    described = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in [*model.graph.input, *model.graph.output]
    }
    assert described == {
        "attention_mask": (onnx.TensorProto.INT32, ["batch", "tokens"]),
        "input_ids": (onnx.TensorProto.INT32, ["batch", "tokens"]),
        "probabilities": (onnx.TensorProto.FLOAT, ["batch", 3]),
    }


@pytest.mark.parametrize("variant", onnx_export.VARIANTS)
def test_only_standard_ops_without_strings_are_used(variant, made) -> None:
    import onnx

    model = onnx.load(str(made / f"model.{variant}.onnx"))
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18
    used = {node.op_type for node in model.graph.node}
    assert {node.domain for node in model.graph.node} == {""}
    assert "Erf" in used  # GELU as it was trained, not its approximation
    assert not {name for name in used if "String" in name or "Label" in name or "Tokenizer" in name}
    assert ("MatMulInteger" in used) == (variant == "int8")
    assert onnx.TensorProto.STRING not in {tensor.data_type for tensor in model.graph.initializer}


def test_int8_is_far_smaller(made) -> None:
    float32, int8 = (
        sum(path.stat().st_size for path in onnx_export.files(made, variant))
        for variant in onnx_export.VARIANTS
    )
    assert int8 < 0.6 * float32


def test_a_model_that_cannot_be_converted_is_one_line(folder) -> None:
    with pytest.raises(PipelineError, match=r"gone: not a SavedModel that can be loaded: ") as raised:
        onnx_export.convert(folder / "gone", "float32", folder)
    assert "\n" not in str(raised.value)


def test_the_process_is_as_it_was_before_a_conversion(one_text, folder) -> None:
    check_process_is_left_alone(onnx_export, one_text, folder)
