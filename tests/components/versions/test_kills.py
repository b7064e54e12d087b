"""kill -9 of the pipeline in its push step, at random moments, leaves only complete and loadable versions."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from components.model_files import damage, file_digests, model_digest, write_sums
from components.project import PROJECT_DIR
from components.versions import store
from components.versions.record import PushRecord

KILLS = 20

# Repeats the push step of a run with the given models, one line per push, until it is killed.
_PUSH_FOREVER = """
import itertools, pathlib, sys
from pipeline.process import light_imports
light_imports.install()
from tfx.types import standard_artifacts
from components.pusher import executor
serving, scratch, *models = sys.argv[1:]
properties = {"serving_dir": serving, "name": "trec", "keep": 3, "info": "{}"}
for number, folder in enumerate(itertools.cycle(models)):
    model, pushed = standard_artifacts.Model(), standard_artifacts.PushedModel()
    model.uri, pushed.uri = folder, str(pathlib.Path(scratch, str(number)))
    executor.Executor().Do({"model": [model]}, {"pushed_model": [pushed]}, properties)
    print(pushed.get_string_custom_property("pushed_version"), flush=True)
"""


def save_model(artifact: Path, factor: float) -> Path:
    """A model artifact whose SavedModel multiplies by `factor`, with 4 MB of weights."""
    module = tf.Module()
    module.factors = tf.Variable(tf.fill([1_000_000], factor))
    module.f = tf.function(lambda x: x * module.factors[0], input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(artifact / "Format-Serving"))
    write_sums(artifact / "Format-Serving")
    return artifact


def kill_while_pushing(serving: Path, scratch: Path, models: list[Path], moment: float) -> None:
    """Kills a process `moment` (0 to 1) of the time that a push takes after it has pushed twice."""
    command = [sys.executable, "-c", _PUSH_FOREVER, *map(str, (serving, scratch, *models))]
    with subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        start = time.monotonic()
        assert process.stdout.readline()
        time.sleep(moment * (time.monotonic() - start))
        process.send_signal(signal.SIGKILL)


def aside(serving: Path) -> list[str]:
    return [p.name for p in (serving / "trec").iterdir() if p.name.startswith((".staging-", ".removed-"))]


@pytest.mark.timeout(600)
def test_kill_at_random_moments_of_a_push_leaves_whole_and_loadable_versions_only(tmp_path: Path) -> None:
    serving, scratch = tmp_path / "serving", tmp_path / "scratch"
    models = {factor: save_model(tmp_path / str(factor), factor) for factor in (2.0, 3.0, 5.0)}
    digests = {model_digest(file_digests(path / "Format-Serving")): factor for factor, path in models.items()}
    moments = random.Random(7)
    newest, killed_within = 0, 0
    for _ in range(KILLS):
        kill_while_pushing(serving, scratch, list(models.values()), moments.random())
        served = store.versions(serving, "trec")
        for version in served:
            assert damage(version.path, version.record.files, thorough=True) == ""
            assert model_digest(file_digests(version.path)) in digests
            assert version.record.version == version.number
        assert served[-1].number > newest
        newest = served[-1].number
        killed_within += bool(aside(serving))
    assert killed_within > 0
    for version in served:
        loaded = tf.saved_model.load(str(version.path))
        assert float(loaded.f(tf.constant(7.0))) == 7 * digests[version.record.model_sha256]
    assert store.publish(models[2.0] / "Format-Serving", serving, "trec", 3, PushRecord()) >= newest
    assert aside(serving) == []
