"""Inputs, outputs and parameters of SecondPusher, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Deploy

from components.destinations.artifacts import SecondPushes

PUSHED_MODEL_KEY = "pushed_model"
PUSHES_KEY = "pushes"
NAME_KEY = "name"
DESTINATIONS_KEY = "destinations"
KEEP_KEY = "keep"
CHECKPOINT_DIR_KEY = "checkpoint_dir"
MAX_LENGTH_KEY = "max_length"
TASK_KEY = "task"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class SecondPusherSpec(component_spec.ComponentSpec):
    """See `components.destinations.component.SecondPusher`."""

    PARAMETERS = {
        NAME_KEY: component_spec.ExecutionParameter(type=str),
        DESTINATIONS_KEY: component_spec.ExecutionParameter(type=str),
        KEEP_KEY: component_spec.ExecutionParameter(type=int),
        CHECKPOINT_DIR_KEY: component_spec.ExecutionParameter(type=str),
        MAX_LENGTH_KEY: component_spec.ExecutionParameter(type=int),
        TASK_KEY: component_spec.ExecutionParameter(type=str),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        PUSHED_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
    }
    OUTPUTS = {
        PUSHES_KEY: component_spec.ChannelParameter(type=SecondPushes),
    }
    TYPE_ANNOTATION = Deploy
