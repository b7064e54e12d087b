"""One version of a model in memory: a graph and a session of its own, and TensorFlow's own batcher.

A session, as TF Serving has it, and not `tf.saved_model.load`: closing it frees variables, tables and the
batcher with its threads, and two versions never share a batching queue. Loading is also one graph
import instead of seconds of Python that would hold up the requests of the version before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the ops of the transform graph

from components import features
from components.serving.cores import usable_cores
from components.serving.errors import InvalidRequest, Overloaded
from components.serving.settings import ServeSettings

# UnicodeDecodeError: TensorFlow's message quotes a value of the client, and that is no text.
_REFUSED_BY_THE_GRAPH = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, UnicodeDecodeError)

Tensors = dict[str, np.ndarray]
_Call = Callable[..., list[np.ndarray]]


class Signature:
    """What one signature takes and gives, and how to call it."""

    def __init__(self, name: str, definition: Any, session: Any, batched: ServeSettings | None) -> None:
        self.name = name
        self.definition = definition
        self.inputs = {key: _Spec(key, info) for key, info in sorted(definition.inputs.items())}
        self.outputs = {key: _Spec(key, info) for key, info in sorted(definition.outputs.items())}
        feeds = [session.graph.get_tensor_by_name(definition.inputs[key].name) for key in self.inputs]
        fetches = [session.graph.get_tensor_by_name(definition.outputs[key].name) for key in self.outputs]
        self.alone: _Call = session.make_callable(fetches, feeds)
        self.batched: _Call | None = None
        if batched is not None:
            bucket = tf.compat.v1.placeholder(tf.int32, [])
            self.batched = session.make_callable(_batched(fetches, bucket, batched), [bucket, *feeds])


class _Spec:
    """Type and shape of one input or output; None is any size."""

    def __init__(self, key: str, info: Any) -> None:
        self.key = key
        self.dtype = tf.as_dtype(info.dtype)
        self.shape = tf.TensorShape(info.tensor_shape).as_list()

    def check(self, values: np.ndarray) -> None:
        """Raises InvalidRequest when `values` cannot be fed."""
        if values.dtype != self.dtype.as_numpy_dtype:
            raise InvalidRequest(f"input {self.key!r} must be {self.dtype.name}, got {values.dtype}")
        fits = len(values.shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(self.shape, values.shape, strict=True)
        )
        if not fits:
            shown = [-1 if size is None else size for size in self.shape]
            raise InvalidRequest(f"input {self.key!r} must have shape {shown}, got {list(values.shape)}")


class ServedModel:
    """A loaded version.

    Raises:
      Exception: whatever TensorFlow raises for a SavedModel that is damaged or incomplete.
    """

    def __init__(self, path: Path, name: str, version: int, settings: ServeSettings) -> None:
        self.path, self.name, self.version, self._settings = path, name, version, settings
        self.graph = tf.Graph()
        # The first session decides it for the process, and all of it have the same settings.
        threads = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=settings.threads_per_batch)
        self._session = tf.compat.v1.Session(graph=self.graph, config=threads)
        try:
            with self.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], str(path))
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
        found = self.signatures.get(name or features.SERVING_SIGNATURE)
        if found is None:
            raise InvalidRequest(f'Serving signature name: "{name}" not found in signature def')
        return found

    def run(self, signature: Signature, tensors: Tensors, limited: bool = True) -> Tensors:
        """Answers one request.

        Args:
          tensors: every input of the signature by its name, equal first dimensions,
            such as {"text": object array [n] of bytes}.
          limited: whether the limits of one request hold; they are the clients', not the warm-up's.

        Returns:
          Every output by its name, [n, ...].

        Raises:
          InvalidRequest: names, types, shapes or limits do not fit, or the graph refuses the values.
          Overloaded: the batcher's queue is full.
        """
        rows = _check(signature, tensors)
        if limited:
            self._check_limits(tensors, rows)
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
        # The batcher cuts large requests into batches in the order of their rows.
        order = np.argsort(lengths)
        bucket = np.searchsorted(self._settings.length_buckets, lengths[order[-1]])
        try:
            values = call(bucket, *(texts[order] for texts in feeds))
        except _REFUSED_BY_THE_GRAPH:
            # It may be a neighbour of the batch that the graph refused.
            return self._alone(signature, feeds, len(lengths))
        back = np.argsort(order)
        return [column[back] for column in values]

    def _alone(self, signature: Signature, feeds: list[np.ndarray], rows: int) -> list[np.ndarray]:
        """In steps of the batch size, so that no request takes more memory than a batch."""
        step = self._settings.max_batch_rows
        parts = [
            signature.alone(*(values[start : start + step] for values in feeds))
            for start in range(0, rows, step)
        ]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _check_limits(self, tensors: Mapping[str, np.ndarray], rows: int) -> None:
        settings = self._settings
        if rows > settings.max_request_rows:
            raise InvalidRequest(f"a request has 1 to {settings.max_request_rows} rows, got {rows}")
        for key, values in tensors.items():
            longest = max(map(len, values.flat), default=0) if values.dtype == object else 0
            if longest > settings.max_text_bytes:
                raise InvalidRequest(
                    f"input {key!r} has a text of {longest} bytes, at most {settings.max_text_bytes} are allowed"
                )


def _check(signature: Signature, tensors: Mapping[str, np.ndarray]) -> int:
    """Number of rows; raises InvalidRequest where the tensors are not the signature's."""
    if set(tensors) != set(signature.inputs):
        raise InvalidRequest(
            f"signature {signature.name!r} takes the inputs {sorted(signature.inputs)}, got {sorted(tensors)}"
        )
    for key, spec in signature.inputs.items():
        spec.check(tensors[key])
    rows = {len(values) for values in tensors.values()}
    if len(rows) != 1:
        raise InvalidRequest(f"inputs must have equally many rows, got {sorted(rows)}")
    if rows == {0}:
        raise InvalidRequest("a request has at least 1 row, got 0")
    if signature.name == features.TOKENS_SIGNATURE:
        _check_tokens(tensors)
    return rows.pop()


