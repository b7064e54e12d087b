"""ServedBaseline: the currently served model as the baseline for the Evaluator."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts

from components.baseline import executor
from components.baseline.spec import ServedBaselineSpec
from components.fingerprints import code_fingerprint


class ServedBaseline(base_component.BaseComponent):
    """Copies the newest served version that is not the candidate itself.

    Output `model` (Model) has the custom property `served_version`. If there is no such version, it has
    `absent` = 1 and no files, and the entry point of its consumers leaves it out.

    Args:
        candidate: Model of the Trainer.
        serving_dir: folder that the model server watches, on a mounted file system.
        name: name of the served model.
    """

    SPEC_CLASS = ServedBaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, candidate: types.BaseChannel, serving_dir: str, name: str) -> None:
        super().__init__(
            spec=ServedBaselineSpec(
                candidate=candidate,
                serving_dir=serving_dir,
                name=name,
                code_fingerprint=code_fingerprint("components.baseline.executor"),
                model=types.Channel(type=standard_artifacts.Model),
            )
        )
