"""Executor of Exporter: converts, tries, judges and ships."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.exports import trial
from components.exports.artifacts import DESTINATION
from components.exports.format import FORMATS
from components.exports.opened import NotInstalledError
from components.exports.report import ExportReport, Variant, scalars, write_report
from components.exports.served import served_inputs
from components.exports.shipping import destination, ship
from components.exports.spec import (
    EXPORTED_MODEL_KEY,
    FORMAT_KEY,
    METRICS_KEY,
    MODEL_KEY,
    PUSHED_MODEL_KEY,
    SETTINGS_KEY,
    TRANSFORMED_EXAMPLES_KEY,
)
from components.model_files import read_constants, require_exported
from components.refusal import REFUSED
from models.errors import PipelineError
from models.tasks.task import TASKS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What to export, to which format, and the data to compare it on."""

    saved_model: Path
    split: Path
    out: Path
    format: str
    settings: dict[str, Any]
    version: Path


class Executor(base_executor.BaseExecutor):
    """Makes the variants of one format and keeps the accepted ones."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the accepted variants and export.json, ships them, and sets the properties of both outputs.

        Raises:
            NotInstalledError: a tool that the format requires is missing.
            PipelineError: the model is not what was exported, the eval split cannot be read, or the serving
                folder cannot be written.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        exported = artifact_utils.get_single_instance(output_dict[EXPORTED_MODEL_KEY])
        metrics = artifact_utils.get_single_instance(output_dict[METRICS_KEY])
        pushed = artifact_utils.get_single_instance(input_dict[PUSHED_MODEL_KEY])
        version = Path(pushed.get_string_custom_property("pushed_destination"))
        out, settings = Path(exported.uri), json.loads(exec_properties[SETTINGS_KEY])
        out.mkdir(parents=True, exist_ok=True)
        report = ExportReport(exec_properties[FORMAT_KEY], settings["metric"])
        if pushed.get_int_custom_property("pushed") == 1:
            model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
            report = _export(
                _Job(
                    Path(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))),
                    Path(artifact_utils.get_split_uri(input_dict[TRANSFORMED_EXAMPLES_KEY], "eval")),
                    out,
                    exec_properties[FORMAT_KEY],
                    settings,
                    version,
                )
            )
        write_report(out, report)
        if report.accepted:
            ship(out, version, report.format)
        exported.set_string_custom_property(REFUSED, report.refused)
        exported.set_string_custom_property(DESTINATION, report.destination)
        for name, value in scalars(report).items():
            metrics.set_float_custom_property(name, value)


def _export(job: _Job) -> ExportReport:
    """Tries every variant and adds the files that are shipped with the accepted ones."""
    metric, columns = job.settings["metric"], job.settings["text_columns"]
    require_exported(job.saved_model)
    task = TASKS[job.settings["task"]]
    inputs, constants = served_inputs(job.saved_model), read_constants(job.saved_model)
    held_to = trial.read_trial(job.split, inputs, job.settings["rows"], task, constants)
    size = _bytes(path for path in job.saved_model.rglob("*") if path.is_file())
    served = trial.try_model(trial.open_served(job.saved_model), held_to, size, metric)
    variants = tuple(_variants(job, held_to, served))
    report = ExportReport(job.format, metric, held_to.rows, served.figures, variants, job.version.name)
    for variant in variants:
        if variant.reason:
            _log.warning("Export %s %s is rejected: %s", job.format, variant.name, variant.reason)
    if not report.accepted:
        return report
    FORMATS[job.format].load().ship_beside(
        job.saved_model,
        Path(job.settings["checkpoint_dir"]),
        job.settings["max_length"],
        columns,
        report.accepted,
        job.out,
    )
    variants = tuple(_with_shipped_size(variant, job) for variant in variants)
    return replace(report, variants=variants, destination=str(destination(job.version, job.format)))


def _with_shipped_size(variant: Variant, job: _Job) -> Variant:
    """The variant with its size after `ship_beside`, which adds labels and vocabulary to TFLite models."""
    if variant.figures is None or variant.reason:
        return variant
    size = _bytes(FORMATS[job.format].load().files(job.out, variant.name))
    return replace(variant, figures=replace(variant.figures, bytes=size))


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _variants(job: _Job, held_to: trial.Trial, served: trial.Tried) -> Iterator[Variant]:
    for name in job.settings["variants"]:
        variant = _variant(name, job, held_to, served)
        if variant.reason:
            for path in FORMATS[job.format].load().files(job.out, name):
                path.unlink(missing_ok=True)
        yield variant


def _variant(name: str, job: _Job, held_to: trial.Trial, served: trial.Tried) -> Variant:
    module = FORMATS[job.format].load()
    try:
        module.convert(job.saved_model, name, job.out)
        size, metric = _bytes(module.files(job.out, name)), job.settings["metric"]
        with module.opened(job.out, name) as opened:
            tried = trial.try_model(opened, held_to, size, metric)
        max_drop = job.settings["max_drop"]
        return trial.judge(name, tried, served, held_to.task, metric, max_drop, held_to.constants)
    except NotInstalledError:
        raise
    except PipelineError as error:
        return Variant(name, str(error))
    except Exception as error:  # noqa: BLE001 - converters and runtimes raise any exception; the variant is rejected
        _log.exception("Export %s %s failed", job.format, name)
        return Variant(
            name, f"it does not work: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        )
