"""Why classes of transformers do not convert to an export format. Lines are of transformers 4.57.6."""

from __future__ import annotations

# model_type -> (columns of the table, why).
NOT_CONVERTED: dict[str, tuple[tuple[str, ...], str]] = {
    "deberta": (
        ("TFLite", "ONNX"),
        "AutoGraph makes control flow of a comparison of lengths (modeling_tf_deberta.py:801 and 810), which neither converter "
        "takes apart",
    ),
    "gptj": (
        ("ONNX",),
        "tf2onnx converts it, and onnxruntime fails in a Reshape of the attention (TFGPTJAttention, modeling_tf_gptj.py:79)",
    ),
    "longformer": (
        ("TFLite",),
        "AutoGraph makes control flow of the branch for global attention (modeling_tf_longformer.py:868)",
    ),
    "mistral": (
        ("ONNX",),
        "tf2onnx converts it, and onnxruntime fails in a Gather of the attention, which looks rotations up by position "
        "(modeling_tf_mistral.py:182)",
    ),
}
