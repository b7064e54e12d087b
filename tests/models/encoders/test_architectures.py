"""docs/architectures.md covers every model type, and says what the families of encoders say and do."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.encoders.families import FAMILIES, NOT_TRAINED
from tests.models.encoders.architectures import page
from tests.models.encoders.architectures.measure import measure
from tests.models.encoders.architectures.reasons import NOT_CONVERTED
from tests.support.full import only_full

ROWS = page.read_rows()
EXPORTS = {"TFLite": "tflite", "ONNX": "onnx"}


def test_every_model_type_with_a_class_in_tensorflow_has_a_row() -> None:
    assert len(page.CLASSES) == 32
    assert len(page.TOKEN_CLASSES) == 23
    assert sorted(ROWS) == sorted(page.CLASSES) == sorted([*FAMILIES, *NOT_TRAINED])


@pytest.mark.parametrize("model_type", sorted(page.CLASSES))
def test_row_says_what_the_facts_say(model_type: str) -> None:
    row, family = ROWS[model_type], FAMILIES.get(model_type)
    known = page.known(model_type)
    assert {name: cell for name, cell in row.items() if known[name]} == {n: c for n, c in known.items() if c}
    if family is None:
        assert f"- `{model_type}`: {NOT_TRAINED[model_type]}\n" in page.PAGE.read_text(encoding="utf-8")
        return
    assert row["class"] == family.facts().TF_CLASS
    converted = {kind for column, kind in EXPORTS.items() if page.holds(row[column])}
    assert converted == ({*EXPORTS.values()} if family.has_own_forward else {*family.class_exports})


@pytest.mark.parametrize("model_type", sorted(FAMILIES))
def test_what_is_trained_is_loaded_served_resumed_and_published(model_type: str) -> None:
    claims = page.claims(ROWS[model_type])
    for name in ("trains", "reloads", "served", "resumes", "hub"):
        assert claims[name] is True, (name, ROWS[model_type][name])


def test_what_does_not_convert_has_a_reason() -> None:
    missing = {
        kind: tuple(column for column in EXPORTS if ROWS[kind][column] == page.NO)
        for kind in sorted(FAMILIES)
    }
    assert {kind: columns for kind, columns in missing.items() if columns} == {
        kind: columns for kind, (columns, _) in NOT_CONVERTED.items()
    }


@only_full
def test_rows_are_what_is_measured(tmp_path: Path) -> None:
    measured = measure(sorted(FAMILIES), tmp_path)
    assert sorted(measured) == sorted(FAMILIES)
    for model_type, seen in measured.items():
        row = page.measured(model_type, seen.first, seen.second)
        assert page.claims(row) == page.claims(ROWS[model_type]), model_type
