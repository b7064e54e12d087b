"""Executor of SplitGate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from models.errors import GateRefused
from tests.support.toy_node.spec import EXAMPLES_KEY, REPORT_KEY, SPLIT_KEY


class Executor(base_executor.BaseExecutor):
    """Writes the names of the splits."""

    def Do(
        self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]
    ) -> None:
        """Raises GateRefused where the split is missing."""
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        splits = artifact_utils.decode_split_names(examples.split_names)
        if exec_properties[SPLIT_KEY] not in splits:
            raise GateRefused(f"no split {exec_properties[SPLIT_KEY]!r} in {sorted(splits)}")
        report = Path(artifact_utils.get_single_uri(output_dict[REPORT_KEY]))
        report.mkdir(parents=True, exist_ok=True)
        (report / "splits.txt").write_text(" ".join(sorted(splits)))
