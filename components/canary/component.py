"""Canary: an InfraValidator that needs no Docker and compares answers."""

from __future__ import annotations

import json
from typing import ClassVar

from tfx import types
from tfx.components.infra_validator.component import InfraValidator
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts

from components.canary import executor
from components.canary.settings import CanarySettings
from components.canary.spec import CanarySpec
from components.fingerprints import code_fingerprint
from components.serving.settings import ServeSettings
from components.settings import DataSettings


class Canary(InfraValidator):
    """Starts the model server on the candidate and compares its answers with the exported model's, in float32.

    Output `blessing` (InfraBlessing) has the custom properties `blessed` and, if blessed, `has_model`:
    its folder then contains the model with warm-up requests, which the Pusher pushes. Its canary.json has
    the figures and the reasons for a rejection. A model that cannot be loaded is not blessed; only a fault
    of the machine raises an error.

    Args:
        model: Model of the Trainer.
        model_blessing: ModelBlessing of the Evaluator; a model that it rejected is not tried.
        examples: Examples of the ExampleGen.
        name: name of the served model.
        settings: which rows are sent, and the bounds for the answers.
        data: what the columns mean.
        serve: how the model server is started.
    """

    SPEC_CLASS = CanarySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CACHEABLE: ClassVar = False  # a rejection is an output, but the machine may be its cause

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        name: str,
        settings: CanarySettings,
        data: DataSettings,
        serve: ServeSettings,
        model_blessing: types.BaseChannel | None = None,
    ) -> None:
        values = {
            "data": data.as_json(),
            "canary": settings.as_json(),
            "serve": serve.as_json(),
            "name": name,
        }
        spec = CanarySpec(
            model=model,
            model_blessing=model_blessing,
            examples=examples,
            split=settings.split,
            settings=json.dumps(values, sort_keys=True),
            code_fingerprint=code_fingerprint("components.canary.executor", "components.serving.__main__"),
            blessing=types.Channel(type=standard_artifacts.InfraBlessing),
        )
        # Skips InfraValidator's constructor, which describes a server in a container.
        super(InfraValidator, self).__init__(spec=spec)
