"""Makes the next run repeat a canary trial that failed.

Latency and memory depend on the machine as much as on the model, so a rejection must not stay in the cache.
"""

from __future__ import annotations

from ml_metadata import MetadataStore, errors
from ml_metadata.proto import metadata_store_pb2 as mlmd


def forget_refusals(store: MetadataStore) -> int:
    """Marks every InfraBlessing that is not blessed as DELETED, so that the cache skips it; returns how many."""
    try:
        blessings = store.get_artifacts_by_type("InfraBlessing")
    except errors.NotFoundError:  # no canary has ever run with this store
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
