"""DataGate: keeps data that breaks the config's rules from reaching Transform."""

from __future__ import annotations

import json
from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.data_gate import executor
from components.data_gate.artifacts import DataGateReport
from components.data_gate.spec import DataGateSpec
from components.fingerprints import code_fingerprint
from components.settings import DataSettings
from models.tasks.task import Task
from models.tokenizers.word_rules import DEFAULT_RULE, WordRule


class DataGate(base_component.BaseComponent):
    """Checks the examples against the rules of `data.gate`; writes a report, or raises GateRefused.

    Output `report` (DataGateReport): report.json with the findings, all of them warnings, and the custom
    properties `rows` and `warnings`. Nodes after the gate name it as upstream:
    `transform.add_upstream_node(data_gate)`.

    Args:
        examples: Examples of the ExampleGen; the text and label columns are read once, row by row.
        statistics: ExampleStatistics of StatisticsGen.
        schema: curated Schema.
        anomalies: ExampleAnomalies of ExampleValidator.
        data: the rules, and what the columns mean; the executor reads the label list.
        task: what the model learns.
        words: `transform.words`, for tasks that label words.
        refusal_dir: folder for `data_gate.json`, which has all findings if the data is rejected; "": only logged.
        labels_fingerprint: hash of the label list; a change re-runs the node.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True  # no later node starts

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        anomalies: types.BaseChannel,
        data: DataSettings,
        task: Task,
        words: WordRule = DEFAULT_RULE,
        refusal_dir: str = "",
        labels_fingerprint: str = "",
    ) -> None:
        spec = DataGateSpec(
            examples=examples,
            statistics=statistics,
            schema=schema,
            anomalies=anomalies,
            # Not for other tasks: a change of the rule must not re-run their gates.
            settings=json.dumps(
                {
                    **data.as_json(),
                    "task": task.name,
                    "words": words if task.facts().OF_WORDS else DEFAULT_RULE,
                }
            ),
            refusal_dir=refusal_dir,
            labels_fingerprint=labels_fingerprint,
            code_fingerprint=code_fingerprint("components.data_gate.executor", *task.modules("facts")),
            report=types.Channel(type=DataGateReport),
        )
        super().__init__(spec=spec)
