"""Small requests that decode to large ones are rejected before they are decoded, and leave no memory behind."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
import tensorflow as tf
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from components.serving.decoding import decoded
from components.serving.errors import InvalidRequest
from tests.components.serving.test_life import memory_at_last
from tests.support.model_server import NAME, TEXTS, Server

REQUESTS, CLIENTS = 500, 16
HUGE = 4_000_000
Ask = Callable[[], str]  # returns the name of a gRPC status, or an HTTP status


def tensor(dtype: Any, *shape: int, **values: Any) -> tensor_pb2.TensorProto:
    dims = [{"size": size} for size in shape]
    return tensor_pb2.TensorProto(dtype=dtype, tensor_shape={"dim": dims}, **values)


def predict_request(signature: str = "", **inputs: tensor_pb2.TensorProto) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": NAME, "signature_name": signature})
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value)
    return request


def predict_requests() -> Iterator[predict_pb2.PredictRequest]:
    """Of a few kilobytes at most, save the last three; decoded, most would take megabytes to terabytes."""
    one_float = tensor(types_pb2.DT_FLOAT, HUGE, float_val=[1.0])
    one_text = tensor(types_pb2.DT_STRING, HUGE, string_val=[b"a"])
    ones = tensor(types_pb2.DT_INT64, 1000, HUGE // 1000, int64_val=[1])
    yield predict_request(**{f"made-up-{number}": one_float for number in range(40)})
    yield predict_request(text=one_float)
    yield predict_request(text=one_text)
    yield predict_request("serve_examples", examples=one_text)
    yield predict_request("serve_tokens", input_ids=ones, attention_mask=ones)
    yield predict_request("serve_tokens", input_ids=ones)
    yield predict_request("serve_tokens", **{f"made-up-{number}": ones for number in range(40)})
    yield predict_request("nope", text=one_text)
    # Few rows, one of them long and repeated; many bytes in two dimensions, each of which is allowed.
    yield predict_request(text=tensor(types_pb2.DT_STRING, 100, string_val=[b"a" * 500_000]))
    yield predict_request(
        "serve_tokens", **dict.fromkeys(("input_ids", "attention_mask"), _ones(100, 1 << 40))
    )
    for shape in ((-1,), (-7,), (1, -1), (10**18,), (1 << 62, 4), (), (1,) * 5000):
        yield predict_request(text=tensor(types_pb2.DT_STRING, *shape, string_val=[b"a"]))
    unknown = tensor(types_pb2.DT_STRING, string_val=[b"a"])
    unknown.tensor_shape.unknown_rank = True
    yield predict_request(text=unknown)
    for content in (b"", b"\x00" * 7, b"\x00" * 800, b"\x00" * 80_000):
        ids = tensor(types_pb2.DT_INT64, 1, 50_000, tensor_content=content)
        yield predict_request("serve_tokens", input_ids=ids, attention_mask=ids)
    filtered = predict_request(text=tensor(types_pb2.DT_STRING, 1, string_val=[b"a"]))
    filtered.output_filter.extend(["probabilities"] * 60_000)
    yield filtered
    yield predict_request(text=tensor(types_pb2.DT_STRING, 400_000, string_val=[b""] * 400_000))
    yield predict_request(**{f"{number}": tensor_pb2.TensorProto() for number in range(50_000)})


def _ones(*shape: int) -> tensor_pb2.TensorProto:
    return tensor(types_pb2.DT_INT64, *shape, int64_val=[1])


def infer_requests() -> Iterator[v2.ModelInferRequest]:
    for shape, contents in (
        ([HUGE], {"bytes_contents": [b"a"]}),
        ([1 << 62, 4], {"bytes_contents": [b"a"]}),
        ([-1], {"bytes_contents": [b"a"]}),
        ([1], {"bool_contents": [True] * 900_000}),
        ([900_000], {"int_contents": [1] * 900_000}),
    ):
        text = {"name": "text", "datatype": "BYTES", "shape": shape, "contents": contents}
        yield v2.ModelInferRequest(model_name=NAME, inputs=[text])
    bare = {"name": "text", "datatype": "BYTES", "shape": [HUGE]}
    yield v2.ModelInferRequest(model_name=NAME, inputs=[bare], raw_input_contents=[b"\xff" * 900_000])
    yield v2.ModelInferRequest(model_name=NAME, inputs=[bare], raw_input_contents=[b"\x00" * 900_000])
    yield v2.ModelInferRequest(model_name=NAME, inputs=[{}] * 200_000)
    yield v2.ModelInferRequest(model_name=NAME, inputs=[bare], outputs=[{}] * 200_000)
    yield v2.ModelInferRequest(model_name=NAME, inputs=[bare], raw_input_contents=[b""] * 400_000)


def bodies() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """(path, body, headers)."""
    predict, infer = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
    lists = b'{"instances": [' + b"[]," * 300_000 + b"[]]}"
    yield predict, lists, {}
    yield predict, gzip.compress(lists), {"Content-Encoding": "gzip"}
    yield predict, gzip.compress(b"[" * (64 << 20)), {"Content-Encoding": "gzip"}
    yield predict, gzip.compress(b" " * 1000) * 20_000, {"Content-Encoding": "gzip"}
    yield predict, b'{"instances": [' + b'{"a":0},' * 100_000 + b"1]}", {}
    yield predict, b'{"instances": [' + b"9" * 1_000_000 + b"]}", {}
    yield predict, b'{"instances": ' + b"[" * 500_000, {}
    coded = base64.b64encode(wide_example()).decode()
    yield (
        predict,
        json.dumps({"signature_name": "serve_examples", "instances": [{"b64": coded}] * 3}).encode(),
        {},
    )
    text = {"name": "text", "datatype": "BYTES", "data": ["a"]}
    for shape in ([HUGE], [1 << 62, 1 << 62], [HUGE] * 50):
        yield infer, json.dumps({"inputs": [text | {"shape": shape}]}).encode(), {}
    yield infer, json.dumps({"inputs": [text | {"shape": [1]}] * 10_000}).encode(), {}
    raw = {"name": "text", "datatype": "BYTES", "shape": [HUGE], "parameters": {"binary_data_size": HUGE}}
    head = json.dumps({"inputs": [raw]}).encode()
    yield infer, head + b"\x00" * 800_000, {"Inference-Header-Content-Length": str(len(head))}


def wide_example() -> bytes:
    """Within the bytes of one text, with thousands of features and no text."""
    feature = {f"{number:04}": tf.train.Feature() for number in range(300)}
    feature["more"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[1] * 500))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def asks(server: Server, channel: grpc.Channel, client: httpx.Client) -> Iterator[Ask]:
    """One request for every call that takes more than a name."""
    serving = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    kserve = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
    spec = {"name": NAME}
    examples = {"example_list": {"examples": [tf.train.Example.FromString(wide_example())]}}
    calls = [
        *((serving.Predict, request) for request in predict_requests()),
        *((kserve.ModelInfer, request) for request in infer_requests()),
        (
            serving.GetModelMetadata,
            get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["a"] * 100_000),
        ),
        (
            models.GetModelStatus,
            get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "a" * 900_000}),
        ),
        (serving.Classify, classification_pb2.ClassificationRequest(model_spec=spec, input=examples)),
        (serving.Regress, regression_pb2.RegressionRequest(model_spec=spec, input=examples)),
        (serving.MultiInference, inference_pb2.MultiInferenceRequest(input=examples)),
    ]
    for call, request in calls:
        yield lambda call=call, request=request: grpc_status(call, request)
    for path, body, headers in bodies():
        yield lambda path=path, body=body, headers=headers: str(
            client.post(path, content=body, headers=headers).status_code
        )


def grpc_status(call: Any, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=60)
    return error.value.code().name


@pytest.mark.timeout(300)
def test_memory_stays_within_5_percent_over_500_refused_requests(server: Server) -> None:
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
        httpx.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        good = list(clients.map(lambda _: server.predict({"instances": TEXTS * 5}).status_code, range(64)))
        assert set(good) == {200}
        every = list(asks(server, channel, client))
        before = server.memory()
        one_by_one = [ask() for ask in itertools.islice(itertools.cycle(every), REQUESTS // 2)]
        at_once = list(
            clients.map(lambda ask: ask(), itertools.islice(itertools.cycle(every), REQUESTS // 2))
        )
        after = memory_at_last(server, 1.05 * before)
    assert set(one_by_one + at_once) <= {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "400", "413"}, (
        Counter(one_by_one + at_once)
    )
    assert after <= 1.05 * before, f"{before / 1e6:.0f} MB became {after / 1e6:.0f} MB"


class Body:
    """What a weak reference can point at."""


def test_refused_request_does_not_live_in_its_error() -> None:
    seen: list[weakref.ref[Body]] = []

    def decode() -> None:
        body = Body()
        seen.append(weakref.ref(body))
        try:
            raise ValueError(f"inside {body}")
        except ValueError as error:
            raise InvalidRequest("refused") from error

    with pytest.raises(InvalidRequest) as refused:
        decoded(decode)
    (body,) = seen
    assert body() is None
    assert refused.value.__context__ is None


def test_few_bodies_are_decoded_at_once() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def decode() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: decoded(decode), range(2 * CLIENTS)))
    assert most == 2
