"""Inputs, outputs and parameters of SplitGate, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts

from components.data_gate.artifacts import DataGateReport

EXAMPLES_KEY = "examples"
REPORT_KEY = "report"
SPLIT_KEY = "split"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class SplitGateSpec(component_spec.ComponentSpec):
    """See `tests.support.toy_node.component.SplitGate`."""

    PARAMETERS = {
        SPLIT_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        REPORT_KEY: component_spec.ChannelParameter(type=DataGateReport),
    }
