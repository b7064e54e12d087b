"""TensorFlow Lite: float32, float16 weights, or dynamic-range int8, run by LiteRT's own interpreter."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.exports import shipped_files
from components.exports.classify import open_tflite
from components.exports.opened import Opened, timed
from components.exports.tflite import metadata
from components.exports.token_model import converting, save_token_model

VARIANTS = ("float32", "float16", "int8")


def convert(saved_model: Path, variant: str, out: Path) -> None:
    """Writes `model.<variant>.tflite`: int32 [batch, tokens] inputs, "probabilities" float32 [batch, classes].

    Both dimensions are dynamic; the inputs have names in the signature `serving_default`. Only TensorFlow
    Lite's built-in ops are allowed, so any runtime can load it.

    Args:
        saved_model: folder that the Trainer exported.
        variant: one of VARIANTS.
        out: existing folder.

    Raises:
        PipelineError: the SavedModel cannot be read or cannot be converted.
    """
    import tensorflow as tf

    with (
        converting(saved_model, f"TFLite {variant}"),
        tempfile.TemporaryDirectory(prefix="tflite-") as folder,
    ):
        save_token_model(saved_model, Path(folder, "tokens"))
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{folder}/tokens")
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if variant != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]  # by itself, it means int8 weights
        if variant == "float16":
            converter.target_spec.supported_types = [tf.float16]
        _file(out, variant).write_bytes(converter.convert())


@contextlib.contextmanager
def opened(out: Path, variant: str) -> Iterator[Opened]:
    """Loads the variant in LiteRT's interpreter, with the cores of this process."""
    yield timed(open_tflite(_file(out, variant)).predict)


def files(out: Path, variant: str) -> list[Path]:
    """The model's file."""
    return [_file(out, variant)]


def ship_beside(
    saved_model: Path,
    checkpoint: Path,
    max_length: int,
    text_columns: Sequence[str],
    variants: Sequence[str],
    out: Path,
) -> None:
    """Writes labels, tokenizer and Python example, and adds labels and vocabulary to the models.

    See `shipped_files.write_shipped_files` and `metadata.add_metadata`.
    """
    from models.tokenizers.family import family_of

    family = family_of(checkpoint)
    options = importlib.import_module(family.exports["tflite"]).TFLITE_TOKENIZER
    models = [_file(out, variant) for variant in variants]
    shipped_files.write_shipped_files(
        saved_model, checkpoint, max_length, text_columns, [m.name for m in models], "ai-edge-litert", out
    )
    for model in models:
        labels, vocabulary = out / shipped_files.LABELS, out / shipped_files.VOCABULARY
        metadata.add_metadata(model, labels, vocabulary, family.title, options)


def _file(out: Path, variant: str) -> Path:
    return out / f"model.{variant}.tflite"
