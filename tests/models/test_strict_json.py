from __future__ import annotations

import json

import pytest

from models.strict_json import DuplicateKeyError, loads


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": 1, "a": 2}', "a"),
        ('{"a": 1, "a": 1}', "a"),
        ('{"b": 0, "x": {"k": 1, "l": 2, "k": 3}}', "k"),
        ('[{"b": 0}, {"b": 0, "b": 1}]', "b"),
        ('{"a": 1, "\\u0061": 2}', "a"),
        ('{"": 1, "": 2}', ""),
    ],
)
def test_key_that_an_object_has_twice_is_refused_at_any_depth(text: str, key: str) -> None:
    with pytest.raises(DuplicateKeyError, match="occurs twice in one object") as caught:
        loads(text)
    assert caught.value.key == key


def test_all_else_is_read_as_json_reads_it() -> None:
    text = '{"a": [1, 2.5, "x", null, true], "b": {"a": {"a": -0.0}}, "c": "\\ud83d\\ude00"}'
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{'a': 1}", "1 2"])
def test_what_is_no_json_is_a_decoding_error(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        loads(text)
