"""TFLite variants compared with the served signature, their contents, and the metadata that readers look for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers.table
import numpy as np
import pytest
from flatbuffers import encode, number_types

from components.exports.tflite import export as tflite
from components.exports.tflite import metadata
from models.errors import PipelineError
from tests.components.exports.answers import (
    check_answers,
    check_answers_to_pairs,
    check_process_is_left_alone,
)
from tests.components.exports.conftest import batch
from tests.support.tiny_export import MAX_LENGTH
from tests.support.tiny_model import SPECIAL
from tests.support.unicode_texts import vocabulary

LARGEST_DIFFERENCE = {"float32": 1e-5, "float16": 1e-2, "int8": 5e-2}


@pytest.fixture(scope="module")
def made(shipped: Callable[..., Path]) -> Path:
    return shipped("tflite")


def read(path: Path) -> Any:
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()))


@pytest.mark.parametrize("variant", tflite.VARIANTS)
def test_answers_are_those_of_the_served_signature(variant, made, one_text) -> None:
    with tflite.opened(made, variant) as opened:
        check_answers(opened, one_text, LARGEST_DIFFERENCE[variant])


def test_a_model_of_text_pairs_takes_token_types(shipped, text_pairs) -> None:
    with tflite.opened(shipped("tflite", pairs=True), "float32") as opened:
        check_answers_to_pairs(opened, text_pairs)


@pytest.mark.parametrize("variant", tflite.VARIANTS)
def test_only_builtin_ops_are_used(variant, made) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    model = read(made / f"model.{variant}.tflite")
    used = {names[code.builtinCode] for code in model.operatorCodes}
    assert "FULLY_CONNECTED" in used
    assert "GELU" in used
    assert not {name for name in used if name.startswith(("CUSTOM", "HASHTABLE", "DELEGATE", "PLACEHOLDER"))}
    assert not [code for code in model.operatorCodes if code.customCode]
    assert schema.TensorType.STRING not in {tensor.type for tensor in model.subgraphs[0].tensors}


def test_inputs_are_int32_of_any_batch_and_length(made) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    model = read(made / "model.int8.tflite")
    [signature], [graph] = model.signatureDefs, model.subgraphs
    inputs = {entry.name.decode(): graph.tensors[entry.tensorIndex] for entry in signature.inputs}
    assert sorted(inputs) == ["attention_mask", "input_ids"]
    assert {tensor.type for tensor in inputs.values()} == {schema.TensorType.INT32}
    assert [list(tensor.shapeSignature) for tensor in inputs.values()] == [[-1, -1], [-1, -1]]
    assert [entry.name for entry in signature.outputs] == [b"probabilities"]


def test_weights_get_smaller(made) -> None:
    sizes = {
        variant: sum(path.stat().st_size for path in tflite.files(made, variant))
        for variant in tflite.VARIANTS
    }
    assert sizes["int8"] < 0.75 * sizes["float16"] < 0.5 * sizes["float32"]


class Table:
    """A table of a flatbuffer, read by the numbers of metadata_schema.fbs."""

    def __init__(self, content: bytes, position: int) -> None:
        self._table = flatbuffers.table.Table(bytearray(content), position)

    @staticmethod
    def root(content: bytes) -> Table:
        return Table(content, encode.Get(number_types.UOffsetTFlags.packer_type, bytearray(content), 0))

    def _at(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def text(self, field: int) -> str:
        return self._table.String(self._at(field) + self._table.Pos).decode()

    def number(self, field: int) -> int:
        return self._table.Get(number_types.Uint8Flags, self._at(field) + self._table.Pos)

    def table(self, field: int) -> Table:
        return Table(self._table.Bytes, self._table.Indirect(self._at(field) + self._table.Pos))

    def tables(self, field: int) -> list[Table]:
        if not self._at(field):
            return []
        start = self._table.Vector(self._at(field))
        count = self._table.VectorLen(self._at(field))
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(count)]


@pytest.mark.parametrize("variant", tflite.VARIANTS)
def test_labels_and_vocabulary_are_inside_the_model_as_readers_of_tflite_metadata_expect(
    variant, made
) -> None:
    path = made / f"model.{variant}.tflite"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [info.filename for info in archive.infolist()] == ["labels.txt", "vocab.txt"]
        # Readers map the files into memory and expand nothing.
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("labels.txt") == b"animal\nnumber\nplace\n"
        assert archive.read("vocab.txt").decode().split("\n") == [*SPECIAL, *vocabulary(), ""]
    model = read(path)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    content = bytes(model.buffers[entry.buffer].data)
    assert content[4:8] == b"M001"
    root = Table.root(content)
    assert root.text(7) == "1.1.0"
    [graph] = root.tables(3)
    assert [tensor.text(0) for tensor in graph.tables(2)] == names(model, "inputs")
    [probabilities] = graph.tables(3)
    [labels] = probabilities.tables(6)
    assert (probabilities.text(0), labels.text(0), labels.number(2)) == ("probabilities", "labels.txt", 2)
    [unit] = graph.tables(5)
    [words] = unit.table(1).tables(0)
    assert (unit.number(0), words.text(0), words.number(2)) == (4, "vocab.txt", 5)


def test_vocabulary_of_a_tokenizer_that_the_schema_does_not_know_belongs_to_no_process_unit() -> None:
    content = metadata.metadata(
        ["input_ids"], ["probabilities"], "labels.txt", "vocab.txt", "byte-level BPE", options=None
    )
    [graph] = Table.root(content).tables(3)
    [words] = graph.tables(4)
    assert (words.text(0), words.number(2)) == ("vocab.txt", 5)
    assert (
        words.text(1)
        == "Tokens of the byte-level BPE tokenizer, one per line; the id is the line number, from 0."
    )
    assert graph.tables(5) == []


def names(model: Any, kind: str) -> list[str]:
    """Of the tensors of a graph, in its order, as the signature calls them."""
    called = {entry.tensorIndex: entry.name.decode() for entry in getattr(model.signatureDefs[0], kind)}
    return [called[index] for index in getattr(model.subgraphs[0], kind)]


def test_metadata_changes_no_answer_and_the_same_model_becomes_the_same_file(made, one_text, folder) -> None:
    tflite.convert(one_text.saved_model, "int8", folder)
    asked = batch(8, 12)
    with tflite.opened(folder, "int8") as plain, tflite.opened(made, "int8") as shipped:
        np.testing.assert_array_equal(plain.predict(asked), shipped.predict(asked))
    tflite.ship_beside(
        one_text.saved_model, one_text.checkpoint, MAX_LENGTH, one_text.columns, ["int8"], folder
    )
    assert (folder / "model.int8.tflite").read_bytes() == (made / "model.int8.tflite").read_bytes()


def test_a_model_that_cannot_be_converted_is_one_line(folder) -> None:
    import tensorflow as tf

    class Unconvertible(tf.Module):
        @tf.function
        def serve(self, **tokens: tf.Tensor) -> dict[str, tf.Tensor]:
            ids = tf.cast(tokens["input_ids"], tf.int32)
            unique = tf.cast(tf.raw_ops.UniqueWithCounts(x=tf.reshape(ids, [-1])).count, tf.float32)
            shares = tf.math.lbeta(tf.stack([unique, unique], -1))
            mask = tf.cast(tf.cast(tokens["attention_mask"], tf.int32), tf.float32)
            return {"probabilities": tf.math.polygamma(2.0, shares)[:, None] + tf.reduce_sum(mask)}

    module = Unconvertible()
    specs = {name: tf.TensorSpec([None, None], tf.int64, name=name) for name in batch(1, 2)}
    signatures = {"serve_tokens": module.serve.get_concrete_function(**specs)}
    tf.saved_model.save(module, str(folder / "model"), signatures=signatures)
    with pytest.raises(PipelineError, match=r"model: not converted to TFLite float32: ") as raised:
        tflite.convert(folder / "model", "float32", folder)
    assert "\n" not in str(raised.value)
    assert not (folder / "model.float32.tflite").exists()


def test_the_process_is_as_it_was_before_a_conversion(one_text, folder) -> None:
    check_process_is_left_alone(tflite, one_text, folder)
