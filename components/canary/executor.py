"""Executor of Canary: rows and reference answers in, a blessing out."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
from tensorflow_serving.apis import prediction_log_pb2
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import features
from components.canary.op_set import foreign_ops
from components.canary.report import REPORT_FILE
from components.canary.settings import CanarySettings
from components.canary.spec import (
    BLESSING_KEY,
    EXAMPLES_KEY,
    MODEL_BLESSING_KEY,
    MODEL_KEY,
    SETTINGS_KEY,
    SPLIT_KEY,
)
from components.canary.trial import Row, Trial, try_model
from components.example_gen.rows import read_examples, text_of
from components.serving.settings import ServeSettings
from components.settings import DataSettings

# Where TF Serving looks for the requests to warm up with, and how many it gets.
WARM_UP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
_WARM_UP_ROWS = 8
_NOT_TRIED = "the Evaluator did not bless the model"

_log = logging.getLogger(__name__)


def read_rows(folder: Path, columns: Sequence[str], limit: int, max_bytes: int) -> list[Row]:
    """The first `limit` rows of a split, texts only; rows that the server's own limit forbids are left out."""
    rows = ({column: text_of(example, column) for column in columns} for example in read_examples(folder))
    fitting = (row for row in rows if max(map(len, row.values())) <= max_bytes)
    return list(itertools.islice(fitting, limit))


def evaluated_answers(model_dir: Path, rows: Sequence[Row]) -> np.ndarray:
    """float32 [rows, classes]: the signature that the Evaluator judged, loaded as it loads it."""
    model = tf.saved_model.load(str(model_dir))
    texts = {column: tf.constant([row[column] for row in rows]) for column in rows[0]}
    outputs = model.signatures[features.SERVING_SIGNATURE](**texts)
    return np.asarray(outputs[features.PROBABILITIES].numpy())


def write_warm_up(model_dir: Path, rows: Sequence[Row], name: str) -> None:
    """Records requests for the server that will load the model: one row, and some at once."""
    path = model_dir / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for some in (rows[:1], rows[:_WARM_UP_ROWS]):
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, features.SERVING_SIGNATURE
            for column in some[0]:
                request.inputs[column].CopyFrom(tf.make_tensor_proto([row[column] for row in some]))
            writer.write(log.SerializeToString())


class Executor(base_executor.BaseExecutor):
    """Tries the model and records the verdict."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Sets `blessed` and `has_model` on the InfraBlessing, and writes canary.json."""
        self._log_startup(input_dict, output_dict, exec_properties)
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        Path(blessing.uri).mkdir(parents=True, exist_ok=True)
        judged = input_dict.get(MODEL_BLESSING_KEY) or []
        if not all(model_utils.is_model_blessed(artifact) for artifact in judged):
            _record(blessing, Trial((_NOT_TRIED,)))
            return
        model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
        source = Path(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)))
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        split = Path(artifact_utils.get_split_uri([examples], exec_properties[SPLIT_KEY]))
        stamped = Path(path_utils.stamped_model_path(blessing.uri))
        trial = _try(source, split, stamped, json.loads(exec_properties[SETTINGS_KEY]))
        if trial.reasons:
            shutil.rmtree(stamped, ignore_errors=True)  # refused: nobody is to push it
        _record(blessing, trial)


def _try(source: Path, split: Path, stamped: Path, settings: dict[str, Any]) -> Trial:
    data, canary, serve = (
        DataSettings.model_validate(settings["data"]),
        CanarySettings.model_validate(settings["canary"]),
        ServeSettings.model_validate(settings["serve"]),
    )
    rows = read_rows(split, data.text_columns, canary.rows, serve.max_text_bytes)
    if not rows:
        return Trial((f"the split has no row that fits serve.max_text_bytes {serve.max_text_bytes}",))
    try:
        foreign = foreign_ops(source, canary.allowed_ops)
        if foreign:
            return Trial((f"TF Serving 2.20 does not link ops of its graph: {', '.join(foreign)}",))
        expected = evaluated_answers(source, rows)
        shutil.copytree(source, stamped)
    except Exception as error:  # noqa: BLE001 - a damaged or missing model raises anything, and is not blessed
        return Trial(
            (f"the model does not load: {type(error).__name__}: {' '.join(str(error).split())[:300]}",)
        )
    write_warm_up(stamped, rows, settings["name"])
    return try_model(stamped, rows, expected, canary, serve)


def _record(blessing: types.Artifact, trial: Trial) -> None:
    blessed = not trial.reasons
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_int_custom_property("has_model", int(blessed))
    report = {"blessed": blessed, "reasons": trial.reasons, "figures": trial.figures}
    Path(blessing.uri, REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for reason in trial.reasons:
        _log.warning("The canary refuses the model: %s", reason)
