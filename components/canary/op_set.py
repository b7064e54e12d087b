"""Whether TF Serving 2.20 links every op of an exported graph.

Its BUILD file (tensorflow_serving/model_servers, SUPPORTED_TENSORFLOW_OPS, release 2.20.0) links TensorFlow's
ops and kernels, all of tensorflow-text 2.20.0 (`ops_lib`, SentencePiece among them) and the inference ops of
decision forests, which no model of this project has. Nothing can be added to a binary: a graph with any
other op fails to load there with "Op type not registered".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.model_files import SAVED_MODEL

# In TensorFlow 2.21, which exports the graph, and not in 2.20: all that `tf.raw_ops` of the two differ by.
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
    """Returns the ops of a SavedModel that TF Serving 2.20 does not link, sorted; functions included.

    Args:
        model_dir: SavedModel folder. It is read, not loaded: loading it needs its ops.
        allowed: ops that the user's own build of TF Serving links besides.

    Raises:
        OSError: saved_model.pb cannot be read.
        google.protobuf.message.DecodeError: it is no SavedModel.
    """
    saved_model = saved_model_pb2.SavedModel.FromString((model_dir / SAVED_MODEL).read_bytes())
    used = set(_ops(saved_model))
    return sorted(op for op in used - TEXT_OPS - set(allowed) if not _is_core(op))


def _ops(saved_model: saved_model_pb2.SavedModel) -> Iterator[str]:
    for meta_graph in saved_model.meta_graphs:
        functions = meta_graph.graph_def.library.function
        # A node may call a function by naming it as its op.
        names = {function.signature.name for function in functions}
        for nodes in (meta_graph.graph_def.node, *(function.node_def for function in functions)):
            yield from (node.op for node in nodes if node.op not in names)


def _is_core(op: str) -> bool:
    # The module was generated with TensorFlow itself; what libraries register later is not in it.
    return hasattr(tf.raw_ops, op) and op not in NEWER_OPS