def _check_tokens(tensors: Mapping[str, np.ndarray]) -> None:
    """What the graph would answer, but not as the client meant it: it broadcasts, and computes with int32."""
    shapes = {key: list(values.shape) for key, values in sorted(tensors.items())}
    if len({tuple(shape) for shape in shapes.values()}) != 1:
        raise InvalidRequest(f"inputs must have equal shapes, got {shapes}")
    for key, values in tensors.items():
        largest = 1 if key == features.ATTENTION_MASK else np.iinfo(np.int32).max
        wrong = values[(values < 0) | (values > largest)]
        if wrong.size:
            raise InvalidRequest(f"input {key!r} has the value {wrong[0]}; it takes 0 to {largest}")


def _batched(fetches: list[tf.Tensor], bucket: tf.Tensor, settings: ServeSettings) -> list[tf.Tensor]:
    """The same outputs through TensorFlow's batcher.

    An exported signature is one call of a function with the placeholders first: the batcher calls
    that function with the rows of many requests at once. All sizes are allowed, so no row is
    computed only to fill a batch; the graph pads to the longest row of the batch. Each length bucket has
    a queue of its own, so that a short text is not padded to a long one's length.

    Args:
      bucket: int32 [], the queue that the rows wait in.
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
            # Of one request; a batch has at most the last of the allowed sizes.
            max_batch_size=max(settings.max_request_rows, settings.max_batch_rows),
            allowed_batch_sizes=list(range(1, settings.max_batch_rows + 1)),
            enable_large_batch_splitting=True,
            # A batch closes as soon as a thread is free: alone, a request waits for nobody.
            batch_timeout_micros=0,
            max_enqueued_batches=settings.max_waiting + settings.max_request_rows,
            # One batcher, that is one set of threads, for all queues.
            shared_name=f"{call.name}/batcher",
            batching_queue=f"bucket-{number}",
        )

    queues = [functools.partial(queue, number) for number in range(len(settings.length_buckets) + 1)]
    # In one graph, so that all share one optimized copy of the function.
    results = tf.switch_case(bucket, queues)
    return [results[tensor.value_index] for tensor in fetches]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "message", "")).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Graph execution")), "refused by the graph")[
        :300
    ]
