"""The baseline among what is served: for orchestrators without a metadata query. Plain Python."""

from __future__ import annotations

from pathlib import Path

from components.model_files import SAVED_MODEL, same_model
from components.pusher import versions


def served_baseline(serving_dir: str, name: str, candidate: Path) -> int:
    """Returns the number of the newest served version that is not the candidate, 0 when there is none.

    Served is 1, 2, 3 and the candidate equals 3 byte for byte -> 2.

    Args:
        serving_dir: folder that the model server watches.
        name: name of the served model.
        candidate: SavedModel folder of the model to be judged.
    """
    for version in reversed(versions.versions(serving_dir, name)):
        if (version.path / SAVED_MODEL).is_file() and not same_model(version.path, candidate):
            return version.number
    return 0
