"""Inputs, outputs and parameters of VersionedPusher, and their names."""

from __future__ import annotations

from tfx.types import component_spec, standard_artifacts
from tfx.types.system_executions import Deploy

MODEL_KEY = "model"
MODEL_BLESSING_KEY = "model_blessing"
INFRA_BLESSING_KEY = "infra_blessing"
EVALUATION_KEY = "evaluation"
EXAMPLES_KEY = "examples"
PUSHED_MODEL_KEY = "pushed_model"
SERVING_DIR_KEY = "serving_dir"
NAME_KEY = "name"
KEEP_KEY = "keep"
INFO_KEY = "info"
NEEDS_BASELINE_KEY = "needs_baseline"
FORCE_KEY = "force"
# Set by an orchestrator whose run ids do not contain the time of the start; not part of the cache key.
RUN_STARTED_KEY = "run_started_at"
CODE_FINGERPRINT_KEY = "code_fingerprint"


class VersionedPusherSpec(component_spec.ComponentSpec):
    """See `components.pusher.component.VersionedPusher`."""

    PARAMETERS = {
        SERVING_DIR_KEY: component_spec.ExecutionParameter(type=str),
        NAME_KEY: component_spec.ExecutionParameter(type=str),
        KEEP_KEY: component_spec.ExecutionParameter(type=int),
        INFO_KEY: component_spec.ExecutionParameter(type=str),
        NEEDS_BASELINE_KEY: component_spec.ExecutionParameter(type=int),
        FORCE_KEY: component_spec.ExecutionParameter(type=int),
        CODE_FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        INFRA_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {
        PUSHED_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
    }
    TYPE_ANNOTATION = Deploy
