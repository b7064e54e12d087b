"""A refused trial is tried again by the next run.

Latency and memory are the machine's as much as the model's, so a refusal must not stay in the cache.
"""

from __future__ import annotations

from ml_metadata import MetadataStore, errors
from ml_metadata.proto import metadata_store_pb2 as mlmd


def forget_refusals(store: MetadataStore) -> int:
    """Marks every InfraBlessing that says no DELETED, which the cache passes over; returns how many."""
    try:
        blessings = store.get_artifacts_by_type("InfraBlessing")
    except errors.NotFoundError:  # no canary ever ran with this store
        return 0
    refused = [
        blessing
        for blessing in blessings
        if blessing.state == mlmd.Artifact.LIVE and blessing.custom_properties["blessed"].int_value != 1
    ]
    for blessing in refused:
        blessing.state = mlmd.Artifact.DELETED
    if refused:
        store.put_artifacts(refused)
    return len(refused)
