"""Exporter: exports a pushed model to a further format, if the result is as good as the served model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.exports import executor
from components.exports.artifacts import ExportedModel
from components.exports.format import FORMATS
from components.exports.settings import ExportSettings
from components.exports.spec import ExporterSpec
from components.fingerprints import code_fingerprint
from components.model_parts import ModelParts
from components.report.artifacts import Metrics


class Exporter(base_component.BaseComponent):
    """Converts a pushed model, compares each variant with the served one on the eval split, and ships it if it passes.

    A variant is rejected if its metric drops by more than `max_drop`, or if it cannot be converted or run.
    It is not shipped, the property `refused` of the output has the reason, and the pushed version stays.
    Nothing is done for a model that was not pushed. The node's id is in the row of its format.

    Args:
        model: Model of the Trainer.
        pushed_model: PushedModel of the VersionedPusher.
        transformed_examples: Examples of Transform, with the split `eval`.
        format_name: the format to make, a key of `FORMATS`.
        settings: the settings of the format, and the number of rows of the eval split for the comparison.
        text_columns: raw text columns; two for text pairs.
        max_length: maximum tokens per text or pair.
        parts: the parts of the model; the checkpoint's tokenizer is shipped with it.
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
        settings: ExportSettings,
        text_columns: Sequence[str],
        max_length: int,
        parts: ModelParts,
    ) -> None:
        values = settings.chosen()[format_name].as_json() | {
            "rows": settings.rows,
            "text_columns": list(text_columns),
            "task": parts.task.name,
            "checkpoint_dir": str(parts.checkpoint_dir),
            "max_length": max_length,
        }
        spec = ExporterSpec(
            model=model,
            pushed_model=pushed_model,
            transformed_examples=transformed_examples,
            format=format_name,
            settings=json.dumps(values, sort_keys=True),
            inputs_fingerprint=parts.checkpoint_fingerprint,
            code_fingerprint=code_fingerprint(
                "components.exports.executor",
                FORMATS[format_name].module,
                parts.tokenizer.exports[format_name],
                *parts.task.modules("facts", "labels", "figures"),
            ),
            exported_model=types.Channel(type=ExportedModel),
            metrics=types.Channel(type=Metrics),
        )
        super().__init__(spec=spec)
        self.with_id(FORMATS[format_name].node_id)
