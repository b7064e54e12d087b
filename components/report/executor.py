"""Executor of Report: makes figures and pages from the outputs of the other nodes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.canary.report import read_canary_report
from components.evaluator.evaluation import read_evaluation
from components.evaluator.settings import EvaluateSettings
from components.report.artifacts import page_file
from components.report.contents import Contents, scalars
from components.report.data_statistics import read_anomalies, read_statistics
from components.report.markdown import markdown
from components.report.page import page
from components.report.predictions import predict_split
from components.report.settings import ReportSettings
from components.report.spec import (
    ANOMALIES_KEY,
    CLASSIFICATION_KEY,
    DATA_GATE_KEY,
    EVALUATION_KEY,
    EXAMPLES_KEY,
    INFRA_BLESSING_KEY,
    METRICS_KEY,
    MODEL_BLESSING_KEY,
    MODEL_KEY,
    MODEL_RUN_KEY,
    NAME_KEY,
    PAGE_KEY,
    SERVING_DIR_KEY,
    SETTINGS_KEY,
    STATISTICS_KEY,
    SUMMARY_KEY,
    TOKENIZATION_GATE_KEY,
)
from components.settings import DataSettings
from components.tokenization_gate.report import ParityReport, read_parity_report
from components.trainer.history import read_history
from models.tasks.task import TASKS

Inputs = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
    """Gathers the contents, then writes figures and pages."""

    def Do(self, input_dict: Inputs, output_dict: Inputs, exec_properties: dict[str, Any]) -> None:
        """Sets the custom properties of `classification` and `metrics`, and writes both pages.

        Raises:
            PipelineError: a shard of the evaluation split is damaged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        contents = gather(input_dict, exec_properties)
        outputs = {key: artifact_utils.get_single_instance(output_dict[key]) for key in output_dict}
        for name, drawn in contents.task.figures().dashboard(contents.figures).items():
            outputs[CLASSIFICATION_KEY].set_json_value_custom_property(name, drawn)
        for name, value in scalars(contents).items():
            outputs[METRICS_KEY].set_float_custom_property(name, value)
        for key, content in ((PAGE_KEY, page(contents)), (SUMMARY_KEY, markdown(contents))):
            page_file(outputs[key]).write_text(content, encoding="utf-8")


def gather(input_dict: Inputs, exec_properties: dict[str, Any]) -> Contents:
    """Reads the inputs and predicts the evaluation split."""
    sections = json.loads(exec_properties[SETTINGS_KEY])
    data, evaluate, settings = (
        DataSettings.model_validate(sections["data"]),
        EvaluateSettings.model_validate(sections["evaluate"]),
        ReportSettings.model_validate(sections["report"]),
    )
    task = TASKS[sections["task"]]
    folders = {key: Path(artifact_utils.get_single_uri(artifacts)) for key, artifacts in input_dict.items()}
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    splits = read_statistics(folders[STATISTICS_KEY], data.label_column)
    predicted = predict_split(
        Path(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))),
        Path(artifact_utils.get_split_uri(input_dict[EXAMPLES_KEY], evaluate.split)),
        data,
        task,
        next(split.rows for split in splits if split.name == evaluate.split),
        settings.max_rows,
        settings.mistakes,
    )
    return Contents(
        name=exec_properties[NAME_KEY],
        serving_dir=exec_properties[SERVING_DIR_KEY],
        text_columns=data.text_columns,
        evaluate=evaluate,
        evaluation=read_evaluation(folders[EVALUATION_KEY], data.label_column),
        blessed=model_utils.is_model_blessed(
            artifact_utils.get_single_instance(input_dict[MODEL_BLESSING_KEY])
        ),
        canary=read_canary_report(folders[INFRA_BLESSING_KEY]),
        history=read_history(folders[MODEL_RUN_KEY]),
        splits=splits,
        anomalies=read_anomalies(folders[ANOMALIES_KEY], folders[DATA_GATE_KEY]),
        parity=_parity(folders[TOKENIZATION_GATE_KEY], settings),
        rows_predicted=len(predicted.labels),
        task=task,
        figures=task.figures().figures(
            predicted.labels, predicted.probabilities, predicted.classes, predicted.constants
        ),
        mistakes=predicted.mistakes,
        model_artifact_id=model.id,
    )


def _parity(folder: Path, settings: ReportSettings) -> ParityReport:
    report = read_parity_report(folder)
    return report if settings.mistakes else dataclasses.replace(report, examples=())
