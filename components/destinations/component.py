"""SecondPusher: a pushed version goes to further places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.destinations import executor
from components.destinations.artifacts import SecondPushes
from components.destinations.spec import SecondPusherSpec


class SecondPusher(base_component.BaseComponent):
    """Takes the version that the Pusher made to each of `destinations`.

    When one fails, the others are done all the same and the node fails: the version stays served, and the
    next run tries again. What is there already is not pushed twice.

    Args:
      pushed_model: PushedModel of the VersionedPusher; one that was not pushed goes nowhere.
      name: name of the served model.
      destinations: DestinationSettings as JSON values.
      keep: versions kept in each folder, the new one included.
      checkpoint_dir: folder of the pretrained encoder, whose config and tokenizer a hub repository gets.
      max_length: most tokens of a row.
      task: what the model learned, a key of `TASKS`.
      code_fingerprint: a change re-runs the node.
    """

    SPEC_CLASS = SecondPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        pushed_model: types.BaseChannel,
        name: str,
        destinations: Sequence[Mapping[str, Any]],
        keep: int,
        checkpoint_dir: str,
        max_length: int,
        task: str,
        code_fingerprint: str = "",
    ) -> None:
        spec = SecondPusherSpec(
            pushed_model=pushed_model,
            name=name,
            destinations=json.dumps(destinations, sort_keys=True),
            keep=keep,
            checkpoint_dir=checkpoint_dir,
            max_length=max_length,
            task=task,
            code_fingerprint=code_fingerprint,
            pushes=types.Channel(type=SecondPushes),
        )
        super().__init__(spec=spec)
