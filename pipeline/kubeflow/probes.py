"""What an orchestrator's driver does before it looks into its cache, as steps of their own.

Kubeflow runs no driver of ours: a cached ExampleGen would never see new data. A probe is a step that is
never cached; what it found is a *parameter* of the step behind it, and so part of that step's cache key.
"""

from __future__ import annotations

from typing import Any

from tfx.components.example_gen.driver import update_output_artifact
from tfx.utils import import_utils

from components.baseline.executor import VERSION_KEY, find_version
from pipeline.kubeflow.artifacts import Artifacts

INPUT_CONFIG = "input_config"
FINGERPRINT = "input_fingerprint"
SPAN = "span"
VERSION = "version"


def newest_examples(driver_class: str, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Span, version and fingerprint of the files that an ExampleGen would read now.

    `{"span": 0, "version": None, "input_fingerprint": "split:train,...", "input_config": "{...}"}`

    Args:
        driver_class: dotted path of the ExampleGen's own driver.
        exec_properties: of the ExampleGen.
    """
    driver = import_utils.import_class_by_path(driver_class)(None)  # asks no metadata store
    resolved = driver.resolve_exec_properties(dict(exec_properties), None, None)
    return {key: resolved[key] for key in (INPUT_CONFIG, SPAN, VERSION, FINGERPRINT)}


def tag_examples(exec_properties: dict[str, Any], outputs: Artifacts) -> None:
    """Writes what the probe found on the Examples, as TFX's driver does."""
    for artifact in outputs.get("examples", []):
        update_output_artifact(exec_properties, artifact.mlmd_artifact)


def newest_baseline(inputs: Artifacts, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The served version that a ServedBaseline would copy now: `{"version": 3}`, 0 for none."""
    return {VERSION_KEY: find_version(inputs, exec_properties)}
