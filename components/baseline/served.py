"""The baseline among what is served: for orchestrators without a metadata query. Plain Python."""

from __future__ import annotations

from pathlib import Path

from components.pusher import versions

EXTRAS = versions.INFO_FILE.parts[0]  # what a push adds to a model: its record, warm-up requests
_FINGERPRINT = "fingerprint.pb"  # has a random id, differs between equal models


def served_baseline(serving_dir: str, name: str, candidate: Path) -> int:
    """Returns the number of the newest served version that is not the candidate, 0 when there is none.

    Served is 1, 2, 3 and the candidate equals 3 byte for byte -> 2.

    Args:
        serving_dir: folder that the model server watches.
        name: name of the served model.
        candidate: SavedModel folder of the model to be judged.
    """
    own = _digests(candidate)
    for version in reversed(versions.versions(serving_dir, name)):
        if (version.path / "saved_model.pb").is_file() and _digests(version.path) != own:
            return version.number
    return 0


def same_model(one: Path, other: Path) -> bool:
    """Whether two SavedModel folders hold the same model, apart from what a push adds."""
    return (one / "saved_model.pb").is_file() and _digests(one) == _digests(other)


def _digests(model_dir: Path) -> dict[str, str]:
    found = versions.content_digests(model_dir)
    return {p: d for p, d in found.items() if p != _FINGERPRINT and not p.startswith(EXTRAS + "/")}
