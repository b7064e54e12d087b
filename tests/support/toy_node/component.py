"""SplitGate: stops the run before training if a split is missing."""

from __future__ import annotations

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.data_gate.artifacts import DataGateReport
from components.fingerprints import code_fingerprint
from tests.support.toy_node import executor
from tests.support.toy_node.spec import SplitGateSpec


class SplitGate(base_component.BaseComponent):
    """Refuses Examples without `split`. Output `report`: splits.txt."""

    SPEC_CLASS = SplitGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True
    CACHEABLE: ClassVar = False

    def __init__(self, examples: types.BaseChannel, split: str) -> None:
        spec = SplitGateSpec(
            examples=examples,
            split=split,
            code_fingerprint=code_fingerprint("tests.support.toy_node.executor"),
            report=types.Channel(type=DataGateReport),
        )
        super().__init__(spec=spec)
