"""Resolves the latest blessed model that is not the candidate itself.

TFX's LatestBlessedModelStrategy returns the candidate as its own baseline once it is blessed: in an unchanged
pipeline the Evaluator then runs again and compares the model with itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.utils import path_utils

from components import manifest
from components.baseline.adopted import adopt_served
from components.baseline.served import newest_other, of_another_task
from components.baseline.spec import CANDIDATE_KEY, MODEL_KEY
from components.model_files import SAVED_MODEL, same_model

MODEL_BLESSING_KEY = "model_blessing"

_MODEL_ID = "current_model_id"  # custom properties that the Evaluator sets on its blessing
_BLESSED = "blessed"

_log = logging.getLogger(__name__)


class LatestOtherBlessedModelStrategy(resolver.ResolverStrategy):
    """Resolves `model` to the baseline for `candidate`, `model_blessing` to its blessing.

        Resolver(strategy_class=LatestOtherBlessedModelStrategy, candidate=trainer.outputs["model"],
                 model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing),
                 config={"serving_dir": "serving", "name": "trec", "folder": "runs/trec/artifacts/served"})

    The baseline is the model whose blessing was issued last, cached or not: if an older config is run and
    blessed again, its model is the one that is served. The candidate, equal models and those of another task are
    skipped.
    If the files of that model are missing or damaged, or if the store has none, the baseline is the newest
    served version (without a blessing). If that cannot be compared with the candidate, there is no baseline and
    the Pusher refuses to replace it. If nothing is served, it is the last blessed model that is intact.
    Both lists are empty if there is no baseline, as in a first run.

    Args:
        serving_dir: folder that the model server watches; None: served versions are not considered.
        name: name of the served model.
        folder: for the copy of a served version.
    """

    def __init__(self, serving_dir: str | None = None, name: str = "", folder: str = "") -> None:
        self._serving_dir, self._name, self._folder_of_copies = serving_dir, name, folder

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `candidate` unchanged, and at most one `model` with its `model_blessing`, if it has one."""
        candidates = input_dict.get(CANDIDATE_KEY, [])
        others = [
            (model, blessing)
            for model, blessing in _blessed_models(store, input_dict)
            if model is None or not (_is_one_of(model, candidates) or _is_of_another_task(model, candidates))
        ]
        usable = [(model, blessing) for model, blessing in others if model is not None and _is_whole(model)]
        last_is_lost = bool(others) and others[0] not in usable
        if last_is_lost or not others:
            served = self._served(store, candidates)
            if served is not None:
                return {CANDIDATE_KEY: candidates, MODEL_KEY: served, MODEL_BLESSING_KEY: []}
        models, blessings = ([pair[i] for pair in usable[:1]] for i in (0, 1))
        return {CANDIDATE_KEY: candidates, MODEL_KEY: models, MODEL_BLESSING_KEY: blessings}

    def _served(self, store: MetadataStore, candidates: list[types.Artifact]) -> list[types.Artifact] | None:
        """The served version, empty if it cannot be compared with the candidate; None if no other model is served.

        An older model does not replace an incomparable one: a model worse than the served one might beat it.
        """
        if self._serving_dir is None or not candidates:
            return None
        candidate = _folder(candidates[0])
        version = newest_other(self._serving_dir, self._name, candidate)
        if version is None:
            return None
        adopted = adopt_served(store, version, Path(self._folder_of_copies), candidate)
        return [] if adopted is None else [adopted]


def _blessed_models(
    store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
) -> Iterator[tuple[types.Artifact | None, types.Artifact]]:
    """Yields the blessed models with their blessing, the last blessed first; None for a model that was lost."""
    models = {model.id: model for model in input_dict.get(MODEL_KEY, [])}
    blessings = [
        b for b in input_dict.get(MODEL_BLESSING_KEY, []) if b.get_int_custom_property(_BLESSED) == 1
    ]
    issued = _last_issued(store, [b.id for b in blessings])
    for blessing in sorted(blessings, key=lambda b: (issued.get(b.id, 0), b.id), reverse=True):
        yield models.get(blessing.get_int_custom_property(_MODEL_ID)), blessing


def _is_one_of(model: types.Artifact, candidates: list[types.Artifact]) -> bool:
    return any(model.id == c.id or same_model(_folder(model), _folder(c)) for c in candidates)


def _is_of_another_task(model: types.Artifact, candidates: list[types.Artifact]) -> bool:
    other = next((why for c in candidates if (why := of_another_task(_folder(model), _folder(c)))), "")
    if other:
        _log.warning("%s is no baseline: %s", _folder(model), other)
    return bool(other)


def _is_whole(model: types.Artifact) -> bool:
    """Whether the model's files exist and are unchanged since they were written."""
    return (_folder(model) / SAVED_MODEL).is_file() and not manifest.damage(Path(model.uri))


def _last_issued(store: MetadataStore, artifact_ids: list[int]) -> dict[int, int]:
    """Returns artifact id -> id of the last execution that output it, cached executions included."""
    last: dict[int, int] = {}
    for event in store.get_events_by_artifact_ids(artifact_ids) if artifact_ids else []:
        if event.type == mlmd.Event.OUTPUT:  # a resolver's own use is INTERNAL_OUTPUT
            last[event.artifact_id] = max(last.get(event.artifact_id, 0), event.execution_id)
    return last


def _folder(model: types.Artifact) -> Path:
    return Path(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)))
