"""Canary: the InfraValidator that needs no Docker and compares answers."""

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
    """Starts the model server on the candidate and holds its answers against the evaluated model's.

    Output `blessing` (InfraBlessing) has the custom properties `blessed` and, when blessed, `has_model`:
    its folder then holds the model with warm-up requests, which the Pusher pushes. canary.json in
    it has the figures and the reasons of a refusal. A model that cannot even be loaded is not blessed; only
    a fault of the machine raises.

    Args:
        model: Model of the Trainer.
        model_blessing: ModelBlessing of the Evaluator; a model that it refused is not tried.
        examples: Examples of the ExampleGen.
        name: name of the served model.
        settings: what is asked, and the bounds that the answers are held to.
        data: what the columns mean.
        serve: how the model server is started.
    """

    SPEC_CLASS = CanarySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CACHEABLE: ClassVar = False  # a refusal may be the machine's; it is an output, which a cache would keep

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
        # Past InfraValidator's own, which describes a server in a container.
        super(InfraValidator, self).__init__(spec=spec)
