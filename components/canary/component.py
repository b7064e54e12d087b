"""Canary: the InfraValidator that needs no Docker and compares answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from tfx import types
from tfx.components.infra_validator.component import InfraValidator
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts

from components.canary import executor
from components.canary.spec import CanarySpec


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
      split: split whose rows are asked.
      settings: {"name": name of the served model, "data": DataSettings, "canary": CanarySettings,
        "serve": ServeSettings}, JSON values.
      code_fingerprint: a change re-runs the node.
    """

    SPEC_CLASS = CanarySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CACHEABLE: ClassVar = False  # a refusal may be the machine's; it is an output, which a cache would keep

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        split: str,
        settings: Mapping[str, Any],
        model_blessing: types.BaseChannel | None = None,
        code_fingerprint: str = "",
    ) -> None:
        spec = CanarySpec(
            model=model,
            model_blessing=model_blessing,
            examples=examples,
            split=split,
            settings=json.dumps(settings, sort_keys=True),
            code_fingerprint=code_fingerprint,
            blessing=types.Channel(type=standard_artifacts.InfraBlessing),
        )
        # Past InfraValidator's own, which describes a server in a container.
        super(InfraValidator, self).__init__(spec=spec)
