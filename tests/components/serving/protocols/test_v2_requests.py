"""V2 requests: contradictory or unsupported ones are rejected and the field is named; the others are answered."""

from __future__ import annotations

import json
import struct
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc

from tests.support.model_server import NAME, TEXTS, Exported, Server

INFER = f"/v2/models/{NAME}/infer"
LENGTH = "Inference-Header-Content-Length"
TEXT = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
IDS = {"name": "input_ids", "shape": [1, 3], "datatype": "INT64", "data": [2, 9, 3]}
MASK = {"name": "attention_mask", "shape": [1, 3], "datatype": "INT64", "data": [1, 1, 1]}
TOKENS = {"parameters": {"signature_name": "serve_tokens"}}


def text(**other: Any) -> dict[str, Any]:
    """A request with two texts, and with other fields of its input; None: without the field."""
    given = TEXT | other
    return {"inputs": [{key: value for key, value in given.items() if value is not None}]}


def ask(server: Server, request: Any, data: bytes | None = None, **headers: str) -> httpx.Response:
    head = json.dumps(request).encode()
    sent = {LENGTH: str(len(head))} if data is not None else {}
    return httpx.post(server.url + INFER, content=head + (data or b""), headers=sent | headers, timeout=60)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (text(shape=[-7]), "input 'text': 'shape' must be a list of numbers from 0 on, got [-7]"),
        (text(shape=["1"]), "input 'text': 'shape' must be a list of numbers from 0 on, got ['1']"),
        (text(shape=[2.0]), "input 'text': 'shape' must be a list of numbers from 0 on, got [2.0]"),
        (text(shape=[True]), "input 'text': 'shape' must be a list of numbers from 0 on, got [True]"),
        (text(shape="2"), "input 'text': 'shape' must be a list, got '2'"),
        (text(shape=None), "input 'text': 'shape' must be a list, got nothing"),
        (text(shape=[3]), "input 'text' has 2 values, its shape 3"),
        (text(shape=[1]), "input 'text' has 2 values, its shape 1"),
        (text(shape=[2, 1]), "input 'text' must have shape [-1], got [2, 1]"),
        (text(shape=[10**30]), "a request has 1 to 100 rows, got 1" + "0" * 30),
        (text(shape=[0], data=[]), "a request has at least 1 row, got 0"),
        (
            text(data=[["a"], ["b"]]),
            "JSON Value: ['a'] is not of expected type: string (input 'text')",
        ),
        (text(data=["a", 1]), "JSON Value: 1 is not of expected type: string (input 'text')"),
        (
            text(data=["a", {"b64": "YQ=="}]),
            "JSON Value: {'b64': 'YQ=='} is not of expected type: string (input 'text')",
        ),
        (text(data="ab"), "input 'text': 'data' must be a list, got 'ab'"),
        (text(data=None), "input 'text' must have either 'data' or the parameter 'binary_data_size'"),
        (text(datatype="INT64"), "input 'text' must be string, got int64"),
        (text(datatype="FP99"), "input 'text': unknown datatype 'FP99'"),
        (text(datatype=None), "input 'text': 'datatype' must be a string, got nothing"),
        (text(name="txt"), "signature 'serving_default' takes the inputs ['text'], got ['txt']"),
        (text(name=7), "an input: 'name' must be a string, got 7"),
        (
            text(dtype="BYTES"),
            "an input has the key 'dtype'; it takes ['name', 'shape', 'datatype', 'parameters', 'data']",
        ),
        (
            text(parameters={"content_type": "base64"}),
            "input 'text' has the parameter 'content_type'; it takes ['binary_data_size']",
        ),
        (text(parameters=[]), "input 'text': 'parameters' must be an object, got []"),
        (
            text(parameters={"binary_data_size": 5}),
            "input 'text' must have either 'data' or the parameter 'binary_data_size'",
        ),
        (
            text(data=None, parameters={"binary_data_size": 5}),
            "input 'text' has a binary_data_size, the request no Inference-Header-Content-Length",
        ),
        ({"inputs": [TEXT, TEXT]}, "an input is given twice: ['text', 'text']"),
        ({"inputs": []}, "signature 'serving_default' takes the inputs ['text'], got []"),
        ({"inputs": [7]}, "an input must be a JSON object, got 7"),
        ({}, "the body: 'inputs' must be a list, got nothing"),
        (
            [TEXT],
            "the body must be a JSON object, got [{'data': ['a', 'b'], 'datatype': 'BYTES', 'name': 'text', 'shape': [2]}]",
        ),
        (text() | {"id": 7}, "the body: 'id' must be a string, got 7"),
        (text() | {"model_name": "other"}, "the body has the model_name 'other', its path 'tiny'"),
        (
            text() | {"output": []},
            "the body has the key 'output'; it takes ['id', 'model_name', 'parameters', 'inputs', 'outputs']",
        ),
        (text() | {"outputs": {}}, "the body: 'outputs' must be a list, got {}"),
        (text() | {"outputs": [{"name": "none"}]}, "signature 'serving_default' has no output 'none'"),
        (text() | {"outputs": [{"name": "label"}] * 2}, "an output is asked for twice: ['label', 'label']"),
        (
            text() | {"outputs": [{"name": "label", "datatype": "BYTES"}]},
            "an output has the key 'datatype'; it takes ['name', 'parameters']",
        ),
        (
            text() | {"outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "output 'label' has the parameter 'classification'; it takes ['binary_data']",
        ),
        (
            text() | {"outputs": [{"name": "label", "parameters": {"binary_data": "yes"}}]},
            "output 'label': the parameter 'binary_data' must be true or false, got 'yes'",
        ),
        (
            text() | {"parameters": {"sequence_id": 3}},
            "the request has the parameter 'sequence_id'; it takes ['binary_data_output', 'signature_name']",
        ),
        (
            text() | {"parameters": {"binary_data_output": 1}},
            "the request: the parameter 'binary_data_output' must be true or false, got 1",
        ),
        (
            text() | {"parameters": {"signature_name": ["a"]}},
            "the request: the parameter 'signature_name' must be a string, got ['a']",
        ),
        (
            TOKENS | {"inputs": [IDS | {"data": [[2, 9], [3, 3]]}, MASK]},
            "input 'input_ids' has data of shape [2, 2], its shape is [1, 3]",
        ),
        (
            TOKENS | {"inputs": [IDS | {"data": [[2, 9, 3], [2]]}, MASK]},
            "input 'input_ids': lists at one level must have the same length; pad them",
        ),
        (
            TOKENS | {"inputs": [IDS]},
            "signature 'serve_tokens' takes the inputs ['attention_mask', 'input_ids'], got ['input_ids']",
        ),
        (
            TOKENS | {"inputs": [IDS | {"shape": [1, 4000000]}, MASK | {"shape": [1, 4000000]}]},
            "the inputs ['attention_mask', 'input_ids'] hold 64000000 bytes, at most 16777216 are allowed",
        ),
    ],
)
def test_contradiction_is_refused_by_its_field(server: Server, request_: Any, reason: str) -> None:
    answer = ask(server, request_)
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


