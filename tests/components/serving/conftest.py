"""Two tiny exported models that differ, and the real server as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.pusher import versions
from tests.tiny_model import TOPICS, rows, write_checkpoint

ROOT = Path(__file__).resolve().parents[3]
LABELS = sorted(TOPICS)
NAME = "tiny"
TEXTS = ["how far is rome?", "the dog", "", "naïve \u4e2d\u6587 \x00 cat", "say one " * 40]


@dataclass(frozen=True)
class Exported:
    """A SavedModel and what TensorFlow itself answers to TEXTS with it."""

    path: Path
    probabilities: list[list[float]]
    labels: list[str]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Exported]:
    """The same graph with other weights, twice."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    from components.settings import DataSettings
    from components.transform.preprocessing import preprocessing_fn

    folder = tmp_path_factory.mktemp("exported")
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    checkpoint = write_checkpoint(folder / "checkpoint")
    data = {"path": "data", "schema": "schema.pbtxt", "labels": "labels.txt"}
    config = {
        "data": data,
        "transform": {"max_length": 16},
        "checkpoint_dir": str(checkpoint),
        "labels_path": str(labels),
    }
    raw_spec = {key: tf.io.FixedLenFeature([1], tf.string) for key in ("text", "label")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    raw = [{"text": [text], "label": [label]} for text, label in rows(20)]
    with tft_beam.Context(temp_dir=str(folder / "tmp"), force_tf_compat_v1=False):
        analyze = tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        (raw, metadata) | analyze | tft_beam.WriteTransformFn(str(folder / "graph"))
    metadata_io.write_metadata(metadata, str(folder / "graph" / "metadata"))
    transform = tft.TFTransformOutput(str(folder / "graph"))
    settings = DataSettings.model_validate(data)
    one, other = (_export(checkpoint, transform, settings, labels, folder / f"model{n}", n) for n in (0, 1))
    assert one.probabilities != other.probabilities
    return one, other


def _export(checkpoint: Path, transform: Any, data: Any, labels: Path, out: Path, seed: int) -> Exported:
    import tensorflow as tf

    from components.checkpoint import load_classifier
    from components.settings import CheckpointSettings, ModelSettings
    from components.trainer.export import ServingModel, export_model

    settings = ModelSettings(checkpoint=CheckpointSettings(path=checkpoint))
    model = load_classifier(checkpoint, LABELS, settings, seed)
    export_model(ServingModel(model, transform, data, labels), labels, out)
    answers = tf.saved_model.load(str(out)).signatures["serving_default"](text=tf.constant(TEXTS))
    return Exported(
        out, answers["probabilities"].numpy().tolist(), [x.decode() for x in answers["label"].numpy()]
    )


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    rest: int
    grpc: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rest}"

    def predict(self, body: Any, path: str = f"/v1/models/{NAME}:predict") -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=60)

    def version(self) -> int | None:
        """What answers now; None while nothing does."""
        status = httpx.get(f"{self.url}/v1/models/{NAME}", timeout=60).json()
        states = status.get("model_version_status", [])
        return next((int(s["version"]) for s in states if s["state"] == "AVAILABLE"), None)

    def wait_for(self, version: int, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while self.version() != version:
            assert time.monotonic() < deadline, (
                f"version {version} does not come: {self.log.read_text()[-2000:]}"
            )
            time.sleep(0.05)

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


@contextlib.contextmanager
def running(serving_dir: Path, version: int | None, **settings: Any) -> Iterator[Server]:
    """The server on free ports, ready with `version`; killed at the end if it still runs."""
    logs = serving_dir.with_name(f"{serving_dir.name}-log-{time.monotonic_ns()}")
    given = json.dumps({"port": 0, "grpc_port": 0, "poll_seconds": 0.1, **settings})
    command = [sys.executable, "-m", "components.serving", str(serving_dir), NAME, given]
    with (
        logs.open("w") as errors,
        logs.with_suffix(".out").open("w") as out,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=errors, text=True, env=os.environ
        ) as process,
    ):
        try:
            ports = _ports(process, logs.with_suffix(".out"), logs)
            server = Server(process, ports["rest"], ports["grpc"], logs)
            if version is not None:
                server.wait_for(version)
            yield server
        finally:
            process.kill()


def _ports(process: subprocess.Popen[str], out: Path, log: Path) -> dict[str, int]:
    deadline = time.monotonic() + 90
    while "\n" not in out.read_text():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.1)
    return json.loads(out.read_text().splitlines()[0])


def push(model: Path, serving_dir: Path) -> int:
    return versions.publish(model, serving_dir, NAME, 3, {})


@pytest.fixture(scope="session")
def server(exported: tuple[Exported, Exported], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the first model as version 1; it is asked to stop at the end, and must."""
    serving_dir = tmp_path_factory.mktemp("serving") / "models"
    push(exported[0].path, serving_dir)
    limits = {
        "max_request_bytes": 1 << 20,
        "max_text_bytes": 4096,
        "max_request_rows": 100,
        "read_seconds": 2.0,
    }
    with running(serving_dir, 1, **limits) as found:
        yield found
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(60) == 0
