"""Measures architectures and writes docs/architectures.md.

python -m tests.models.encoders.architectures            all
python -m tests.models.encoders.architectures gpt2 bart  these; the other rows stay
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from models.encoders.families import FAMILIES, NOT_TRAINED
from tests.models.encoders.architectures import page
from tests.models.encoders.architectures.measure import Measured, measure


def main() -> None:
    """Measures the named architectures, and writes the page."""
    parser = argparse.ArgumentParser(
        prog=page.COMMAND, description="Measure architectures; write their page."
    )
    parser.add_argument("model_type", nargs="*", help="default: all")
    chosen = parser.parse_args().model_type or sorted(FAMILIES)
    unknown = sorted({*chosen} - FAMILIES.keys())
    if unknown:
        parser.error(f"model_type {unknown[0]!r} is not one of {sorted(FAMILIES)}")
    with tempfile.TemporaryDirectory(prefix="architectures-") as folder:
        for kind, seen in measure(chosen, Path(folder)).items():
            print(kind, seen.first, seen.second)
            write(kind, seen)


def write(model_type: str, seen: Measured) -> None:
    """Writes the page with a new row of this type; the others stay as they are."""
    refused = page.read_refused_tokenizers()
    refused.pop(model_type, None)
    if seen.first["refused_tokenizer"]:
        refused[model_type] = seen.first["refused_tokenizer"]
    rows = {**page.read_rows(), **{kind: page.known(kind) for kind in NOT_TRAINED}}
    rows[model_type] = page.measured(model_type, seen.first, seen.second)
    page.PAGE.write_text(page.text(rows, refused), encoding="utf-8")


if __name__ == "__main__":
    main()
