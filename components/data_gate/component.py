"""DataGate: nothing that breaks the rules of the config reaches Transform."""

from __future__ import annotations

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.data_gate import executor
from components.data_gate.artifacts import DataGateReport
from components.data_gate.spec import DataGateSpec


class DataGate(base_component.BaseComponent):
    """Judges the examples by `data.gate`; raises GateRefused, or lets them through with a report.

    Output `report` (DataGateReport): report.json with every finding that was only a warning, custom
    properties `rows` and `warnings`. Nodes behind the gate name it as upstream:
    `transform.add_upstream_node(data_gate)`.

    Args:
      examples: Examples of the ExampleGen; the text and label columns are read once, row by row.
      statistics: ExampleStatistics of StatisticsGen.
      schema: curated Schema.
      anomalies: ExampleAnomalies of ExampleValidator.
      settings: `DataSettings` and "task", a key of `TASKS`, as JSON; the label list is read by the executor.
      refusal_dir: folder for `data_gate.json`, all findings of a refusal; "" for the log only.
      labels_fingerprint: hash of the label list; a change re-runs the node.
      code_fingerprint: a change re-runs the node.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True  # no node behind it starts

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        anomalies: types.BaseChannel,
        settings: str,
        refusal_dir: str = "",
        labels_fingerprint: str = "",
        code_fingerprint: str = "",
    ) -> None:
        spec = DataGateSpec(
            examples=examples,
            statistics=statistics,
            schema=schema,
            anomalies=anomalies,
            settings=settings,
            refusal_dir=refusal_dir,
            labels_fingerprint=labels_fingerprint,
            code_fingerprint=code_fingerprint,
            report=types.Channel(type=DataGateReport),
        )
        super().__init__(spec=spec)
