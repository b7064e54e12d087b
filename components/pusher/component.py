"""VersionedPusher: pushes a blessed model as the next version of a served model."""

from __future__ import annotations

import json
from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts

from components.fingerprints import code_fingerprint
from components.pusher import executor
from components.pusher.settings import PushSettings
from components.pusher.spec import VersionedPusherSpec
from components.versions.record import PushRecord
from models.tasks.task import Task


class VersionedPusher(base_component.BaseComponent):
    """Pushes `model` to `<serving_dir>/<name>/<version>` if all blessings accept it.

    Its id is that of TFX's node.

    Output `pushed_model` (PushedModel) has the custom properties `pushed` (1 or 0),
    `pushed_destination` (folder of the version) and `pushed_version` (its number as a string), and the
    contents of push.json: run, metrics, data, code, checkpoint, config, as strings or JSON.

    Args:
        model: Model of the Trainer.
        settings: the folder that the model server watches, on a mounted file system, and how many versions it
            keeps.
        name: name of the served model.
        task: what the model learned.
        model_blessing: ModelBlessing of the Evaluator.
        infra_blessing: InfraBlessing of an InfraValidator; when it holds a model (with warm-up
            requests), that one is pushed.
        evaluation: ModelEvaluation of the Evaluator; its metrics are recorded with the version.
        examples: Examples of the ExampleGen; their span and fingerprint are recorded with the version.
        info: the facts of push.json that are known before a run, such as the config. They are part of the cache
            key, so they have neither run id nor time; the executor adds both.
        needs_baseline: replace the served version only with a model that was compared with a baseline.
        force: push even if the folder has a newer run's model or a rollback of this one.
    """

    SPEC_CLASS = VersionedPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True  # its own output says so
    CACHEABLE: ClassVar = False  # it changes the serving folder, which the cache does not check

    def __init__(
        self,
        model: types.BaseChannel,
        settings: PushSettings,
        name: str,
        task: Task,
        model_blessing: types.BaseChannel | None = None,
        infra_blessing: types.BaseChannel | None = None,
        evaluation: types.BaseChannel | None = None,
        examples: types.BaseChannel | None = None,
        info: PushRecord | None = None,
        needs_baseline: bool = False,
        force: bool = False,
    ) -> None:
        spec = VersionedPusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            evaluation=evaluation,
            examples=examples,
            serving_dir=str(settings.serving_dir),
            name=name,
            keep=settings.keep,
            info=json.dumps((info or PushRecord()).as_json(), sort_keys=True),
            needs_baseline=int(needs_baseline),
            force=int(force),
            code_fingerprint=code_fingerprint("components.pusher.executor", *task.modules("facts")),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec=spec)
        self.with_id("Pusher")
