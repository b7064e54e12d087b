"""JSON that two parsers could interpret differently is rejected in every body that the server accepts."""

from __future__ import annotations

import json

import httpx
import pytest

from components.serving.errors import InvalidRequest
from components.serving.protocols.strict_json import parse
from tests.support.model_server import NAME, Server

PREDICT, INFER = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (
            '{"a": [1, -2, 2.5, true, null, "b"], "b": {"a": 1}}',
            {"a": [1, -2, 2.5, True, None, "b"], "b": {"a": 1}},
        ),
        ('"na\\u00efve \\ud83d\\ude00 😀"', "naïve 😀 😀"),
        ('"\\\\ud83d"', "\\ud83d"),
        ("[" + '"[[[{{{",' * 5000 + "1]", ["[[[{{{"] * 5000 + [1]),
        ('["\\"[", "\\\\"]', ['"[', "\\"]),
    ],
)
def test_json_is_read_as_it_stands(body: str, content: object) -> None:
    assert parse(body.encode(), 10) == content


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 2}', "the JSON body has the key 'a' twice in one object; give it once"),
        (
            b'[{"b": {"a": 1, "\\u0061": 1}}]',
            "the JSON body has the key 'a' twice in one object; give it once",
        ),
        (b"[NaN]", "JSON Parse error: NaN is not JSON"),
        (b"[-Infinity]", "JSON Parse error: -Infinity is not JSON"),
        (b'"\\ud83d"', "JSON Parse error: a text has half a surrogate pair"),
        (b'{"\\ude00": 1}', "JSON Parse error: a text has half a surrogate pair"),
        (b'"\xff"', "JSON Parse error: the body is not UTF-8 at byte 1"),
        (b"\xef\xbb\xbf{}", "JSON Parse error: Expecting value: line 1 column 1 (char 0)"),
        (b"[1] 2", "JSON Parse error: Extra data: line 1 column 5 (char 4)"),
        (b"[01]", "JSON Parse error: Expecting ',' delimiter: line 1 column 3 (char 2)"),
        (b'["\n"]', "JSON Parse error: Invalid control character at: line 1 column 3 (char 2)"),
        (b"", "JSON Parse error: Expecting value: line 1 column 1 (char 0)"),
        (b"[" * 1080 + b"]" * 1080, "JSON Parse error: the body is nested too deeply"),
        (b"[" * 1081, "the JSON body has more than 1080 lists and objects; send fewer rows at once"),
        (
            b'["[", ' + b"{}," * 1081 + b"1]",
            "the JSON body has more than 1080 lists and objects; send fewer rows at once",
        ),
    ],
)
def test_ambiguous_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse(body, 10)
    assert str(error.value) == reason


def test_number_with_thousands_of_digits_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="JSON Parse error: Exceeds the limit"):
        parse(b"[" + b"9" * 100_000 + b"]", 10)


TEXT = '{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["cat"]%s}'


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        (PREDICT, '{"instances": ["cat"], "instances": ["dog"]}', "instances"),
        (PREDICT, '{"instances": ["cat"], "signature_name": "a", "signature_name": ""}', "signature_name"),
        (PREDICT, '{"instances": [{"text": "cat"}, {"text": "dog", "text": "cat"}]}', "text"),
        (PREDICT, '{"inputs": {"text": ["cat"], "text": ["dog"]}}', "text"),
        (PREDICT, '{"instances": [{"b64": "Y2F0", "b64": "ZG9n"}]}', "b64"),
        (INFER, '{"inputs": [], "inputs": [%s]}' % (TEXT % ""), "inputs"),
        (INFER, '{"id": "1", "id": "2", "inputs": [%s]}' % (TEXT % ""), "id"),
        (INFER, '{"inputs": [%s]}' % (TEXT % ', "data": ["dog"]'), "data"),
        (INFER, '{"inputs": [%s]}' % (TEXT % ', "parameters": {"a": 1, "a": 2}'), "a"),
    ],
)
def test_key_that_stands_twice_is_named(server: Server, path: str, body: str, key: str) -> None:
    answer = httpx.post(server.url + path, content=body, timeout=60)
    reason = f"the JSON body has the key {key!r} twice in one object; give it once"
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


def test_key_that_stands_twice_in_the_json_before_binary_data_is_named(server: Server) -> None:
    head = '{"inputs": [{"name": "text", "name": "text", "shape": [1], "datatype": "BYTES"}]}'
    answer = httpx.post(
        server.url + INFER, content=head + "data", headers={"Inference-Header-Content-Length": str(len(head))}
    )
    assert answer.status_code == 400
    assert answer.json() == {"error": "the JSON body has the key 'name' twice in one object; give it once"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"instances": ["cat"], "inputs": ["cat"]}, "give only one of 'inputs' and 'instances'"),
        (
            {"instances": ["cat"], "signature": "serve_tokens"},
            "the body has the key 'signature'; it takes 'instances' or 'inputs', and 'signature_name'",
        ),
        ({"instances": ["cat"], "signature_name": None}, "'signature_name' key must be a string value."),
        ({"signature_name": ""}, "Missing 'inputs' or 'instances' key"),
        (
            {"signature_name": "nope", "instances": ["cat"]},
            'Serving signature name: "nope" not found in signature def',
        ),
        (
            {"inputs": {"text": ["cat"], "more": [1]}},
            "'inputs' must be an object with the keys ['text'], got {'more': [1], 'text': ['cat']}",
        ),
    ],
)
def test_predict_body_that_contradicts_itself_is_refused(server: Server, body: dict, reason: str) -> None:
    answer = server.predict(body)
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (
            f"{PREDICT}?signature_name=serve_tokens",
            f"{PREDICT} takes none in its query, got ['signature_name']",
        ),
        (f"{INFER}?version=1", f"{INFER} takes 'model_version' once in its query, got ['version']"),
        (
            f"{INFER}?model_version=1&model_version=2",
            f"{INFER} takes 'model_version' once in its query, got ['model_version', 'model_version']",
        ),
        (
            f"/v2/models/{NAME}/versions/1/infer?model_version=2",
            f"/v2/models/{NAME}/versions/1/infer takes none in its query, got ['model_version']",
        ),
    ],
)
def test_query_that_would_be_passed_over_is_refused(server: Server, path: str, reason: str) -> None:
    answer = server.predict({"instances": ["cat"]}, path)
    assert (answer.status_code, answer.json()) == (400, {"error": reason})


def test_cloud_events_are_refused(server: Server) -> None:
    event = {"ce-id": "1", "ce-source": "a", "ce-type": "b", "ce-specversion": "1.0"}
    for path in (PREDICT, INFER):
        answer = httpx.post(server.url + path, content=json.dumps({"instances": ["cat"]}), headers=event)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("CloudEvents are not served")
