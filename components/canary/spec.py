"""Inputs, outputs and parameters of Canary, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Evaluate

MODEL_KEY = "model"
MODEL_BLESSING_KEY = "model_blessing"
EXAMPLES_KEY = "examples"
BLESSING_KEY = "blessing"  # as TFX's InfraValidator names it
SETTINGS_KEY = "settings"
SPLIT_KEY = "split"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class CanarySpec(component_spec.ComponentSpec):
    """See `components.canary.component.Canary`."""

    PARAMETERS = {
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        SPLIT_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    TYPE_ANNOTATION = Evaluate
