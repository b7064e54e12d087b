"""Converts, opens and ships; `rounded` answers with zeros, so that the gate has something to refuse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.exports.opened import Opened, Tokens, timed
from components.exports.token_model import converting, save_token_model


def convert(saved_model: Path, variant: str, out: Path) -> None:
    with converting(saved_model, f"the toy format, {variant}"):
        save_token_model(saved_model, out / variant)


def files(out: Path, variant: str) -> list[Path]:
    return [path for path in (out / variant).rglob("*") if path.is_file()]


@contextlib.contextmanager
def opened(out: Path, variant: str) -> Iterator[Opened]:
    loaded = tf.saved_model.load(str(out / variant))

    def predict(tokens: Tokens) -> np.ndarray:
        answers = loaded.signatures["serving_default"](**{n: tf.constant(v) for n, v in tokens.items()})
        [values] = answers.values()
        return values.numpy() if variant == "float32" else np.zeros_like(values)

    yield timed(predict)


def ship_beside(
    saved_model: Path,
    checkpoint: Path,
    max_length: int,
    text_columns: Sequence[str],
    variants: Sequence[str],
    out: Path,
) -> None:
    (out / "columns.txt").write_text("\n".join(text_columns))
