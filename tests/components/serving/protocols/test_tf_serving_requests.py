"""TF Serving's gRPC: contradictory tensors are rejected and the field is named; short forms work as in TensorFlow."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.model_server import NAME, Exported, Server, push, running
from tests.support.tiny_export import serve

PREDICT, INFER = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
CALL = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def channel(server: Server) -> grpc.Channel:
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 1 << 30)]
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc}", unlimited)


def tensor(dtype: Any, *shape: int, **values: Any) -> tensor_pb2.TensorProto:
    return tensor_pb2.TensorProto(
        dtype=dtype, tensor_shape={"dim": [{"size": size} for size in shape]}, **values
    )


def texts(*shape: int, **values: Any) -> tensor_pb2.TensorProto:
    return tensor(types_pb2.DT_STRING, *shape, **values)


def ids(*shape: int, **values: Any) -> tensor_pb2.TensorProto:
    return tensor(types_pb2.DT_INT64, *shape, **values)


def ask(channel: grpc.Channel, signature: str = "", **inputs: tensor_pb2.TensorProto) -> Any:
    request = predict_pb2.PredictRequest(model_spec={"name": NAME, "signature_name": signature})
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)


UNKNOWN_RANK = tensor_pb2.TensorProto(
    dtype=types_pb2.DT_STRING, tensor_shape={"unknown_rank": True}, string_val=[b"a"]
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (texts(2, string_val=[b"a"] * 3), "input 'text' has 3 values in string_val for the 2 of its shape"),
        (texts(2), "input 'text' has 0 values in string_val for the 2 of its shape"),
        (texts(-1, string_val=[b"a"]), "input 'text' must have shape [-1], got [-1]"),
        (texts(string_val=[b"a"]), "input 'text' must have shape [-1], got []"),
        (texts(1, 1, string_val=[b"a"]), "input 'text' must have shape [-1], got [1, 1]"),
        (texts(0), "a request has at least 1 row, got 0"),
        (texts(4_000_000, string_val=[b"a"]), "a request has 1 to 100 rows, got 4000000"),
        (UNKNOWN_RANK, "input 'text' has a tensor_shape of unknown rank"),
        (
            texts(100, string_val=[b"a" * 200_000]),
            "the inputs ['text'] hold 20000100 bytes, at most 16777216 are allowed",
        ),
        (
            texts(100, string_val=[b"a" * 5000]),
            "input 'text' has a text of 5000 bytes, at most 4096 are allowed",
        ),
        (
            texts(1, tensor_content=b"a"),
            "input 'text' must have its texts in string_val, not in tensor_content",
        ),
        (
            texts(1, string_val=[b"a"], int64_val=[1]),
            "input 'text' must have its values in string_val alone, got ['int64_val', 'string_val']",
        ),
        (
            texts(1, string_val=[b"a"], tensor_content=b"a"),
            "input 'text' must have its values in string_val alone, got ['string_val', 'tensor_content']",
        ),
        (
            texts(1, float_val=[1.0]),
            "input 'text' must have its values in string_val alone, got ['float_val']",
        ),
        (tensor(types_pb2.DT_FLOAT, 1, float_val=[1.0]), "input 'text' must be string, got float32"),
        (tensor(types_pb2.DT_VARIANT, 1), "input 'text' has the dtype DT_VARIANT, which no request can have"),
        (tensor(0, 1), "input 'text' has the dtype DT_INVALID, which no request can have"),
        (tensor(999, 1), "input 'text' has the dtype 999, which no request can have"),
    ],
)
def test_contradiction_is_refused_by_its_field(
    channel: grpc.Channel, text: tensor_pb2.TensorProto, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(channel, text=text)
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize("size", [0, 16, 23, 25, 48])
def test_bytes_of_another_length_than_the_shape_are_refused(channel: grpc.Channel, size: int) -> None:
    wrong = ids(1, 3, tensor_content=b"\x01" * size)
    with pytest.raises(grpc.RpcError) as error:
        ask(channel, "serve_tokens", input_ids=wrong, attention_mask=ids(1, 3, int64_val=[1]))
    assert error.value.details() in (
        f"input 'input_ids' has {size} bytes in tensor_content for 3 values of 8 bytes",
        "input 'input_ids' has 0 values in int64_val for the 3 of its shape",
    )


def test_last_value_stands_for_those_that_are_missing_as_in_tensorflow(
    channel: grpc.Channel, exported: tuple[Exported, Exported]
) -> None:
    repeated = texts(4, string_val=[b"the dog", b"how far is rome?"])
    wanted = serve(exported[0].path, "serving_default", text=tf.make_ndarray(repeated))["probabilities"]
    answer = ask(channel, text=repeated)
    assert np.allclose(tf.make_ndarray(answer.outputs["probabilities"]), wanted, atol=1e-5)
    tokens, mask = ids(2, 3, int64_val=[2, 9, 3]), ids(2, 3, int64_val=[1])
    wanted = serve(
        exported[0].path,
        "serve_tokens",
        input_ids=tf.make_ndarray(tokens),
        attention_mask=np.ones([2, 3], np.int64),
    )["probabilities"]
    answer = ask(channel, "serve_tokens", input_ids=tokens, attention_mask=mask)
    assert np.allclose(tf.make_ndarray(answer.outputs["probabilities"]), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (["label", "label"], "an output is asked for twice: ['label', 'label']"),
        (["label"] * 4, "an output is asked for twice: ['label', 'label', 'label', 'label']"),
        (["label", "none"], "signature 'serving_default' has no output 'none'"),
    ],
)
def test_output_filter_takes_known_names_once(channel: grpc.Channel, wanted: list[str], reason: str) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": NAME}, output_filter=wanted)
    request.inputs["text"].CopyFrom(texts(1, string_val=[b"a"]))
    with pytest.raises(grpc.RpcError) as error:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", reason)


def test_request_options_are_refused(channel: grpc.Channel) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": NAME})
    request.inputs["text"].CopyFrom(texts(1, string_val=[b"a"]))
    request.predict_streamed_options.SetInParent()
    with pytest.raises(grpc.RpcError) as error:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    assert error.value.details() == "predict_streamed_options are not served"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (CALL, "tensorflow.serving.PredictRequest"),
        (
            "/tensorflow.serving.PredictionService/GetModelMetadata",
            "tensorflow.serving.GetModelMetadataRequest",
        ),
        ("/tensorflow.serving.ModelService/GetModelStatus", "tensorflow.serving.GetModelStatusRequest"),
        ("/inference.GRPCInferenceService/ModelInfer", "inference.ModelInferRequest"),
        ("/inference.GRPCInferenceService/ModelReady", "inference.ModelReadyRequest"),
    ],
)
def test_what_is_no_protobuf_is_an_invalid_argument(channel: grpc.Channel, method: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(method)(b"\xff\xff no protobuf", timeout=60)
    assert (error.value.code().name, error.value.details()) == (
        "INVALID_ARGUMENT",
        f"the request is not a valid message: Error parsing message with type '{message}'",
    )


@pytest.mark.parametrize("compression", grpc.Compression)
def test_message_over_the_limit_is_refused_also_once_decompressed(
    server: Server, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    before = server.memory()
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(CALL)(b"\x00" * (200 << 20), compression=compression, timeout=60)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.memory() < before + (32 << 20)


def test_metadata_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    for size, code in (
        (30_000, "NOT_FOUND"),
        (40_000, "RESOURCE_EXHAUSTED"),
        (20 << 20, "RESOURCE_EXHAUSTED"),
    ):
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(CALL)(b"", metadata=[("x-a", "a" * size)], timeout=60)
        assert error.value.code().name == code


# --- texts that are not UTF-8 ---------------------------------------------------------------------

LATIN = "naïve".encode("latin-1")
REASON = "input 'text', row 1 is not UTF-8 at byte 2"


def example(*values: bytes, column: str = "text") -> bytes:
    feature = {column: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def coded(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def test_text_that_is_not_utf8_is_refused_by_every_protocol(server: Server, channel: grpc.Channel) -> None:
    for body in ({"instances": ["a", coded(LATIN)]}, {"inputs": {"text": ["a", coded(LATIN)]}}):
        answer = server.predict(body)
        assert (answer.status_code, answer.json()) == (400, {"error": REASON})
    with pytest.raises(grpc.RpcError) as error:
        ask(channel, text=texts(2, string_val=[b"a", LATIN]))
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", REASON)
    given = {"name": "text", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": [b"a", LATIN]}}
    with pytest.raises(grpc.RpcError) as error:
        grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
            v2.ModelInferRequest(model_name=NAME, inputs=[given]), timeout=60
        )
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", REASON)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (example(LATIN), "the feature 'text' is not UTF-8 at byte 2"),
        (example(b"a", b"b"), "the feature 'text' must hold 1 text, got 2"),
        (example(), "the feature 'text' must hold 1 text, got 0"),
        (example(b"a", column="txt"), "the feature 'text' must hold 1 text, got 0"),
    ],
)
def test_example_without_one_text_is_refused(
    server: Server, channel: grpc.Channel, wrong: bytes, reason: str
) -> None:
    reason = f"input 'examples', row 1: {reason}"
    answer = server.predict(
        {"signature_name": "serve_examples", "instances": [coded(example(b"a")), coded(wrong)]}
    )
    assert (answer.status_code, answer.json()) == (400, {"error": reason})
    with pytest.raises(grpc.RpcError) as error:
        ask(channel, "serve_examples", examples=texts(2, string_val=[example(b"a"), wrong]))
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", reason)


def test_what_is_no_example_is_refused(server: Server) -> None:
    answer = server.predict({"signature_name": "serve_examples", "instances": [coded(b"\xff\xff")]})
    assert answer.json() == {"error": "input 'examples', row 0 is not a serialized tf.Example"}


def test_limits_are_settings(exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    push(exported[0].path, tmp_path / "models")
    limits = {"max_grpc_response_bytes": 1024, "max_tensor_bytes": 2000, "max_headers": 12}
    with (
        running(tmp_path / "models", 1, **limits) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
    ):
        assert len(tf.make_ndarray(ask(channel, text=texts(2, string_val=[b"a"])).outputs["label"])) == 2
        with pytest.raises(grpc.RpcError) as error:
            ask(channel, text=texts(500, string_val=[b"a"]))
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert re.fullmatch(
            r"the answer has \d+ bytes, at most 1024 are allowed; ask for less", error.value.details()
        )
        answer = server.predict({"instances": ["a" * 1000, "b" * 1000]})
        assert answer.json() == {"error": "the inputs ['text'] hold 2002 bytes, at most 2000 are allowed"}
        many = {f"x-{number}": "a" for number in range(12)}
        assert httpx.get(f"{server.url}/v2/health/live", headers=many).status_code == 431
        assert "Traceback" not in server.log.read_text()
