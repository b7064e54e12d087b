"""One loaded version: requests share batches, and its recorded warm-up requests run before it answers."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from tensorflow_serving.apis import prediction_log_pb2

from components.serving.errors import InvalidRequest
from components.serving.models.saved_model import ServedModel
from components.serving.models.warm_up import WARM_UP_FILE, warm_up
from components.serving.settings import ServeSettings
from tests.support.model_server import Exported

CLIENTS = 8


def save_counting_model(path: Path) -> None:
    """A model that answers each text with the number of rows it was computed together with, and the longest's bytes."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def count(text: tf.Tensor) -> dict[str, tf.Tensor]:
        work = tf.linalg.inv(tf.random.stateless_uniform([400, 400], [1, 2]))  # some milliseconds
        rows = tf.shape(text)[0]
        sizes = tf.strings.length(text)
        return {
            "rows": tf.fill([rows], rows),
            "longest": tf.fill([rows], tf.reduce_max(sizes)),
            "bytes": sizes,
            "work": tf.fill([rows], tf.reduce_max(work)),
        }

    tf.saved_model.save(tf.Module(), str(path), {"serving_default": count})


def test_requests_that_wait_go_through_the_model_together_up_to_the_limit(tmp_path: Path) -> None:
    save_counting_model(tmp_path / "model")
    model = ServedModel(tmp_path / "model", "tiny", 1, ServeSettings(batch_threads=1, max_batch_rows=4))
    signature = model.signature("")
    text = np.array([b"a"], object)

    def batch_of_one_request(_: int) -> int:
        (rows,) = model.run(signature, {"text": text})["rows"]
        return int(rows)

    assert batch_of_one_request(0) == 1
    seen: set[int] = set()
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(CLIENTS) as clients:
        while 4 not in seen and time.monotonic() < deadline:
            seen |= set(clients.map(batch_of_one_request, range(CLIENTS)))
    model.close()
    assert max(seen) == 4


def test_short_texts_do_not_share_a_batch_with_long_ones(tmp_path: Path) -> None:
    save_counting_model(tmp_path / "model")
    settings = ServeSettings(batch_threads=1, length_buckets=(4, 16))
    model = ServedModel(tmp_path / "model", "tiny", 1, settings)
    signature = model.signature("")

    def rows_and_longest(size: int) -> tuple[int, int]:
        outputs = model.run(signature, {"text": np.array([b"a" * size], object)})
        return int(outputs["rows"][0]), int(outputs["longest"][0])

    sizes = [3, 40, 4, 12, 60] * 4
    seen: dict[int, set[int]] = {size: set() for size in sizes}
    shared = 1
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(len(sizes)) as clients:
        while shared == 1 and time.monotonic() < deadline:
            for size, (rows, longest) in zip(sizes, clients.map(rows_and_longest, sizes), strict=True):
                seen[size].add(longest)
                shared = max(shared, rows)
    model.close()
    assert shared > 1
    assert seen[3] | seen[4] <= {3, 4}
    assert seen[12] == {12}
    assert seen[40] | seen[60] <= {40, 60}


def test_large_request_is_cut_into_batches_of_like_length_and_answered_in_its_order(tmp_path: Path) -> None:
    save_counting_model(tmp_path / "model")
    model = ServedModel(tmp_path / "model", "tiny", 1, ServeSettings(max_batch_rows=4))
    sizes = [50, 1, 40, 2, 60, 3, 70, 4]
    outputs = model.run(model.signature(""), {"text": np.array([b"a" * size for size in sizes], object)})
    model.close()
    assert outputs["bytes"].tolist() == sizes
    assert outputs["longest"].tolist() == [70, 4, 70, 4, 70, 4, 70, 4]


def test_limits_of_requests_do_not_keep_a_version_from_its_warm_up(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    settings = ServeSettings(max_batch_rows=2, max_request_rows=1, max_text_bytes=5)
    shutil.copytree(exported[0].path, tmp_path / "model")
    record_warm_up(tmp_path / "model" / WARM_UP_FILE, "serving_default")  # one text of 16 bytes
    model = ServedModel(tmp_path / "model", "tiny", 1, settings)
    warm_up(model, settings)
    with pytest.raises(InvalidRequest, match="has a text of 6 bytes, at most 5 are allowed"):
        model.run(model.signature(""), {"text": np.array([b"a horse"[:6]], object)})
    model.close()


def test_length_buckets_that_do_not_grow_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"must be positive and increasing, such as \[32, 64, 128\]"):
        ServeSettings(length_buckets=(64, 32))


def test_without_buckets_and_with_pairs_of_texts_rows_are_answered_in_their_order(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("one", "other")])
    def join(one: tf.Tensor, other: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"joined": tf.strings.join([one, other])}

    tf.saved_model.save(tf.Module(), str(tmp_path / "model"), {"serving_default": join})
    texts = {
        "one": np.array([b"a" * 40, b"", b"cc"], object),
        "other": np.array([b"1", b"", b"3" * 90], object),
    }
    for buckets in ((), (4, 64)):
        settings = ServeSettings(length_buckets=buckets)
        model = ServedModel(tmp_path / "model", "tiny", 1, settings)
        warm_up(model, settings)
        answers = model.run(model.signature(""), texts)["joined"].tolist()
        assert answers == [b"a" * 40 + b"1", b"", b"cc" + b"3" * 90]
        model.close()


def record_warm_up(path: Path, signature: str) -> None:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["how far is rome?"]))
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())


def test_requests_recorded_in_the_model_are_run_before_it_answers(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    settings = ServeSettings()
    shutil.copytree(exported[0].path, tmp_path / "model")
    model = ServedModel(tmp_path / "model", "tiny", 1, settings)
    record_warm_up(tmp_path / "model" / WARM_UP_FILE, "serving_default")
    warm_up(model, settings)
    record_warm_up(tmp_path / "model" / WARM_UP_FILE, "no such")
    with pytest.raises(InvalidRequest, match='Serving signature name: "no such" not found'):
        warm_up(model, settings)
    model.close()
