"""TokenizationGate: no training on token ids that differ from those of the checkpoint's own tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec

from components.fingerprints import code_fingerprint
from components.model_parts import ModelParts
from components.tokenization_gate import executor
from components.tokenization_gate.artifacts import TokenizationReport
from components.tokenization_gate.settings import ParitySettings
from components.tokenization_gate.spec import TokenizationGateSpec
from models.own_parts import module_of
from models.tokenizers.word_rules import WordRule


class TokenizationGate(base_component.BaseComponent):
    """Tokenizes a sample of the rows in the graph, as Transform does, and by transformers' Rust tokenizer.

    Writes a report, or raises GateRefused if more rows differ than `parity.max_mismatch_rate` allows. Output
    `report` (TokenizationReport): report.json with counts and the first rows that differ, and the custom properties
    `rows` and `mismatches`. Nodes after the gate name it as upstream.

    Args:
        examples: Examples of the ExampleGen; rows of every split are compared.
        statistics: ExampleStatistics of StatisticsGen, which have the number of rows.
        settings: the config's `parity` section.
        text_columns: raw text columns; two for text pairs.
        max_length: maximum tokens of a row or a window.
        stride: tokens that windows share; None: rows are cut.
        parts: what the model is made of; the checkpoint has the tokenizer files.
        text: the config's `transform.text`, which cleans texts before they are tokenized.
        words: what ends a word, if words are labelled.
        refusal_dir: folder for `tokenization_gate.json`, the report if the run is rejected; "": only logged.
    """

    SPEC_CLASS = TokenizationGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    CAN_REFUSE: ClassVar = True  # no later node starts

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        settings: ParitySettings,
        text_columns: Sequence[str],
        max_length: int,
        stride: int | None,
        parts: ModelParts,
        refusal_dir: str = "",
        text: str | None = None,
        words: WordRule | None = None,
    ) -> None:
        values = {
            "parity": settings.as_json(),
            "text_columns": list(text_columns),
            "max_length": max_length,
            "stride": stride,
            "text": text,
            "words": words,
            "checkpoint_dir": str(parts.checkpoint_dir),
        }
        spec = TokenizationGateSpec(
            examples=examples,
            statistics=statistics,
            settings=json.dumps(values, sort_keys=True),
            refusal_dir=refusal_dir,
            inputs_fingerprint=parts.checkpoint_fingerprint,
            code_fingerprint=code_fingerprint(
                "components.tokenization_gate.executor",
                *parts.tokenizer.modules,
                *([] if text is None else [module_of(text)]),
            ),
            report=types.Channel(type=TokenizationReport),
        )
        super().__init__(spec=spec)
