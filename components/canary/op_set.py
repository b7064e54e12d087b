"""Checks that TF Serving 2.20 links every op of an exported graph.

Its BUILD file (tensorflow_serving/model_servers, SUPPORTED_TENSORFLOW_OPS, release 2.20.0) links TensorFlow's
ops and kernels, all of tensorflow-text 2.20.0 (`ops_lib`, which includes SentencePiece) and the inference ops of
decision forests, which no model of this project uses. A binary cannot load further ops: a graph with any other
op fails to load with "Op type not registered".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.model_files import SAVED_MODEL

# Ops of TensorFlow 2.21, which exports the graph, that 2.20 lacks: the complete difference of their `tf.raw_ops`.
NEWER_OPS = frozenset({"DecodeJxl"})
TEXT_OPS = frozenset(
    {
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TFText>BoiseTagsToOffsets",
        "TFText>ByteSplitByOffsets",
        "TFText>ByteSplitWithOffsets",
        "TFText>FastSentencepieceDetokenize",
        "TFText>FastSentencepieceTokenize",
        "TFText>FastWordpieceDetokenize",
        "TFText>NgramsStringJoin",
        "TFText>OffsetsToBoiseTags",
        "TFText>PhraseDetokenize",
        "TFText>RoundRobinGenerateMasks",
        "TFText>RoundRobinTrim",
        "TFText>Utf8Binarize",
        "TFText>WhitespaceTokenizeWithOffsetsV2",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    }
)


def foreign_ops(model_dir: Path, allowed: Collection[str] = ()) -> list[str]:
    """Returns the ops of a SavedModel, functions included, that TF Serving 2.20 does not link, sorted.

    Args:
        model_dir: SavedModel folder. It is parsed, not loaded, because loading requires its ops.
        allowed: additional ops that the user's own build of TF Serving links.

    Raises:
        OSError: saved_model.pb cannot be read.
        google.protobuf.message.DecodeError: saved_model.pb is not a SavedModel.
    """
    saved_model = saved_model_pb2.SavedModel.FromString((model_dir / SAVED_MODEL).read_bytes())
    return foreign(set(_ops(saved_model)) - set(allowed))


def foreign(ops: Collection[str]) -> list[str]:
    """The ops that TF Serving 2.20 does not link, sorted."""
    return sorted(op for op in set(ops) - TEXT_OPS if not _is_core(op))


def _ops(saved_model: saved_model_pb2.SavedModel) -> Iterator[str]:
    for meta_graph in saved_model.meta_graphs:
        functions = meta_graph.graph_def.library.function
        # A node can call a function by using its name as the op.
        names = {function.signature.name for function in functions}
        for nodes in (meta_graph.graph_def.node, *(function.node_def for function in functions)):
            yield from (node.op for node in nodes if node.op not in names)


def _is_core(op: str) -> bool:
    # tf.raw_ops is generated when TensorFlow is built, so it has no ops that libraries register later.
    return hasattr(tf.raw_ops, op) and op not in NEWER_OPS
