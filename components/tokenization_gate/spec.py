"""Inputs, outputs and parameters of TokenizationGate, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Evaluate

from components.tokenization_gate.artifacts import TokenizationReport

EXAMPLES_KEY = "examples"
STATISTICS_KEY = "statistics"
REPORT_KEY = "report"
SETTINGS_KEY = "settings"
REFUSAL_DIR_KEY = "refusal_dir"
INPUTS_FINGERPRINT_KEY = "inputs_fingerprint"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class TokenizationGateSpec(component_spec.ComponentSpec):
    """See `components.tokenization_gate.component.TokenizationGate`."""

    PARAMETERS = {
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        REFUSAL_DIR_KEY: component_spec.ExecutionParameter(type=str),
        INPUTS_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        STATISTICS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS = {
        REPORT_KEY: component_spec.ChannelParameter(type=TokenizationReport),
    }
    TYPE_ANNOTATION = Evaluate
