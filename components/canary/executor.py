"""Executor of Canary: compares the server's answers with reference answers and writes a blessing."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
from tensorflow_serving.apis import predict_pb2
from tfx import types
from tfx.components.infra_validator import error_types
from tfx.components.infra_validator import executor as infra_validator
from tfx.components.util import model_utils
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.canary.local_process_runner import LocalProcessRunner
from components.canary.op_set import foreign_ops
from components.canary.report import CanaryReport, write_canary_report
from components.canary.settings import CanarySettings
from components.canary.spec import (
    BLESSING_KEY,
    EXAMPLES_KEY,
    MODEL_BLESSING_KEY,
    MODEL_KEY,
    SETTINGS_KEY,
    SPLIT_KEY,
)
from components.canary.trial import Expected, Row, Trial, try_model
from components.example_gen.rows import read_examples, text_of
from components.model_files import require_exported, write_sums
from components.refusal import REFUSED
from components.serving.settings import ServeSettings
from components.settings import DataSettings
from models import features
from models.answers import answer_name
from models.errors import PipelineError

_WARM_UP_ROWS = 8

_log = logging.getLogger(__name__)


def read_rows(folder: Path, columns: Sequence[str], limit: int, max_bytes: int) -> list[Row]:
    """The text columns of a split's first `limit` rows, without rows that the server would reject.

    Raises:
        ValidationFailed: no row is left.
    """
    rows = ({column: text_of(example, column) for column in columns} for example in read_examples(folder))
    accepted = (row for row in rows if all(_is_answered(text, max_bytes) for text in row.values()))
    first: list[Row] = list(itertools.islice(accepted, limit))
    if not first:
        raise error_types.ValidationFailed(
            f"the split has no row in UTF-8 that fits serve.max_text_bytes {max_bytes}"
        )
    return first


def _is_answered(text: bytes, max_bytes: int) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return len(text) <= max_bytes


def evaluated_answers(model_dir: Path, rows: Sequence[Row]) -> Expected:
    """Answers of the evaluated signature, loaded as the Evaluator loads it."""
    model = tf.saved_model.load(str(model_dir))
    texts = {column: tf.constant([row[column] for row in rows]) for column in rows[0]}
    name = _answer_name(model)
    return Expected(name, np.asarray(model.signatures[features.SERVING_SIGNATURE](**texts)[name].numpy()))


def _answer_name(model: Any) -> str:
    """Raises ValidationFailed for a model without an answer."""
    name = answer_name(model.signatures[features.SERVING_SIGNATURE].structured_outputs)
    if name is None:
        raise error_types.ValidationFailed(
            "its signature has no output, or several, with floating-point values"
        )
    return name


def warm_up_requests(rows: Sequence[Row], name: str) -> list[predict_pb2.PredictRequest]:
    """The requests that a server sends to the model when it has loaded it: one row, and a small batch."""
    return [_predict_request(some, name) for some in (rows[:1], rows[:_WARM_UP_ROWS])]


def _predict_request(rows: Sequence[Row], name: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, features.SERVING_SIGNATURE
    for column in rows[0]:
        request.inputs[column].CopyFrom(tf.make_tensor_proto([row[column] for row in rows]))
    return request


class Executor(infra_validator.Executor):
    """InfraValidator's executor with its own trial: one attempt that yields figures and reasons.

    The parent's `_ValidateWithRetry` knows only whether calls succeed, and it logs tracebacks.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Sets `blessed` and `has_model` on the InfraBlessing, and writes canary.json and the marker file.

        Raises:
            PipelineError: SIGTERM arrived, or the model's files are not those that were exported; there is
                no verdict.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        Path(blessing.uri).mkdir(parents=True, exist_ok=True)
        try:
            with self._InstallGracefulShutdownHandler():
                trial = self._judge(input_dict, blessing, exec_properties)
        except error_types.ValidationFailed as refusal:
            trial = Trial((str(refusal),))
        except error_types.GracefulShutdown as error:
            raise PipelineError("the canary received SIGTERM before its verdict; run again") from error
        _record(blessing, trial)

    @contextlib.contextmanager
    def _InstallGracefulShutdownHandler(self) -> Iterator[None]:
        before = signal.getsignal(signal.SIGTERM)
        try:
            with super()._InstallGracefulShutdownHandler():
                yield
        finally:
            # If the handler was SIG_DFL, which is 0 and so false, the parent does not restore it.
            if before is not None and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)

    def _judge(
        self, inputs: dict[str, list[types.Artifact]], blessing: types.Artifact, properties: dict[str, Any]
    ) -> Trial:
        """Raises ValidationFailed if there is nothing to try."""
        if not all(model_utils.is_model_blessed(judged) for judged in inputs.get(MODEL_BLESSING_KEY) or ()):
            raise error_types.ValidationFailed("the Evaluator did not bless the model")
        settings = json.loads(properties[SETTINGS_KEY])
        canary = CanarySettings.model_validate(settings["canary"])
        serve = ServeSettings.model_validate(settings["serve"])
        columns = DataSettings.model_validate(settings["data"]).text_columns
        examples = artifact_utils.get_single_instance(inputs[EXAMPLES_KEY])
        split = Path(artifact_utils.get_split_uri([examples], properties[SPLIT_KEY]))
        rows = read_rows(split, columns, canary.rows, serve.max_text_bytes)
        model = artifact_utils.get_single_instance(inputs[MODEL_KEY])
        source = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
        exported = require_exported(Path(source))
        expected = _reference(Path(source), rows, canary.allowed_ops)
        self._CreateWarmupModel(blessing, source, warm_up_requests(rows, settings["name"]))
        # The trial runs on the copy that would be pushed.
        stamped = Path(path_utils.stamped_model_path(blessing.uri))
        write_sums(stamped, exported)
        if not canary.enabled:
            return Trial(())
        return try_model(LocalProcessRunner(stamped, serve), rows, expected, canary)


def _reference(model_dir: Path, rows: Sequence[Row], allowed_ops: Sequence[str]) -> Expected:
    """As `evaluated_answers`; raises ValidationFailed if the model cannot answer."""
    try:
        if foreign := foreign_ops(model_dir, allowed_ops):
            raise error_types.ValidationFailed(
                f"TF Serving 2.20 does not link ops of its graph: {', '.join(foreign)}"
            )
        return evaluated_answers(model_dir, rows)
    except error_types.InfraValidationError:  # the one above, or SIGTERM arrived
        raise
    except Exception as error:
        # A damaged or missing model can raise any exception; it is not blessed.
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise error_types.ValidationFailed(f"the model does not load: {cause}") from error


def _record(blessing: types.Artifact, trial: Trial) -> None:
    if trial.reasons:
        infra_validator._mark_not_blessed(blessing)
        blessing.set_int_custom_property("has_model", 0)
        blessing.set_string_custom_property(REFUSED, "; ".join(trial.reasons))
        # So that it cannot be pushed.
        shutil.rmtree(path_utils.stamped_model_path(blessing.uri), ignore_errors=True)
    else:
        infra_validator._mark_blessed(blessing)
    report = CanaryReport(not trial.reasons, trial.reasons, trial.figures)
    write_canary_report(Path(blessing.uri), report)
    for reason in trial.reasons:
        _log.warning("The canary refuses the model: %s", reason)
