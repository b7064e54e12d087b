"""Clients of TF Serving and of KServe get the SavedModel's own answers."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import time
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.support.model_server import NAME, TEXTS, Exported, Server
from tests.support.tiny_export import LABELS

TOKENS = {"input_ids": [2, 9, 10, 3], "attention_mask": [1, 1, 1, 1]}


@pytest.fixture(scope="module")
def model(exported: tuple[Exported, Exported]) -> Exported:
    return exported[0]


def close(answered: Any, wanted: Any) -> bool:
    return bool(np.allclose(answered, wanted, atol=1e-5))


def example(text: str) -> bytes:
    feature = {"text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


# --- TF Serving, REST -----------------------------------------------------------------------------


def test_texts_get_label_probabilities_by_name_and_version(server: Server, model: Exported) -> None:
    answer = server.predict({"instances": TEXTS})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model_version"] == "1"
    assert [row["label"] for row in body["predictions"]] == model.labels
    assert close([row["probabilities"] for row in body["predictions"]], model.probabilities)
    assert close([list(row["scores"].values()) for row in body["predictions"]], model.probabilities)
    assert list(body["predictions"][0]["scores"]) == LABELS


@pytest.mark.parametrize(
    "instances",
    [
        [{"text": TEXTS[0]}],
        [{"b64": base64.b64encode(TEXTS[0].encode()).decode()}],
        [{"text": {"b64": base64.b64encode(TEXTS[0].encode()).decode()}}],
        [{"b64": base64.b64encode(TEXTS[0].encode()).decode().rstrip("=")}],
    ],
)
def test_each_form_of_an_instance_is_the_same_text(
    server: Server, model: Exported, instances: list[Any]
) -> None:
    (row,) = server.predict({"instances": instances}).json()["predictions"]
    assert close(row["probabilities"], model.probabilities[0])


@pytest.mark.parametrize("inputs", [TEXTS, {"text": TEXTS}])
def test_columns_are_answered_in_columns(server: Server, model: Exported, inputs: Any) -> None:
    outputs = server.predict({"inputs": inputs, "signature_name": "serving_default"}).json()["outputs"]
    assert outputs["label"] == model.labels
    assert close(outputs["probabilities"], model.probabilities)
    assert set(outputs) == {"label", "probabilities", "all_classes"}


def test_serialized_examples_get_the_same_answer(server: Server, model: Exported) -> None:
    examples = [{"b64": base64.b64encode(example(text)).decode()} for text in TEXTS]
    answer = server.predict({"signature_name": "serve_examples", "instances": examples})
    assert close([row["probabilities"] for row in answer.json()["predictions"]], model.probabilities)


def test_gzip_body_is_read_as_tf_serving_reads_it(server: Server, model: Exported) -> None:
    body = gzip.compress(json.dumps({"instances": TEXTS}).encode())
    path = f"{server.url}/v1/models/{NAME}:predict"
    answer = httpx.post(path, content=body, headers={"Content-Encoding": "gzip"}, timeout=60)
    assert [row["label"] for row in answer.json()["predictions"]] == model.labels


def test_token_ids_are_answered(server: Server) -> None:
    answer = server.predict({"signature_name": "serve_tokens", "instances": [TOKENS, TOKENS]})
    one, other = answer.json()["predictions"]
    assert close(sum(one["probabilities"]), 1.0)
    assert close(one["probabilities"], other["probabilities"])


def test_more_rows_than_a_batch_come_back_in_order(server: Server, model: Exported) -> None:
    answer = server.predict({"instances": TEXTS * 20})
    assert close([row["probabilities"] for row in answer.json()["predictions"]], model.probabilities * 20)


def test_loaded_version_can_be_named_and_another_is_not_found(server: Server) -> None:
    named = server.predict({"instances": ["cat"]}, f"/v1/models/{NAME}/versions/1:predict")
    assert (named.status_code, named.json()["model_version"]) == (200, "1")
    other = server.predict({"instances": ["cat"]}, f"/v1/models/{NAME}/versions/7:predict")
    assert other.status_code == 404
    assert other.json() == {"error": f"Servable not found for request: Specific({NAME}, 7)"}


@pytest.mark.parametrize("path", ["", ":predict", "/metadata"])
def test_version_label_is_refused(server: Server, path: str) -> None:
    answer = server.predict({"instances": ["cat"]}, f"/v1/models/{NAME}/labels/stable{path}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("version labels are not served, got 'stable")


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_status_is_told_as_tf_serving_tells_it(server: Server, path: str) -> None:
    status = httpx.get(f"{server.url}/v1/models/{NAME}{path}").json()
    assert status["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_metadata_has_every_signature(server: Server, path: str) -> None:
    body = httpx.get(f"{server.url}/v1/models/{NAME}{path}/metadata").json()
    assert body["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
    signatures = body["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) >= {"serving_default", "serve_examples", "serve_tokens"}
    text = signatures["serving_default"]["inputs"]["text"]
    assert (text["dtype"], text["tensor_shape"]["dim"]) == ("DT_STRING", [{"size": "-1", "name": ""}])


# --- TF Serving, gRPC -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def channel(server: Server) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc}")


def test_grpc_predict_answers_with_tensors_and_the_version(channel: grpc.Channel, model: Exported) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(TEXTS))
    request.output_filter.append("probabilities")
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    assert list(answer.outputs) == ["probabilities"]
    assert close(tf.make_ndarray(answer.outputs["probabilities"]), model.probabilities)
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (1, "serving_default")


def test_grpc_status_and_metadata(channel: grpc.Channel) -> None:
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = NAME
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, timeout=30)
    assert [(s.version, s.state) for s in status.model_version_status] == [
        (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    ]
    wanted = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    wanted.model_spec.name = NAME
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(wanted, timeout=30).metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == {"text"}


# --- KServe ---------------------------------------------------------------------------------------


def infer_request(binary: bool = False) -> InferRequest:
    text = InferInput(name="text", shape=[len(TEXTS)], datatype="BYTES")
    text.set_data_from_numpy(np.array([text.encode() for text in TEXTS], object), binary_data=binary)
    return InferRequest(model_name=NAME, infer_inputs=[text], request_id="7")


def test_kserve_rest_client_of_v1(server: Server, model: Exported) -> None:
    async def ask() -> tuple[bool, Any]:
        client = InferenceRESTClient(RESTConfig(protocol="v1"))
        ready = await client.is_model_ready(server.url, NAME)
        return ready, await client.infer(server.url, {"instances": TEXTS}, model_name=NAME)

    ready, answer = asyncio.run(ask())
    assert ready is True
    assert [row["label"] for row in answer["predictions"]] == model.labels


@pytest.mark.parametrize("binary", [False, True])
def test_kserve_rest_client_of_v2(server: Server, model: Exported, binary: bool) -> None:
    async def ask() -> tuple[bool, Any]:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        ready = await client.is_server_ready(server.url) and await client.is_model_ready(server.url, NAME)
        return ready, await client.infer(server.url, infer_request(binary), model_name=NAME)

    ready, answer = asyncio.run(ask())
    assert ready is True
    assert answer.id == "7"  # the client drops the version that the answer has
    assert close(answer.get_output_by_name("probabilities").as_numpy(), model.probabilities)


@pytest.mark.parametrize("binary", [False, True])
def test_kserve_grpc_client(server: Server, model: Exported, binary: bool) -> None:
    async def ask() -> tuple[bool, Any]:
        client = InferenceGRPCClient(f"127.0.0.1:{server.grpc}")
        return await client.is_model_ready(NAME), await client.infer(infer_request(binary))

    ready, answer = asyncio.run(ask())
    assert ready is True
    assert answer.model_version == "1"
    assert close(answer.get_output_by_name("probabilities").as_numpy(), model.probabilities)


def test_v2_answer_has_the_version(server: Server) -> None:
    given = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["cat"]}]}
    for path in ("", "/versions/1"):
        answer = server.predict(given, f"/v2/models/{NAME}{path}/infer").json()
        assert (answer["model_name"], answer["model_version"]) == (NAME, "1")
    assert server.predict(given, f"/v2/models/{NAME}/versions/2/infer").status_code == 404


def test_v2_metadata_and_versions(server: Server) -> None:
    for path in ("", "/versions/1"):
        metadata = httpx.get(f"{server.url}/v2/models/{NAME}{path}").json()
        assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert metadata["versions"] == ["1"]
    assert httpx.get(f"{server.url}/v2/models/{NAME}/versions/1/ready").status_code == 200
    assert httpx.get(f"{server.url}/v2/models/{NAME}/versions/2/ready").status_code == 404


def test_version_of_a_request_is_not_that_of_the_next_on_its_connection(server: Server) -> None:
    both = f"GET /v2/models/{NAME}/versions/7 HTTP/1.1\r\nHost: a\r\n\r\n"
    both += f"GET /v2/models/{NAME} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.rest), timeout=60) as connection:
        connection.sendall(both.encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [answer[:3] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [b"404", b"200"]


def test_v2_grpc_tells_of_the_version_that_is_asked_for(server: Server) -> None:
    stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    )
    for version in ("", "1"):
        told = stub.ModelMetadata(v2.ModelMetadataRequest(name=NAME, version=version))
        assert (told.versions, told.inputs[0].name) == (["1"], "text")
        assert stub.ModelReady(v2.ModelReadyRequest(name=NAME, version=version)).ready
    for ask in (
        lambda: stub.ModelMetadata(v2.ModelMetadataRequest(name=NAME, version="7")),
        lambda: stub.ModelReady(v2.ModelReadyRequest(name=NAME, version="7")),
    ):
        with pytest.raises(grpc.RpcError) as error:
            ask()
        assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_every_protocol_answers_the_other_signatures_alike(server: Server, model: Exported) -> None:
    rows = [
        row["probabilities"]
        for row in server.predict({"signature_name": "serve_tokens", "instances": [TOKENS]}).json()[
            "predictions"
        ]
    ]
    tensors = [
        {"name": name, "shape": [1, len(values)], "datatype": "INT64", "data": values}
        for name, values in TOKENS.items()
    ]
    asked = {"parameters": {"signature_name": "serve_tokens"}, "inputs": tensors}
    answer = server.predict(asked, f"/v2/models/{NAME}/infer").json()
    (found,) = [output["data"] for output in answer["outputs"] if output["name"] == "probabilities"]
    assert close(found, rows[0])
    stub = prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    )
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, "serve_examples"
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto([example(text) for text in TEXTS]))
    assert close(tf.make_ndarray(stub.Predict(request).outputs["probabilities"]), model.probabilities)


def test_no_client_can_unload_the_model(server: Server) -> None:
    assert httpx.post(f"{server.url}/v2/repository/models/{NAME}/unload").status_code == 403
    assert server.predict({"instances": ["cat"]}).status_code == 200


# --- operation ------------------------------------------------------------------------------------


def test_probes_and_metrics(server: Server) -> None:
    assert httpx.get(f"{server.url}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{server.url}/v2/health/ready").json() == {"ready": True}
    server.predict({"instances": ["cat"]})
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        metrics = httpx.get(server.url + path).text
        assert "\nserving_model_version 1.0\n" in metrics
        assert 'serving_requests_total{code="200",protocol="rest"}' in metrics


def test_access_log_has_the_request_and_not_its_text(server: Server) -> None:
    sent = {"X-Request-Id": "of this test"}
    path = f"{server.url}/v1/models/{NAME}:predict"
    answer = httpx.post(path, json={"instances": ["a private horse", "cat"]}, headers=sent)
    assert answer.headers["x-request-id"] == "of this test"
    file, deadline = server.log.with_suffix(".out"), time.monotonic() + 30
    while "of this test" not in file.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)  # it is written when the answer is out
    log = file.read_text()
    (line,) = [json.loads(line) for line in log.splitlines() if "of this test" in line]
    assert (line["method"], line["code"]) == (f"POST /v1/models/{NAME}:predict", 200)
    assert (line["version"], line["rows"], line["signature"]) == (1, 2, "serving_default")
    assert "private" not in log


def test_access_log_has_why_a_request_was_refused_without_the_value_that_was_quoted(server: Server) -> None:
    sent = {"X-Request-Id": "a refused one"}
    path = f"{server.url}/v1/models/{NAME}:predict"
    answer = httpx.post(path, json={"instances": ["cat"], 'a secret\'s "diary"': 1}, headers=sent)
    assert answer.status_code == 400
    assert "secret" in answer.json()["error"]
    file, deadline = server.log.with_suffix(".out"), time.monotonic() + 30
    while "a refused one" not in file.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)  # it is written when the answer is out
    (line,) = [json.loads(line) for line in file.read_text().splitlines() if "a refused one" in line]
    assert line["error"]
    assert "secret" not in line["error"]
    assert "diary" not in line["error"]
