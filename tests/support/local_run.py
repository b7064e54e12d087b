"""Runs a few real nodes through LocalDagRunner and reads the metadata store."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.example_gen.tfrecord import masked_crc32c


def run_nodes(root: Path, nodes: list[Any]) -> dict[str, str]:
    """Runs `nodes` as the pipeline of `root`, cache on; returns node id -> "COMPLETE" or "CACHED"."""
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.beam.arguments import LOCAL_BEAM_ARGS

    pipeline = Pipeline(
        pipeline_name="p",
        pipeline_root=str(root / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        components=nodes,
        enable_cache=True,
        beam_pipeline_args=list(LOCAL_BEAM_ARGS),
    )
    LocalDagRunner().run(pipeline)
    return states_of_last_run(root)


def open_store(root: Path) -> Any:
    from ml_metadata import MetadataStore
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    return MetadataStore(sqlite_metadata_connection_config(str(root / "metadata.sqlite")))


def states_of_last_run(root: Path) -> dict[str, str]:
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    store = open_store(root)
    run = max(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id)
    states = {}
    for execution in store.get_executions_by_context(run.id):
        node = next(c for c in store.get_contexts_by_execution(execution.id) if c.type == "node")
        states[node.name.rpartition(".")[2]] = mlmd.Execution.State.Name(execution.last_known_state)
    return states


def last_artifact(root: Path, type_name: str, key: str = "") -> Any:
    """The artifact of `type_name` that the last execution output, under output `key` if given."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    store = open_store(root)
    artifacts = {a.id: a for a in store.get_artifacts_by_type(type_name)}
    events = [
        e
        for e in store.get_events_by_artifact_ids(list(artifacts))
        if e.type == mlmd.Event.OUTPUT and (not key or e.path.steps[0].key == key)
    ]
    return artifacts[max(events, key=lambda e: e.execution_id).artifact_id]


def example(**columns: bytes | int | float | list[bytes]) -> bytes:
    """`example(text=b"How far?", label=3)` -> a serialized tf.Example."""
    from tensorflow.core.example import example_pb2

    message = example_pb2.Example()
    for name, value in columns.items():
        feature = message.features.feature[name]
        values = value if isinstance(value, list) else [value]
        kind = {bytes: feature.bytes_list, int: feature.int64_list, float: feature.float_list}[
            type(values[0])
        ]
        kind.value.extend(values)
    return message.SerializeToString(deterministic=True)


def tfrecord(records: Iterable[bytes]) -> bytes:
    """Returns the bytes of an uncompressed TFRecord file."""
    return b"".join(_frame(record) for record in records)


def tfrecord_gz(records: Iterable[bytes]) -> bytes:
    return gzip.compress(tfrecord(records), mtime=0)


def _frame(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    crcs = (struct.pack("<I", masked_crc32c(data)) for data in (length, record))
    return length + next(crcs) + record + next(crcs)
