"""Malformed checkpoints: any file is either accepted or gives a one-line CheckpointError."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from models.checkpoints.checks import check_checkpoint
from models.errors import CheckpointError
from tests.models.checkpoints.conftest import WORDS
from tests.support.full import cases
from tests.support.tiny_model import write_checkpoint
from tests.support.tokenizer_folders import flags

CASES: dict[str, Any] = {
    "max_examples": cases(200, full=2000),
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}

JUNK = [
    *(None, True, False, 0, -1, 1, 2, 3.5, 1e400, float("nan"), 10**30, -(2**63), "", "[E1]", "x" * 5000),
    *("\n\t", "\x00", "\ud800", "中", "false", "../../etc/hostname", "/etc/hostname", "BPE", "WordPiece"),
    *(
        [],
        {},
        [[]],
        [None],
        [1, 2],
        {"a": 1},
        {"a": {}},
        {"content": 1},
        {"__type": "AddedToken"},
        {"id": "A"},
    ),
]
_values = st.recursive(
    st.sampled_from(JUNK) | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
# (which place in the file, what is put there, or that the place is removed)
_changes = st.lists(st.tuples(st.integers(0, 2**16), _values, st.booleans()), min_size=1, max_size=2)
_contents = st.one_of(
    _changes,
    _changes,
    _changes,
    st.binary(max_size=40),
    st.integers(0, 2**16),  # cut there
    st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"{}", b"null", b'"text"', b"\xff\xfe", b""]),
)


def changed(original: Any, changes: list[tuple[int, Any, bool]]) -> Any:
    """A copy of a JSON value with some places replaced or removed."""
    value = json.loads(json.dumps(original))
    for place, new, is_removed in changes:
        places = list(_places(value))
        parent, key = places[place % len(places)] if places else (None, None)
        if parent is None:
            value = json.loads(json.dumps(new))
        elif is_removed:
            del parent[key]
        else:
            parent[key] = json.loads(json.dumps(new))
    return value


def _places(value: Any) -> Any:
    yield None, None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs)[:40]:
        yield value, key
        yield from ((parent, k) for parent, k in _places(inner) if parent is not None)


def content(original: Any, drawn: Any) -> bytes:
    """What the file holds: the original changed, cut, or something else altogether."""
    if isinstance(drawn, bytes):
        return drawn
    if isinstance(drawn, int):
        whole = json.dumps(original).encode()
        return whole[: drawn % len(whole)]
    return json.dumps(changed(original, drawn)).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without tokenizer.json, which is kept as `whole.json`, so that vocab.txt and the other files are read."""
    folder = write_checkpoint(
        tmp_path_factory.mktemp("malformed") / "tiny", hidden=4, layers=1, words=["the", "cat", "dog"]
    )
    (folder / "tokenizer.json").rename(folder / "whole.json")
    return folder


def must_be_told_in_one_line(folder: Path) -> None:
    try:
        check_checkpoint(folder, allow_pickle=False, max_length=8, text_pair=True)
    except CheckpointError as error:
        message = str(error)
        assert str(folder) in message
        assert message.isprintable()
        assert len(message) < 1500


def broken(folder: Path, name: str) -> Callable[[Any, Any], None]:
    """A check of the folder with other bytes in one file, which is put back."""
    path = folder / name
    before = path.read_bytes() if path.exists() else None

    def check(original: Any, drawn: Any) -> None:
        path.write_bytes(content(original, drawn))
        try:
            must_be_told_in_one_line(folder)
        finally:
            path.unlink() if before is None else path.write_bytes(before)

    return check


@settings(**CASES)
@given(drawn=_contents)
@example(drawn=[(3, ["bert"], False)])
def test_config_json(folder: Path, drawn: Any) -> None:
    broken(folder, "config.json")(json.loads((folder / "config.json").read_text()), drawn)


