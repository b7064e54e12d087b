"""One version of a model in memory, with its own graph and session, and TensorFlow's batcher.

It uses a session, as TF Serving does, instead of `tf.saved_model.load`: closing it frees variables, tables and the
batcher with its threads, and two versions never share a batching queue. Loading is also a single graph import
instead of seconds of Python, which would delay the requests of the previous version.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph

from components.precision import load_in
from components.serving.errors import InvalidRequest, Overloaded, without_paths
from components.serving.models.cores import usable_cores
from components.serving.models.request_checks import Spec, Tensors, check_declared, check_values, declared_by
from components.serving.settings import ServeSettings
from models import features

# UnicodeDecodeError: TensorFlow's message quotes a client's value that is not UTF-8.
_REFUSED_BY_THE_GRAPH = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, UnicodeDecodeError)

_Call = Callable[..., list[np.ndarray]]


class Signature:
    """Inputs and outputs of one signature, and how to call it."""

    def __init__(self, name: str, definition: Any, session: Any, batched: ServeSettings | None) -> None:
        self.name = name
        self.definition = definition
        self.inputs = {key: _spec(key, info) for key, info in sorted(definition.inputs.items())}
        self.outputs = {key: _spec(key, info) for key, info in sorted(definition.outputs.items())}
        feeds = [session.graph.get_tensor_by_name(definition.inputs[key].name) for key in self.inputs]
        fetches = [session.graph.get_tensor_by_name(definition.outputs[key].name) for key in self.outputs]
        self.alone: _Call = session.make_callable(fetches, feeds)
        self.batched: _Call | None = None
        if batched is not None:
            bucket = tf.compat.v1.placeholder(tf.int32, [])
            self.batched = session.make_callable(_batched(fetches, bucket, batched), [bucket, *feeds])


def _spec(key: str, info: Any) -> Spec:
    return Spec(key, tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list())


class ServedModel:
    """A loaded version.

    Raises:
        Exception: any error that TensorFlow raises for a damaged or incomplete SavedModel.
    """

    def __init__(self, path: Path, name: str, version: int, settings: ServeSettings) -> None:
        self.path, self.name, self.version, self.limits = path, name, version, settings
        self.graph = tf.Graph()
        # The first session sets this for the whole process, in which all sessions have the same settings.
        threads = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=settings.threads_per_batch)
        self._session = tf.compat.v1.Session(graph=self.graph, config=threads)
        try:
            with self.graph.as_default():
                load = functools.partial(
                    tf.compat.v1.saved_model.load, self._session, [tf.saved_model.SERVING]
                )
                meta_graph = load_in(settings.precision, path, load)
                self.signatures = {
                    key: Signature(
                        key,
                        definition,
                        self._session,
                        settings if key == features.SERVING_SIGNATURE else None,
                    )
                    for key, definition in meta_graph.signature_def.items()
                    if definition.method_name == tf.saved_model.PREDICT_METHOD_NAME
                }
            self.graph.finalize()
        except BaseException:
            self._session.close()
            raise

    def close(self) -> None:
        """Frees everything; no call may be running."""
        self._session.close()

    def signature(self, name: str) -> Signature:
        """Raises InvalidRequest for a name that the model does not have."""
        signature = self.signatures.get(name or features.SERVING_SIGNATURE)
        if signature is None:
            raise InvalidRequest(f'Serving signature name: "{name[:60]}" not found in signature def')
        return signature

    @property
    def _columns(self) -> list[str]:
        text = self.signatures.get(features.SERVING_SIGNATURE)
        return [] if text is None else list(text.inputs)

    def run(self, signature: Signature, tensors: Tensors, limited: bool = True) -> Tensors:
        """Answers one request.

        Args:
            tensors: every input of the signature by name, with equal first dimensions,
                such as {"text": object array [n] of bytes}.
            limited: whether to apply the limits and value checks of a client's request; false for the
                warm-up.

        Returns:
            Every output by name, [n, ...].

        Raises:
            InvalidRequest: names, types, shapes or limits do not fit, or the graph rejects the values.
            Overloaded: the batcher's queue is full.
        """
        declared = {key: declared_by(values) for key, values in tensors.items()}
        rows = check_declared(signature, declared, self.limits if limited else None)
        if limited:
            check_values(signature, tensors, self._columns, self.limits)
        feeds = [tensors[key] for key in signature.inputs]
        try:
            if signature.batched is None:
                values = self._alone(signature, feeds, rows)
            else:
                values = self._batched(signature, signature.batched, feeds)
        except tf.errors.UnavailableError as error:
            raise Overloaded("the batching queue is full; try again") from error
        except _REFUSED_BY_THE_GRAPH as error:
            raise InvalidRequest(_first_line(error)) from error
        return dict(zip(signature.outputs, values, strict=True))

    def _batched(self, signature: Signature, call: _Call, feeds: list[np.ndarray]) -> list[np.ndarray]:
        lengths = np.sum([[len(text) for text in texts] for texts in feeds], axis=0)
        # The batcher splits large requests into batches in the order of their rows.
        order = np.argsort(lengths)
        bucket = np.searchsorted(self.limits.length_buckets, lengths[order[-1]])
        try:
            values = call(bucket, *(texts[order] for texts in feeds))
        except _REFUSED_BY_THE_GRAPH:
            # The graph may have rejected another request in the same batch.
            return self._alone(signature, feeds, len(lengths))
        back = np.argsort(order)
        return [column[back] for column in values]

    def _alone(self, signature: Signature, feeds: list[np.ndarray], rows: int) -> list[np.ndarray]:
        """Runs in steps of the batch size, so that no request takes more memory than a batch."""
        step = self.limits.max_batch_rows
        parts = [
            signature.alone(*(values[start : start + step] for values in feeds))
            for start in range(0, rows, step)
        ]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _batched(fetches: list[tf.Tensor], bucket: tf.Tensor, settings: ServeSettings) -> list[tf.Tensor]:
    """The same outputs, computed through TensorFlow's batcher.

    An exported signature is a single call of a function of its placeholders; the batcher calls that
    function with the rows of many requests at once. All batch sizes are allowed, so no row is computed
    only to fill a batch; the graph pads to the longest row of the batch. Each length bucket has its own
    queue, so that a short text is not padded to the length of a long one.

    Args:
        bucket: int32 [], number of the queue that the rows wait in.
    """
    (call,) = {tensor.op for tensor in fetches}
    feeds = [tensor for tensor in call.inputs if tensor.op.type == "Placeholder"]
    if list(call.inputs)[: len(feeds)] != feeds:
        raise ValueError(f"{call.name}: not a function of its placeholders; was it exported by export_model?")

    def queue(number: int) -> list[tf.Tensor]:
        return tf.raw_ops.BatchFunction(
            in_tensors=feeds,
            captured_tensors=list(call.inputs)[len(feeds) :],
            f=call.get_attr("f"),
            Tout=[output.dtype for output in call.outputs],
            num_batch_threads=settings.batch_threads or usable_cores(),
            # Limits one request; a batch has at most the last of the allowed sizes.
            max_batch_size=max(settings.max_request_rows, settings.max_batch_rows),
            allowed_batch_sizes=list(range(1, settings.max_batch_rows + 1)),
            enable_large_batch_splitting=True,
            # A batch closes as soon as a thread is free, so a single request does not wait.
            batch_timeout_micros=0,
            max_enqueued_batches=settings.max_waiting + settings.max_request_rows,
            # One batcher, and so one set of threads, for all queues.
            shared_name=f"{call.name}/batcher",
            batching_queue=f"bucket-{number}",
        )

    queues = [functools.partial(queue, number) for number in range(len(settings.length_buckets) + 1)]
    # In one graph, so that all queues share one optimized copy of the function.
    results = tf.switch_case(bucket, queues)
    return [results[tensor.value_index] for tensor in fetches]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "message", "")).splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("Graph execution")), "rejected by the graph")
    return without_paths(first[:300])
