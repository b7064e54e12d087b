"""Inputs, outputs and parameters of Exporter, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Deploy

from components.exports.artifacts import ExportedModel
from components.report.artifacts import Metrics

MODEL_KEY = "model"
PUSHED_MODEL_KEY = "pushed_model"
TRANSFORMED_EXAMPLES_KEY = "transformed_examples"
EXPORTED_MODEL_KEY = "exported_model"
METRICS_KEY = "metrics"
FORMAT_KEY = "format"
SETTINGS_KEY = "settings"
INPUTS_FINGERPRINT_KEY = "inputs_fingerprint"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class ExporterSpec(component_spec.ComponentSpec):
    """See `components.exports.component.Exporter`."""

    PARAMETERS = {
        FORMAT_KEY: component_spec.ExecutionParameter(type=str),
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        INPUTS_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        PUSHED_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
        TRANSFORMED_EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        EXPORTED_MODEL_KEY: component_spec.ChannelParameter(type=ExportedModel),
        METRICS_KEY: component_spec.ChannelParameter(type=Metrics),
    }
    TYPE_ANNOTATION = Deploy
