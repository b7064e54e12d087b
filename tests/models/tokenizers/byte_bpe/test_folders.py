"""Generated folders with byte-level BPE: read as transformers reads them, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from models.errors import CheckpointError
from models.tokenizers.family import load_spec
from models.tokenizers.hugging_face import verified_spec
from tests.support.byte_bpe import CLASSES, ENGLISH, write_byte_bpe_tokenizer
from tests.support.full import cases
from tests.support.tokenizer_folders import Files, write_folder

ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
TOKENS = [
    "<s>",
    "</s>",
    "<pad>",
    "<mask>",
    "[MASK]",
    "<|endoftext|>",
    "<url>",
    "the",
    "Ġcat",
    "é",
    "new york",
]
NEXT_ID = 305  # of a token that the vocabulary lacks


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """What each class saves, all files by their names."""
    folders = {}
    for name in CLASSES:
        folder = write_byte_bpe_tokenizer(tmp_path_factory.mktemp("saved"), name, tuple(ENGLISH), 300)
        folders[name] = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    return folders


@st.composite
def token(draw: st.DrawFn, typed: bool, content: str | None = None) -> Any:
    """A text, or a serialized AddedToken with some of its flags."""
    content = content or draw(st.sampled_from(TOKENS))
    if draw(st.booleans()):
        return content
    flags = ("lstrip", "rstrip", "normalized", "special")
    given = {flag: draw(st.booleans()) for flag in flags if draw(st.booleans())}
    return {**({"__type": "AddedToken"} if typed else {}), "content": content, **given}


@st.composite
def named(draw: st.DrawFn, typed: bool) -> dict[str, Any]:
    """Roles and their tokens."""
    roles = draw(st.lists(st.sampled_from(ROLES), unique=True, max_size=2))
    found: dict[str, Any] = {role: draw(token(typed)) for role in roles}
    if draw(st.sampled_from([False, False, True])):
        found["additional_special_tokens"] = draw(st.lists(token(typed), max_size=2))
    return found


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """How the saved files are changed: what is left out, what their JSON gets."""
    config = draw(named(typed=True))
    if draw(st.booleans()):
        config["add_prefix_space"] = draw(st.booleans())
    if draw(st.sampled_from([False, False, True])):
        config["add_bos_token"] = draw(st.booleans())
    if draw(st.sampled_from([False, False, True])):
        config["model_input_names"] = draw(st.sampled_from([["input_ids"], ["input_ids", "token_type_ids"]]))
    return {
        "class": draw(st.sampled_from([*CLASSES])),
        "without": draw(st.sets(st.sampled_from(["tokenizer.json", "special_tokens_map.json"]))),
        "is_newer": draw(st.booleans()),
        "config": config,
        "map": draw(named(typed=False)) if draw(st.booleans()) else {},
        "added": draw(st.sampled_from([{}, {}, {"<url>": NEXT_ID}, {"<url>": 7}, {"é": NEXT_ID}])),
    }


def changed(files: Files, change: dict[str, Any]) -> Files:
    config = json.loads(files["tokenizer_config.json"])
    if not change["is_newer"]:
        config.pop("added_tokens_decoder", None)
    found = {name: content for name, content in files.items() if name not in change["without"]}
    found["tokenizer_config.json"] = config | change["config"]
    if change["map"]:
        found["special_tokens_map.json"] = change["map"]
    if change["added"]:
        found["added_tokens.json"] = change["added"]
    return found


@settings(max_examples=cases(60, full=600), deadline=None, suppress_health_check=list(HealthCheck))
@given(change=changes())
def test_files_are_read_as_transformers_reads_them(
    change: dict[str, Any], saved: dict[str, Files], tmp_path_factory: pytest.TempPathFactory
) -> None:
    note(json.dumps(change, default=sorted))
    files = changed(saved[change["class"]], change)
    folder: Path = write_folder(tmp_path_factory.getbasetemp() / "folder", files)
    try:
        spec = load_spec(folder)
    except CheckpointError:
        return
    assert verified_spec(folder) == spec
