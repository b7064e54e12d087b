"""Probes: steps that do what a TFX driver does before the cache is consulted.

Kubeflow does not run TFX's drivers, so a cached ExampleGen would never see new data. A probe is a step that is
never cached; its result is a *parameter* of the step after it, and so part of that step's cache key.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from tfx.components.example_gen.driver import update_output_artifact
from tfx.utils import import_utils, proto_utils

from components.baseline.executor import find_version
from components.baseline.spec import VERSION_KEY
from components.example_gen.component import range_of
from components.example_gen.spans import has_spans
from models.errors import PipelineError
from pipeline.kubeflow.names import SCHEDULED
from pipeline.kubeflow.run_date import RUN_DATE, SPAN, find_run_date, find_span, now
from pipeline.kubeflow.step.artifacts import Artifacts

INPUT_CONFIG = "input_config"
RANGE_CONFIG = "range_config"
FINGERPRINT = "input_fingerprint"
VERSION = "version"


def day_of_run(exec_properties: dict[str, Any]) -> date:
    """The day of the run; removes the properties that determine it."""
    return find_run_date(exec_properties.pop(RUN_DATE), exec_properties.pop(SCHEDULED), now())


def wanted_examples(driver_class: str, exec_properties: dict[str, Any], run_date: date) -> dict[str, Any]:
    """Returns span, version and fingerprint of the files that an ExampleGen should read now.

    `{"span": 0, "version": None, "input_fingerprint": "split:train,...", "input_config": "{...}"}`

    Args:
        driver_class: dotted path of the ExampleGen's own driver.
        exec_properties: of the ExampleGen, and the parameter `span` of the run.
        run_date: the day of the span `run_date`.

    Raises:
        PipelineError: there is no such span, or the data has no spans.
    """
    # The run's parameter replaces the span of the config, which is the parameter's default.
    properties = {key: value for key, value in exec_properties.items() if key != RANGE_CONFIG}
    span = properties.pop(SPAN)
    number = find_span(span, run_date)
    if number is not None:
        if not has_spans(properties[INPUT_CONFIG]):
            raise PipelineError(
                f"span={span}: the data of this pipeline has no spans: kubeflow.data_path needs {{SPAN}}, or "
                "{YYYY}, {MM} and {DD}"
            )
        properties[RANGE_CONFIG] = proto_utils.proto_to_json(range_of(number))
    driver = import_utils.import_class_by_path(driver_class)(None)  # needs no metadata store
    resolved = driver.resolve_exec_properties(properties, None, None)
    return {key: resolved[key] for key in (INPUT_CONFIG, SPAN, VERSION, FINGERPRINT)}


def tag_examples(exec_properties: dict[str, Any], outputs: Artifacts) -> None:
    """Sets the probe's result as properties of the Examples, as TFX's driver does."""
    for artifact in outputs.get("examples", []):
        update_output_artifact(exec_properties, artifact.mlmd_artifact)


def newest_baseline(inputs: Artifacts, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Returns the served version that a ServedBaseline would copy now: `{"version": 3}`, 0 if there is none."""
    return {VERSION_KEY: find_version(inputs, exec_properties)}
