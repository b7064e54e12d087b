"""Inputs, outputs and parameters of ServedBaseline, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts

CANDIDATE_KEY = "candidate"
MODEL_KEY = "model"
SERVING_DIR_KEY = "serving_dir"
NAME_KEY = "name"
CODE_FINGERPRINT_KEY = "code_fingerprint"
# Set by an orchestrator that has already resolved the version.
VERSION_KEY = "version"


class ServedBaselineSpec(component_spec.ComponentSpec):
    """See `components.baseline.component.ServedBaseline`."""

    PARAMETERS = {
        SERVING_DIR_KEY: component_spec.ExecutionParameter(type=str),
        NAME_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        CANDIDATE_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
