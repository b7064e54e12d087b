"""The parts of a model are read from local paths and recorded under the paths that nodes see."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.model_parts import ModelParts, read_parts
from models.encoders.families import AUTO, REFERENCE
from models.encoders.families import FAMILIES as ENCODERS
from models.errors import UsageError
from models.tasks.task import TASKS
from models.tokenizers.family import FAMILIES as TOKENIZERS
from tests.support.tiny_model import write_checkpoint


def read(folder: Path, forward: str = AUTO) -> ModelParts:
    there, task = Path("/there"), TASKS["single_label"]
    return read_parts(task, there / "encoder", there / "labels.txt", lambda path: folder / path.name, forward)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "encoder")
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    return tmp_path


def test_parts_of_a_checkpoint_and_a_label_list(folder):
    parts = read(folder)
    assert (parts.task.name, parts.labels) == ("single_label", ("no", "yes"))
    assert parts.tokenizer is TOKENIZERS["wordpiece"]
    assert parts.encoder is ENCODERS["bert"]
    assert (str(parts.checkpoint_dir), str(parts.label_list)) == ("/there/encoder", "/there/labels.txt")


def test_reference_way_changes_the_forward_pass_only(folder):
    parts = read(folder, REFERENCE)
    assert parts.encoder.facts_module == "models.encoders.bert.facts"
    assert parts.encoder.forward_module == "models.encoders.reference.forward"
    assert parts.encoder.by(AUTO) == ENCODERS["bert"]


def test_fingerprints_follow_the_content(folder):
    before = read(folder)
    (folder / "labels.txt").write_text("yes\nno\n")
    swapped = read(folder)
    assert swapped.labels_fingerprint != before.labels_fingerprint
    assert swapped.checkpoint_fingerprint == before.checkpoint_fingerprint
    (folder / "encoder" / "README.md").write_text("new")
    assert read(folder).checkpoint_fingerprint != before.checkpoint_fingerprint


def test_a_label_list_that_cannot_be_used_is_refused(folder):
    (folder / "labels.txt").write_text("yes\n")
    with pytest.raises(UsageError):
        read(folder)