def raw(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def binary(size: Any, **other: Any) -> dict[str, Any]:
    return text(data=None, parameters={"binary_data_size": size}, **other)


@pytest.mark.parametrize(
    ("request_", "data", "reason"),
    [
        (binary(500), raw(b"a", b""), "input 'text' has the binary_data_size 500, 9 bytes are left for it"),
        (binary(-1), raw(b"a", b"b"), "input 'text' has the binary_data_size -1, 10 bytes are left for it"),
        (
            binary("10"),
            raw(b"a", b"b"),
            "input 'text': the parameter 'binary_data_size' must be an integer, got '10'",
        ),
        (
            binary(10),
            raw(b"a", b"b", b"c"),
            "15 bytes follow the JSON, the inputs have a binary_data_size of 10",
        ),
        (text(), raw(b"c"), "5 bytes follow the JSON, the inputs have a binary_data_size of 0"),
        (binary(15), raw(b"a", b"b", b"c"), "input 'text' has 3 values, its shape 2"),
        (binary(5), raw(b"a"), "input 'text' has 1 values, its shape 2"),
        (
            binary(10),
            raw(b"a") + b"\xff\xff\xff\xffb",
            "input 'text': its 10 bytes of data are not 2 values, each after 4 bytes with its length",
        ),
        (
            binary(8),
            raw(b"a") + b"\x01\x00\x00",
            "input 'text': its 8 bytes of data are not 2 values, each after 4 bytes with its length",
        ),
        (
            binary(10) | {"inputs": [binary(10)["inputs"][0] | {"data": ["a", "b"]}]},
            raw(b"a", b"b"),
            "input 'text' must have either 'data' or the parameter 'binary_data_size'",
        ),
        (
            TOKENS
            | {
                "inputs": [
                    IDS,
                    {
                        "name": "attention_mask",
                        "shape": [1, 3],
                        "datatype": "INT64",
                        "parameters": {"binary_data_size": 20},
                    },
                ]
            },
            b"\x00" * 20,
            "input 'attention_mask' has 20 bytes of data, its shape and datatype 24",
        ),
    ],
)
def test_binary_data_must_be_what_the_json_says(
    server: Server, request_: Any, data: bytes, reason: str
) -> None:
    answer = ask(server, request_, data)
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


@pytest.mark.parametrize("length", ["-1", "abc", "9999999", "1.0", "", "١"])
def test_header_with_the_length_of_the_json_must_be_one(server: Server, length: str) -> None:
    answer = ask(server, text(), **{LENGTH: length.encode()})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(
        "Inference-Header-Content-Length must be a number up to the body's "
    )


def test_header_with_the_length_of_the_json_is_sent_once(server: Server) -> None:
    body = json.dumps(text()).encode()
    headers = [(LENGTH, str(len(body))), (LENGTH, "7")]
    answer = httpx.post(server.url + INFER, content=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"the header {LENGTH} must be sent once")


def outputs_of(answer: httpx.Response) -> dict[str, Any]:
    """Name -> values, whether they were sent as JSON or as bytes."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    body, rest, found = json.loads(answer.content[:length]), answer.content[length:], {}
    for output in body["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = output["data"]
            continue
        data, rest = rest[:size], rest[size:]
        found[output["name"]] = np.frombuffer(data, np.float32) if output["datatype"] == "FP32" else data
    assert rest == b""
    return found


ONE = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXTS[0]]}]}


@pytest.mark.parametrize(
    ("all_binary", "label", "binaries"),
    [
        (None, None, set()),
        (True, None, {"label", "probabilities"}),
        (False, None, set()),
        (None, True, {"label"}),
        (True, False, {"probabilities"}),
        (False, True, {"label"}),
    ],
)
def test_outputs_come_in_the_form_that_each_asks_for(
    server: Server,
    exported: tuple[Exported, Exported],
    all_binary: bool | None,
    label: bool | None,
    binaries: set[str],
) -> None:
    request: dict[str, Any] = ONE | {"outputs": [{"name": "label"}, {"name": "probabilities"}]}
    if all_binary is not None:
        request["parameters"] = {"binary_data_output": all_binary}
    if label is not None:
        request["outputs"] = [
            {"name": "label", "parameters": {"binary_data": label}},
            {"name": "probabilities"},
        ]
    answer = ask(server, request)
    found = outputs_of(answer)
    assert {name for name, values in found.items() if not isinstance(values, list)} == binaries
    wanted = exported[0].labels[0]
    assert found["label"] == (raw(wanted.encode()) if "label" in binaries else [wanted])
    assert np.allclose(found["probabilities"], exported[0].probabilities[0], atol=1e-5)
    kind = "application/octet-stream" if binaries else "application/json"
    assert answer.headers["content-type"] == kind


def test_binary_inputs_are_answered_as_json_ones(server: Server, exported: tuple[Exported, Exported]) -> None:
    data = raw(*(text.encode() for text in TEXTS))
    given = binary(len(data), shape=[len(TEXTS)]) | {
        "id": "of this test",
        "parameters": {"binary_data_output": True},
    }
    answer = ask(server, given, data)
    found = outputs_of(answer)
    assert np.allclose(found["probabilities"].reshape(len(TEXTS), -1), exported[0].probabilities, atol=1e-5)
    assert found["label"] == raw(*(label.encode() for label in exported[0].labels))
    assert json.loads(answer.content[: int(answer.headers[LENGTH])])["id"] == "of this test"


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("datatype", ["INT64", "int64"])
def test_values_may_be_flat_or_nested_as_their_shape(server: Server, nested: bool, datatype: str) -> None:
    ids, mask = ([2, 9, 3, 2, 9, 3], [1] * 6) if not nested else ([[2, 9, 3]] * 2, [[1] * 3] * 2)
    inputs = [
        IDS | {"shape": [2, 3], "data": ids, "datatype": datatype},
        MASK | {"shape": [2, 3], "data": mask, "datatype": datatype},
    ]
    one = outputs_of(ask(server, TOKENS | {"inputs": [IDS, MASK]}))["probabilities"]
    assert np.allclose(
        outputs_of(ask(server, TOKENS | {"inputs": inputs}))["probabilities"], one * 2, atol=1e-5
    )


# --- gRPC -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stub(server: Server) -> grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub:
    return grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    )


def infer(given: Any = None, **other: Any) -> v2.ModelInferRequest:
    """A request with two texts, with other fields in its input or in itself."""
    one = {"name": "text", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": [b"a", b"b"]}}
    one |= given or {}
    if one["contents"] is None:
        del one["contents"]
    return v2.ModelInferRequest(model_name=NAME, inputs=[one], **other)


BARE = {"contents": None}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (infer({"shape": [-7]}), "input 'text' must have shape [-1], got [-7]"),
        (infer({"shape": [3]}), "input 'text' has 2 values in bytes_contents, its shape 3"),
        (infer({"shape": [1]}), "input 'text' has 2 values in bytes_contents, its shape 1"),
        (infer({"shape": []}), "input 'text' must have shape [-1], got []"),
        (infer(BARE), "input 'text' has 0 values in bytes_contents, its shape 2"),
        (infer({"datatype": "INT64"}), "input 'text' must be string, got int64"),
        (infer({"datatype": ""}), "input 'text': unknown datatype ''"),
        (
            infer({"contents": {"int64_contents": [1, 2]}}),
            "input 'text' of BYTES must have its values in bytes_contents, got ['int64_contents']",
        ),
        (
            infer({"contents": {"bytes_contents": [b"a", b"b"], "fp32_contents": [1.0]}}),
            "input 'text' of BYTES must have its values in bytes_contents, got ['fp32_contents']",
        ),
        (infer({"name": "txt"}), "signature 'serving_default' takes the inputs ['text'], got ['txt']"),
        (infer(outputs=[{"name": "none"}]), "signature 'serving_default' has no output 'none'"),
        (infer(outputs=[{"name": "label"}] * 2), "an output is asked for twice: ['label', 'label']"),
        (
            infer(outputs=[{"name": "label", "parameters": {"binary_data": {"bool_param": True}}}]),
            "output 'label' has the parameter 'binary_data'; it takes none",
        ),
        (
            infer({"parameters": {"content_type": {"string_param": "str"}}}),
            "input 'text' has the parameter 'content_type'; it takes ['binary_data_size']",
        ),
        (
            infer(parameters={"binary_data_output": {"bool_param": True}}),
            "the request has the parameter 'binary_data_output'; it takes ['signature_name']",
        ),
        (
            infer(parameters={"signature_name": {"int64_param": 3}}),
            "the request: the parameter 'signature_name' must be a string, got 3",
        ),
        (
            infer(parameters={"signature_name": {}}),
            "the request has the parameter 'signature_name' without a value",
        ),
        (
            infer(raw_input_contents=[raw(b"a", b"b")]),
            "input 'text' has contents beside raw_input_contents; send one of them",
        ),
        (
            infer(BARE, raw_input_contents=[raw(b"a", b"b")] * 2),
            "raw_input_contents has 2 entries for 1 inputs",
        ),
        (
            infer({"parameters": {"binary_data_size": {"int64_param": 10}}}),
            "input 'text' has the binary_data_size 10 and no raw_input_contents",
        ),
        (
            infer(
                BARE | {"parameters": {"binary_data_size": {"int64_param": 9}}},
                raw_input_contents=[raw(b"a", b"b")],
            ),
            "input 'text' has the binary_data_size 9 and 10 bytes of raw_input_contents",
        ),
        (infer(BARE, raw_input_contents=[raw(b"a")]), "input 'text' has 1 values, its shape 2"),
        (infer(BARE, raw_input_contents=[raw(b"a", b"b", b"c")]), "input 'text' has 3 values, its shape 2"),
        (
            infer(BARE, raw_input_contents=[b"\xff\xff\xff\x7fab"]),
            "input 'text': its 6 bytes of data are not 2 values, each after 4 bytes with its length",
        ),
        (
            infer(BARE, raw_input_contents=[raw(b"a", b"\xff")]),
            "input 'text', row 1 is not UTF-8 at byte 0",
        ),
    ],
)
def test_grpc_contradiction_is_refused_by_its_field(
    stub: Any, request_: v2.ModelInferRequest, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(request_, timeout=60)
    assert (error.value.code().name, error.value.details()) == ("INVALID_ARGUMENT", reason)


def test_grpc_answers_raw_inputs_with_raw_outputs_and_contents_with_contents(
    stub: Any, exported: tuple[Exported, Exported]
) -> None:
    texts = [text.encode() for text in TEXTS]
    wanted, rows = exported[0], [len(TEXTS)]
    asked: dict[str, Any] = {"id": "7", "outputs": [{"name": "probabilities"}, {"name": "label"}]}
    answer = stub.ModelInfer(
        infer({"shape": rows, "contents": {"bytes_contents": texts}}, **asked), timeout=60
    )
    assert [output.name for output in answer.outputs] == ["probabilities", "label"]
    assert list(answer.outputs[1].contents.bytes_contents) == [label.encode() for label in wanted.labels]
    found = np.array(answer.outputs[0].contents.fp32_contents).reshape(answer.outputs[0].shape)
    assert np.allclose(found, wanted.probabilities, atol=1e-5)
    answer = stub.ModelInfer(
        infer(BARE | {"shape": rows}, raw_input_contents=[raw(*texts)], **asked), timeout=60
    )
    probabilities, labels = answer.raw_output_contents
    assert labels == raw(*(label.encode() for label in wanted.labels))
    assert np.allclose(
        np.frombuffer(probabilities, np.float32).reshape(found.shape), wanted.probabilities, atol=1e-5
    )
    assert (answer.id, answer.model_version, answer.outputs[0].datatype) == ("7", "1", "FP32")
