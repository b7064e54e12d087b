"""The provenance of a pushed model, for push.json and the metadata store."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tfx import types

from components.pusher.spec import EVALUATION_KEY, EXAMPLES_KEY, MODEL_KEY
from components.versions.record import DataFacts, PushRecord
from components.versions.runs import started_at

# Properties that an ExampleGen sets on its Examples -> their names in push.json.
_DATA_PROPERTIES: dict[str, Literal["span", "version", "fingerprint"]] = {
    "span": "span",
    "version": "version",
    "input_fingerprint": "fingerprint",
}
# The keys of push.json that the metadata store keeps: all except `files`, those that only a person's decision sets,
# and the number, which the executor stores under the name that TFX's Pusher uses.
_STORED = (
    "run_id",
    "run_started_at",
    "by",
    "pushed_at",
    "model_uri",
    "model_artifact_id",
    "model_sha256",
    "metrics",
    "baseline_metrics",
    "data",
    "code",
    "checkpoint",
    "config",
    "config_sha256",
)


def provenance(
    input_dict: Mapping[str, list[types.Artifact]],
    made_from: PushRecord,
    run_id: str | None,
    run_started_at: str | None,
) -> PushRecord:
    """Returns what push.json says of the model before it has a version.

    Args:
        input_dict: inputs of the Pusher: `model`, and `evaluation` and `examples` if they are connected.
        made_from: what the pipeline knew when it was built: config, checkpoint, code.
        run_id: id of the run that pushes.
        run_started_at: from the orchestrator; None if the run's id contains the time.
    """
    [model] = input_dict[MODEL_KEY]
    record = replace(
        made_from,
        run_id=run_id,
        run_started_at=started_at(run_id, run_started_at),
        model_uri=model.uri,
        model_artifact_id=model.id,
    ).with_nulls("run_id", "run_started_at")
    if made_from.config is not None:
        canonical = json.dumps(made_from.config, sort_keys=True).encode()
        record = replace(record, config_sha256=hashlib.sha256(canonical).hexdigest())
    for evaluation in input_dict.get(EVALUATION_KEY) or []:
        record = _with_metrics(record, Path(evaluation.uri))
    for examples in input_dict.get(EXAMPLES_KEY) or []:
        record = replace(record, data=_data(examples, made_from.config or {}))
    return record


def stored_properties(record: PushRecord) -> dict[str, str]:
    """Custom properties of the PushedModel: strings unchanged, other values as JSON."""
    known = record.as_json()
    stored = {key: known[key] for key in _STORED if known.get(key) is not None}
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in stored.items()
    }


def _with_metrics(record: PushRecord, folder: Path) -> PushRecord:
    from components.evaluator.evaluation import read_evaluation

    evaluation = read_evaluation(folder)
    return replace(
        record,
        metrics=_finite(evaluation.metrics),
        baseline_metrics=_finite(evaluation.baseline or {}) or None,
    ).with_nulls("baseline_metrics")


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Replaces NaN and infinity, which JSON does not have, by None."""
    return {name: value if math.isfinite(value) else None for name, value in sorted(metrics.items())}


def _data(examples: types.Artifact, config: Mapping[str, Any]) -> DataFacts:
    # A driver sets custom properties; Kubeflow returns them as properties that the type declares.
    artifact = examples.mlmd_artifact
    properties = {**artifact.properties, **artifact.custom_properties}
    path = config.get("data", {}).get("path")
    facts: DataFacts = {"path": None if path is None else str(path)}
    for theirs, ours in _DATA_PROPERTIES.items():
        if theirs in properties:
            facts[ours] = getattr(properties[theirs], properties[theirs].WhichOneof("value"))
    return facts
