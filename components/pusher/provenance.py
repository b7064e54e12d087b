"""Who made a pushed model, from what: what push.json and the metadata store keep about a version."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types

from components.pusher.spec import EVALUATION_KEY, EXAMPLES_KEY, MODEL_KEY
from components.versions.runs import RUN_ID, RUN_STARTED_AT, started_at

# Properties that an ExampleGen sets on its Examples -> what push.json calls them.
_DATA_PROPERTIES = {"span": "span", "version": "version", "input_fingerprint": "fingerprint"}
# What the metadata store keeps of push.json: all but `files`, what only a person's decision sets, and the
# number, which the executor stores as TFX's Pusher names it.
_STORED = (
    RUN_ID,
    RUN_STARTED_AT,
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
    info: Mapping[str, Any],
    run_id: str | None,
    run_started_at: str | None,
) -> dict[str, Any]:
    """Returns the facts for push.json.

    Args:
        input_dict: of the Pusher: `model`, and `evaluation` and `examples` where they are wired.
        info: what the pipeline knew when it was built: config, checkpoint, code.
        run_id: of the run that pushes.
        run_started_at: as the orchestrator tells it; None where the run's id does.
    """
    [model] = input_dict[MODEL_KEY]
    facts = {
        **info,
        RUN_ID: run_id,
        RUN_STARTED_AT: started_at(run_id, run_started_at),
        "model_uri": model.uri,
        "model_artifact_id": model.id,
    }
    if "config" in info:
        canonical = json.dumps(info["config"], sort_keys=True).encode()
        facts["config_sha256"] = hashlib.sha256(canonical).hexdigest()
    for evaluation in input_dict.get(EVALUATION_KEY) or []:
        facts |= _metrics(Path(evaluation.uri))
    for examples in input_dict.get(EXAMPLES_KEY) or []:
        facts["data"] = {"path": _data_path(info), **_data(examples)}
    return facts


def stored_properties(record: Mapping[str, Any]) -> dict[str, str]:
    """Custom properties of the PushedModel: texts as they are, all else as JSON."""
    told = {key: record[key] for key in _STORED if record.get(key) is not None}
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in told.items()
    }


def _metrics(folder: Path) -> dict[str, Any]:
    from components.evaluator.evaluation import read_evaluation

    found = read_evaluation(folder)
    return {"metrics": _finite(found.metrics), "baseline_metrics": _finite(found.baseline or {}) or None}


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in sorted(metrics.items())}


def _data(examples: types.Artifact) -> dict[str, Any]:
    # A driver sets custom properties; Kubeflow hands them back as those that the type declares.
    artifact = examples.mlmd_artifact
    found = {**artifact.properties, **artifact.custom_properties}
    return {
        ours: getattr(found[theirs], found[theirs].WhichOneof("value"))
        for theirs, ours in _DATA_PROPERTIES.items()
        if theirs in found
    }


def _data_path(info: Mapping[str, Any]) -> str | None:
    path = info.get("config", {}).get("data", {}).get("path")
    return None if path is None else str(path)
