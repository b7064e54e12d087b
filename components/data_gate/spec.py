"""Inputs, outputs and parameters of DataGate, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Evaluate

from components.data_gate.artifacts import DataGateReport

EXAMPLES_KEY = "examples"
STATISTICS_KEY = "statistics"
SCHEMA_KEY = "schema"
ANOMALIES_KEY = "anomalies"
REPORT_KEY = "report"
SETTINGS_KEY = "settings"
REFUSAL_DIR_KEY = "refusal_dir"
LABELS_FINGERPRINT_KEY = "labels_fingerprint"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class DataGateSpec(component_spec.ComponentSpec):
    """See `components.data_gate.component.DataGate`."""

    PARAMETERS = {
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        REFUSAL_DIR_KEY: component_spec.ExecutionParameter(type=str),
        LABELS_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        STATISTICS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema),
        ANOMALIES_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }
    OUTPUTS = {
        REPORT_KEY: component_spec.ChannelParameter(type=DataGateReport),
    }
    TYPE_ANNOTATION = Evaluate
