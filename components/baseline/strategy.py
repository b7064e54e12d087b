"""The latest blessed model that is not the candidate itself.

TFX's LatestBlessedModelStrategy names the candidate as its own baseline as soon as it is blessed: the
Evaluator then runs once more on an unchanged pipeline, and compares a model with itself.
"""

from __future__ import annotations

import filecmp
from pathlib import Path

from ml_metadata import MetadataStore
from tfx import types
from tfx.dsl.components.common import resolver

CANDIDATE_KEY = "candidate"
MODEL_KEY = "model"
MODEL_BLESSING_KEY = "model_blessing"

_MODEL_ID = "current_model_id"  # custom properties that the Evaluator sets on its blessing
_BLESSED = "blessed"
_SAVED_MODEL = "saved_model.pb"
_FINGERPRINT = "fingerprint.pb"  # has a random id, differs between equal models


class LatestOtherBlessedModelStrategy(resolver.ResolverStrategy):
    """Resolves `model` to the baseline for `candidate`, `model_blessing` to its blessing.

        Resolver(strategy_class=LatestOtherBlessedModelStrategy, candidate=trainer.outputs["model"],
                 model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing))

    The baseline is the model blessed last, by the time of the blessing: a model that was blessed
    again after a newer one is what is served. Skipped are the candidate, models equal to it byte for
    byte, and models whose folder is gone. Both lists are empty when there is no baseline, as
    in a first run.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Returns `candidate` as it came, and at most one `model` with its `model_blessing`."""
        del store
        candidates = input_dict.get(CANDIDATE_KEY, [])
        model, blessing = _baseline(
            candidates, input_dict.get(MODEL_KEY, []), input_dict.get(MODEL_BLESSING_KEY, [])
        )
        return {
            CANDIDATE_KEY: candidates,
            MODEL_KEY: [model] if model else [],
            MODEL_BLESSING_KEY: [blessing] if blessing else [],
        }


def _baseline(
    candidates: list[types.Artifact], models: list[types.Artifact], blessings: list[types.Artifact]
) -> tuple[types.Artifact | None, types.Artifact | None]:
    candidate_ids = {candidate.id for candidate in candidates}
    by_id = {model.id: model for model in models if model.id not in candidate_ids}
    for blessing in sorted(blessings, key=lambda b: b.id, reverse=True):
        model = by_id.get(blessing.get_int_custom_property(_MODEL_ID))
        if model is None or blessing.get_int_custom_property(_BLESSED) != 1 or not _model_files(model):
            continue
        if not any(_same_content(model, candidate) for candidate in candidates):
            return model, blessing
    return None, None


def _model_files(model: types.Artifact) -> dict[str, Path]:
    """Returns the files of the artifact by relative name; empty without a saved_model.pb."""
    root = Path(model.uri)
    files = {
        p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file() and p.name != _FINGERPRINT
    }
    return files if any(Path(name).name == _SAVED_MODEL for name in files) else {}


def _same_content(one: types.Artifact, other: types.Artifact) -> bool:
    # Reads until the first difference, which in trained weights is the first block.
    mine, theirs = _model_files(one), _model_files(other)
    return mine.keys() == theirs.keys() and all(
        filecmp.cmp(path, theirs[name], shallow=False) for name, path in mine.items()
    )
