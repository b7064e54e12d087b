"""Exporter: a pushed model in a further format, if that one answers as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.exports import executor
from components.exports.artifacts import ExportedModel
from components.exports.format_settings import FormatSettings
from components.exports.spec import ExporterSpec
from components.report.artifacts import Metrics


class Exporter(base_component.BaseComponent):
    """Converts a pushed model, holds each variant to the served one on the eval split, ships what holds.

    A variant whose metric drops by more than `max_drop`, that cannot be converted or does not answer is
    refused: it is not shipped, the reason is the property `refused` of the output, and the pushed version
    stays. Nothing is done for a model that was not pushed.

    Args:
      model: Model of the Trainer.
      pushed_model: PushedModel of the VersionedPusher.
      transformed_examples: Examples of Transform, with the split `eval`.
      format_name: what is made, a key of `FORMATS`.
      settings: of that format.
      rows: rows of the eval split looked at.
      text_columns: raw text columns; two for text pairs.
      task: what the model learned, a key of `TASKS`.
      checkpoint_dir: folder of the pretrained encoder, whose tokenizer ships with the model.
      max_length: most tokens of a row.
      inputs_fingerprint: a change of the checkpoint's files re-runs the node.
      code_fingerprint: a change re-runs the node.
    """

    SPEC_CLASS = ExporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True  # its output says so

    def __init__(
        self,
        model: types.BaseChannel,
        pushed_model: types.BaseChannel,
        transformed_examples: types.BaseChannel,
        format_name: str,
        settings: FormatSettings,
        rows: int,
        text_columns: Sequence[str],
        task: str,
        checkpoint_dir: str | Path,
        max_length: int,
        inputs_fingerprint: str = "",
        code_fingerprint: str = "",
    ) -> None:
        told = settings.model_dump(mode="json") | {
            "rows": rows,
            "text_columns": list(text_columns),
            "task": task,
            "checkpoint_dir": str(checkpoint_dir),
            "max_length": max_length,
        }
        spec = ExporterSpec(
            model=model,
            pushed_model=pushed_model,
            transformed_examples=transformed_examples,
            format=format_name,
            settings=json.dumps(told, sort_keys=True),
            inputs_fingerprint=inputs_fingerprint,
            code_fingerprint=code_fingerprint,
            exported_model=types.Channel(type=ExportedModel),
            metrics=types.Channel(type=Metrics),
        )
        super().__init__(spec=spec)
