"""Adds TFLite metadata to a .tflite file: a description of inputs and outputs, the labels and the vocabulary.

The format is that of tflite-support, which cannot be installed together with protobuf 6: a flatbuffer with the schema
`metadata_schema.fbs` (file identifier M001) in the buffer TFLITE_METADATA, and the files in an uncompressed zip
archive after the model. Interpreters ignore both.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers

from models import features

BUFFER_NAME = "TFLITE_METADATA"
FILE_IDENTIFIER = b"M001"
PARSER_VERSION = "1.1.0"  # the first that supports tokenizers

# The schema's enums and union members that are used here.
TENSOR_AXIS_LABELS, VOCABULARY = 2, 5
FEATURE_PROPERTIES = 1
TOKENIZERS = {"BertTokenizerOptions": 4}

_DESCRIPTIONS = {
    features.INPUT_IDS: "Token ids with special tokens, padded to the longest text of the batch.",
    features.ATTENTION_MASK: "1 for a token, 0 for padding.",
    features.TOKEN_TYPE_IDS: "The token types that the tokenizer gives, such as 1 for the second text.",
    features.PROBABILITIES: "Probability of each label.",
    features.VALUE: "The predicted number.",
}
_DIMENSIONS = {features.PROBABILITIES: ["batch", "label"], features.VALUE: ["batch"]}


def add_metadata(model: Path, labels: Path, vocabulary: Path, family: str, options: str | None) -> None:
    """Adds the metadata and both files to a .tflite file that has no metadata yet.

    Args:
        model: a file that the converter wrote, with one signature.
        labels: one label per line, in the order of the probabilities.
        vocabulary: one token per line, in the order of the ids.
        family: the tokenizer's, such as "WordPiece".
        options: the schema's name of such tokenizers, a key of TOKENIZERS; None: it has none.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    graph = flatbuffer_utils.convert_bytearray_to_object(bytearray(model.read_bytes()))
    content = metadata(*_names(graph), labels.name, vocabulary.name, family, options)
    graph.buffers.append(schema.BufferT(data=list(content)))
    entry = schema.MetadataT(name=BUFFER_NAME, buffer=len(graph.buffers) - 1)
    graph.metadata = [*(graph.metadata or []), entry]
    packed = io.BytesIO(flatbuffer_utils.convert_object_to_bytearray(graph))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        for path in (labels, vocabulary):
            # A fixed date, so that exports of the same model are equal.
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    model.write_bytes(packed.getvalue())


def _names(graph: Any) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs in the signature, in the order of the graph."""
    [signature], [subgraph, *_] = graph.signatureDefs, graph.subgraphs
    called = {entry.tensorIndex: entry.name.decode() for entry in [*signature.inputs, *signature.outputs]}
    return [called[index] for index in subgraph.inputs], [called[index] for index in subgraph.outputs]


def metadata(
    inputs: Sequence[str],
    outputs: Sequence[str],
    labels: str,
    vocabulary: str,
    family: str,
    options: str | None,
) -> bytes:
    """The flatbuffer. Field numbers are positions in the schema's tables."""
    b = flatbuffers.Builder()
    label_file = _file(b, labels, "Labels in the order of the probabilities.", TENSOR_AXIS_LABELS)
    described = f"Tokens of the {family} tokenizer, one per line; the id is the line number, from 0."
    vocabulary_file = _file(b, vocabulary, described, VOCABULARY)
    subgraph = _table(
        b,
        {
            2: _vector(b, [_tensor(b, name, ["batch", "tokens"]) for name in inputs]),
            3: _vector(b, [_tensor(b, name, _DIMENSIONS[name], [label_file]) for name in outputs]),
            **_tokenizer(b, vocabulary_file, options),
        },
    )
    model = _table(
        b,
        {
            0: b.CreateString("Text classifier"),
            1: b.CreateString("Classifies a text by its token ids."),
            3: _vector(b, [subgraph]),
            7: b.CreateString(PARSER_VERSION),
        },
    )
    b.Finish(model, FILE_IDENTIFIER)
    return bytes(b.Output())


def _tokenizer(b: flatbuffers.Builder, vocabulary: int, name: str | None) -> dict[int, int]:
    """The field of SubGraphMetadata with the vocabulary: associated_files, or input_process_units where there is a unit."""
    if name is None:
        return {4: _vector(b, [vocabulary])}
    options = _table(b, {0: _vector(b, [vocabulary])})
    return {5: _vector(b, [_table(b, {1: options}, {0: TOKENIZERS[name]})])}


def _tensor(b: flatbuffers.Builder, name: str, dimensions: Sequence[str], files: Sequence[int] = ()) -> int:
    """TensorMetadata."""
    content = _table(b, {1: _table(b, {})}, {0: FEATURE_PROPERTIES})
    fields = {
        0: b.CreateString(name),
        1: b.CreateString(_DESCRIPTIONS[name]),
        2: _vector(b, [b.CreateString(dimension) for dimension in dimensions]),
        3: content,
    }
    return _table(b, {**fields, **({6: _vector(b, files)} if files else {})})


def _file(b: flatbuffers.Builder, name: str, description: str, kind: int) -> int:
    """AssociatedFile."""
    return _table(b, {0: b.CreateString(name), 1: b.CreateString(description)}, {2: kind})


def _table(b: flatbuffers.Builder, offsets: Mapping[int, int], small: Mapping[int, int] | None = None) -> int:
    """A table with references and enums by field number; everything that it refers to is already written."""
    b.StartObject(max([*offsets, *(small or {})], default=-1) + 1)
    for field, offset in offsets.items():
        b.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, value in (small or {}).items():
        b.PrependUint8Slot(field, value, 0)
    return int(b.EndObject())


def _vector(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
