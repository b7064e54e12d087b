"""SecondPusher: pushes a version to further destinations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.destinations import executor
from components.destinations.artifacts import SecondPushes
from components.destinations.settings import DestinationSettings
from components.destinations.spec import SecondPusherSpec
from components.fingerprints import code_fingerprint
from components.model_parts import ModelParts


class SecondPusher(base_component.BaseComponent):
    """Pushes the version that the Pusher made to each of `destinations`.

    If one fails, the others are still pushed and the node fails: the version stays served, and the next run
    tries again. A version that is already at a destination is not pushed again.

    Args:
        pushed_model: PushedModel of the VersionedPusher; nothing is pushed if the Pusher did not push.
        name: name of the served model.
        destinations: where to push.
        keep: number of versions to keep in each folder, including the new one.
        max_length: maximum tokens per text or pair.
        parts: the parts of the model; a hub repository gets the checkpoint's config and tokenizer.
    """

    SPEC_CLASS = SecondPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        pushed_model: types.BaseChannel,
        name: str,
        destinations: Sequence[DestinationSettings],
        keep: int,
        max_length: int,
        parts: ModelParts,
    ) -> None:
        spec = SecondPusherSpec(
            pushed_model=pushed_model,
            name=name,
            destinations=json.dumps([place.as_json() for place in destinations], sort_keys=True),
            keep=keep,
            checkpoint_dir=str(parts.checkpoint_dir),
            max_length=max_length,
            task=parts.task.name,
            code_fingerprint=code_fingerprint(
                "components.destinations.executor",
                parts.encoder.facts_module,
                *parts.task.modules("facts"),
            ),
            pushes=types.Channel(type=SecondPushes),
        )
        super().__init__(spec=spec)
