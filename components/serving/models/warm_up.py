"""Warms up a version before it gets traffic, with the recorded requests and generated rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.example_gen.tfrecord import read_records
from components.serving.models.saved_model import ServedModel, Signature, Tensors
from components.serving.settings import ServeSettings
from models import features

# TF Serving reads the same file: a TFRecord of PredictionLogs.
WARM_UP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
_TEXT = b"What is the name of the longest river that flows through the city?"


def warm_up(model: ServedModel, settings: ServeSettings) -> None:
    """Makes TensorFlow optimize the graph and allocate memory, and checks the answers.

    Raises:
        ValueError: the model has no text signature, or a value of its answers is not a number.
        Exception: any error of a model that cannot answer.
    """
    if features.SERVING_SIGNATURE not in model.signatures:
        raise ValueError(f"no signature {features.SERVING_SIGNATURE!r}")
    signature = model.signatures[features.SERVING_SIGNATURE]
    for lengths in _warm_up_lengths(settings):
        _check(model.run(signature, _texts(signature, lengths), limited=False))
    path = model.path / WARM_UP_FILE
    if path.is_file():
        with path.open("rb") as file:
            for record in read_records(file, str(path)):
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                tensors = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
                model.run(model.signature(request.model_spec.signature_name), tensors, limited=False)


def _warm_up_lengths(settings: ServeSettings) -> list[list[int]]:
    """Lengths in bytes of the texts of each request: a single row in every length bucket, and a whole batch."""
    bounds = (*settings.length_buckets, 1 + max(settings.length_buckets, default=0))
    rows = settings.max_batch_rows
    return [*([bound] for bound in bounds), [1 + row * len(_TEXT) // rows for row in range(rows)]]


def _texts(signature: Signature, lengths: list[int]) -> Tensors:
    """Rows of these lengths, distributed over the columns."""
    columns = list(signature.inputs)
    tensors = {}
    for number, column in enumerate(columns):
        shares = [(length + number) // len(columns) for length in lengths]
        texts = [(_TEXT * (1 + share // len(_TEXT)))[:share] for share in shares]
        tensors[column] = np.array(texts, object)
    return tensors


def _check(outputs: Tensors) -> None:
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"the warm-up rows got {name} that are not numbers")
