"""Detects what a conversion could leave behind in its process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from typing import Any

import numpy as np
import tensorflow as tf


def process_state() -> dict[str, Any]:
    """Everything that the nodes after an Exporter rely on; equal before and after it."""
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "root logger": (root.level, list(root.handlers), root.disabled),
        "tensorflow's logger": logging.getLogger("tensorflow").level,
        "warning filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "streams": (sys.stdout, sys.stderr),
        "numpy's errors": np.geterr(),
        "eager": tf.executing_eagerly(),
        "functions run eagerly": tf.config.functions_run_eagerly(),
        "xla": tf.config.optimizer.get_jit(),
        "grappler": tf.config.optimizer.get_experimental_options(),
        "device placement": (tf.config.get_soft_device_placement(), tf.debugging.get_log_device_placement()),
        "threads": (
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
        ),
        "default graph's nodes": len(tf.compat.v1.get_default_graph().get_operations()),
        "eager arithmetic": float(tf.reduce_sum(tf.constant([1.0, 2.0]))),
    }
