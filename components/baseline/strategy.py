"""The latest blessed model that is not the candidate itself.

TFX's LatestBlessedModelStrategy names the candidate as its own baseline as soon as it is blessed: the
Evaluator then runs once more on an unchanged pipeline, and compares a model with itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.utils import path_utils

from components.model_files import SAVED_MODEL, same_model

CANDIDATE_KEY = "candidate"
MODEL_KEY = "model"
MODEL_BLESSING_KEY = "model_blessing"

_MODEL_ID = "current_model_id"  # custom properties that the Evaluator sets on its blessing
_BLESSED = "blessed"


class LatestOtherBlessedModelStrategy(resolver.ResolverStrategy):
    """Resolves `model` to the baseline for `candidate`, `model_blessing` to its blessing.

        Resolver(strategy_class=LatestOtherBlessedModelStrategy, candidate=trainer.outputs["model"],
                 model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing))

    The baseline is the model whose blessing was issued last, from the cache or not: when an older
    config is run again and blessed again, its model is what is served. Skipped are the candidate,
    models that are the same, and models whose folder is gone. Both lists are empty when there
    is no baseline, as in a first run.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `candidate` as it came, and at most one `model` with its `model_blessing`."""
        candidates = input_dict.get(CANDIDATE_KEY, [])
        for model, blessing in _blessed_models(store, input_dict):
            if model.id in {c.id for c in candidates} or any(
                same_model(_folder(model), _folder(c)) for c in candidates
            ):
                continue
            return {CANDIDATE_KEY: candidates, MODEL_KEY: [model], MODEL_BLESSING_KEY: [blessing]}
        return {CANDIDATE_KEY: candidates, MODEL_KEY: [], MODEL_BLESSING_KEY: []}


def _blessed_models(
    store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
) -> Iterator[tuple[types.Artifact, types.Artifact]]:
    """Yields the blessed models that still exist with their blessing, the last blessed first."""
    models = {model.id: model for model in input_dict.get(MODEL_KEY, [])}
    blessings = [
        b for b in input_dict.get(MODEL_BLESSING_KEY, []) if b.get_int_custom_property(_BLESSED) == 1
    ]
    issued = _last_issued(store, [b.id for b in blessings])
    for blessing in sorted(blessings, key=lambda b: (issued.get(b.id, 0), b.id), reverse=True):
        model = models.get(blessing.get_int_custom_property(_MODEL_ID))
        if model is not None and (_folder(model) / SAVED_MODEL).is_file():
            yield model, blessing


def _last_issued(store: MetadataStore, artifact_ids: list[int]) -> dict[int, int]:
    """Returns artifact id -> id of the last execution that gave it out, cached executions included."""
    last: dict[int, int] = {}
    for event in store.get_events_by_artifact_ids(artifact_ids) if artifact_ids else []:
        if event.type == mlmd.Event.OUTPUT:  # a resolver's own use is INTERNAL_OUTPUT
            last[event.artifact_id] = max(last.get(event.artifact_id, 0), event.execution_id)
    return last


def _folder(model: types.Artifact) -> Path:
    return Path(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)))