CONFIG = {
    "tokenizer_class": "BertTokenizer",
    "do_lower_case": True,
    "strip_accents": None,
    "model_input_names": ["input_ids", "token_type_ids"],
    "mask_token": {"__type": "AddedToken", **flags("[MASK]")},
    "additional_special_tokens": ["cat", {"__type": "AddedToken", **flags("dog")}],
    "extra_special_tokens": {"image_token": "the"},
    "padding_side": "right",
}


@settings(**CASES)
@given(drawn=_contents, has_decoder=st.booleans())
def test_tokenizer_config_json(folder: Path, drawn: Any, has_decoder: bool) -> None:
    decoder = {"added_tokens_decoder": {"4": flags("[MASK]"), "5": flags("the")}} if has_decoder else {}
    broken(folder, "tokenizer_config.json")({**CONFIG, **decoder}, drawn)


MAP = {
    "cls_token": "[CLS]",
    "mask_token": flags("[MASK]"),
    "additional_special_tokens": ["cat", flags("dog", normalized=True)],
}


@settings(**CASES)
@given(drawn=_contents)
def test_special_tokens_map_json(folder: Path, drawn: Any) -> None:
    broken(folder, "special_tokens_map.json")(MAP, drawn)


@settings(**CASES)
@given(drawn=_contents)
def test_added_tokens_json(folder: Path, drawn: Any) -> None:
    broken(folder, "added_tokens.json")({"[MASK]": 4, "the": 5, "cat": 6}, drawn)


@settings(**CASES)
@given(drawn=_contents)
def test_tokenizer_json(folder: Path, drawn: Any) -> None:
    broken(folder, "tokenizer.json")(json.loads((folder / "whole.json").read_text()), drawn)


@settings(**CASES)
@given(
    drawn=st.one_of(
        st.binary(max_size=60),
        st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=6)), min_size=1, max_size=3),
        st.integers(0, 2**16),
    )
)
def test_vocab_txt(folder: Path, drawn: Any) -> None:
    lines = (folder / "vocab.txt").read_bytes().split(b"\n")
    if isinstance(drawn, list):
        for line, text in drawn:
            lines[line % len(lines)] = text
        drawn = b"\n".join(lines)
    elif isinstance(drawn, int):
        whole = b"\n".join(lines)
        drawn = whole[: drawn % len(whole)]
    broken(folder, "vocab.txt")(None, drawn)


def archive(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


@settings(**CASES)
@given(drawn=_contents, is_whole=st.booleans())
@example(drawn=b"[]", is_whole=False)
@example(drawn=b'{"a":1}', is_whole=False)
@example(drawn=b'{"a":{}}', is_whole=False)
def test_model_safetensors(folder: Path, drawn: Any, is_whole: bool) -> None:
    before = (folder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", before[:8])[0]
    if isinstance(drawn, int) and is_whole:
        after = before[: drawn % len(before)]
    elif isinstance(drawn, bytes) and is_whole:
        after = drawn
    else:
        after = archive(content(json.loads(before[8 : 8 + size]), drawn), before[8 + size :])
    broken(folder, "model.safetensors")(None, after)


@settings(**CASES)
@given(drawn=_contents)
def test_model_safetensors_index_json(folder: Path, drawn: Any) -> None:
    names = load_file(folder / "model.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys([WORDS, *names], "a.safetensors")}
    weights = (folder / "model.safetensors").rename(folder / "a.safetensors")
    try:
        broken(folder, "model.safetensors.index.json")(index, drawn)
    finally:
        weights.rename(folder / "model.safetensors")


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "model.safetensors", "vocab.txt", "added_tokens.json"]
)
def test_folder_in_place_of_a_file(folder: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / name).unlink(missing_ok=True)
    (copy / name).mkdir()
    must_be_told_in_one_line(copy)


def test_pipe_in_place_of_a_file_is_not_waited_for(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "config.json").unlink()
    os.mkfifo(copy / "config.json")
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        check_checkpoint(copy, allow_pickle=False)
