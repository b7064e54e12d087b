"""Makes tf.distribute strategies by name and splits batches over replicas."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from components.trainer.dataset import Batch
from models.errors import PipelineError


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy `none`, `mirrored`, `multi_worker` or `tpu`.

    `mirrored` uses all GPUs of this machine, or all logical CPU devices if it has no GPU.

    Raises:
        PipelineError: the hardware or the cluster description (TF_CONFIG) is missing.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi_worker":
        if not json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster"):
            raise PipelineError(
                "train.strategy multi_worker: TF_CONFIG names no cluster; set it on every worker"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    return _tpu_strategy()


def _tpu_strategy() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise PipelineError(
            f"train.strategy tpu: no TPU is available here ({str(error).splitlines()[0][:200]}); "
            "run on a TPU VM or set train.strategy: none"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this is the one process that writes files."""
    resolver = strategy.cluster_resolver
    task_id = getattr(resolver, "task_id", None)
    task_type = getattr(resolver, "task_type", None)
    return task_type in (None, "", "chief") or (
        task_type == "worker" and not task_id and not _has_chief(resolver)
    )


def _has_chief(resolver: Any) -> bool:
    return "chief" in resolver.cluster_spec().jobs


def split_over_replicas(strategy: tf.distribute.Strategy, batch: Batch) -> Mapping[str, Any]:
    """Gives rows i * n to (i + 1) * n of the batch to replica i; returns the batch itself for one replica.

    Every worker reads all batches and computes its share, so that the result does not depend on the number
    of replicas. The number of rows is a multiple of the number of replicas (`Batching.fixed_rows`).
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batch

    def share(context: tf.distribute.ValueContext) -> Batch:
        def rows(value: tf.Tensor) -> tf.Tensor:
            size = value.shape[0] // replicas
            start = context.replica_id_in_sync_group * size
            return value[start : start + size]

        return {name: rows(value) for name, value in batch.items()}

    return strategy.experimental_distribute_values_from_function(share)
