"""Which modules a run imports. Subprocesses, because imports are a property of the whole process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import PACKAGES, PROJECT_DIR
from pipeline.importing.tfrecord import ShardWriter, encode_example

DEFINE = """
import json, sys
from pathlib import Path
from pipeline.process import light_imports, quiet
quiet.prepare_environment()
light_imports.install()
from pipeline.local.dag_runner import ObservedDagRunner
from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
"""

HEAVY = """
heavy = ["tensorflow.python", "apache_beam.pipeline", "tensorflow_model_analysis.metrics", "keras_tuner",
         "kubernetes.client", "google.cloud.bigquery", "google.cloud.aiplatform", "sklearn", "pandas", "docker"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""

RUN = (
    DEFINE
    + """
from components.example_gen.component import TFRecordExampleGen
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from pipeline.beam.arguments import LOCAL_BEAM_ARGS
folder, run_id = Path(sys.argv[1]), sys.argv[2]
examples = TFRecordExampleGen(input_base=str(folder / "data"), splits={"train": "train-*"})
statistics = StatisticsGen(examples=examples.outputs["examples"])
pipeline = Pipeline("light", str(folder / "artifacts"), components=[examples, statistics], enable_cache=True,
    metadata_connection_config=sqlite_metadata_connection_config(str(folder / "m.sqlite")),
    beam_pipeline_args=list(LOCAL_BEAM_ARGS))
states = []
ObservedDagRunner(run_id, lambda run: states.append(run.state)).run(pipeline)
print(json.dumps(states[1::2]))
"""
    + HEAVY
)


def printed(code: str, *arguments: str) -> list:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=PROJECT_DIR, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_defining_a_pipeline_imports_neither_tensorflow_nor_beam_nor_any_cloud_client():
    assert printed(DEFINE + HEAVY) == [[]]


def test_a_class_path_and_a_config_message_are_those_of_the_real_thing():
    code = """
from tfx.types import standard_component_specs
import tensorflow_model_analysis as tfma
print(json.dumps([
    Transform.EXECUTOR_SPEC.class_path, Trainer.EXECUTOR_SPEC.class_path, tfma.EvalConfig.DESCRIPTOR.full_name,
]))
"""
    assert printed(DEFINE + code + HEAVY) == [
        [
            "tfx.components.transform.executor.Executor",
            "tfx.components.trainer.executor.GenericExecutor",
            "tensorflow_model_analysis.EvalConfig",
        ],
        [],
    ]


def test_after_release_everything_is_the_real_thing():
    code = """
light_imports.release()
import tensorflow as tf, apache_beam, tensorflow_model_analysis as tfma
from tfx.components.trainer.executor import GenericExecutor
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
import tensorflow_data_validation as tfdv
print(json.dumps([
    issubclass(Executor, BaseBeamExecutor), type(GenericExecutor).__name__, float(tf.constant(2.0) + 1),
    callable(tfma.load_eval_result), tfma.EvalConfig().model_specs is not None, tfdv.StatsOptions().sample_rate,
]))
"""
    assert printed(DEFINE + code) == [[True, "ABCMeta", 3.0, True, True, None]]


def test_a_stand_in_becomes_the_real_class_when_it_is_called_or_derived_from():
    code = """
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen import executor
class Own(executor.Executor):
    pass
print(json.dumps([tfdv.StatsOptions(num_top_values=7).num_top_values, Own.__mro__[1].__module__,
                  hasattr(Own, "Do")]))
"""
    assert printed(DEFINE + code) == [[7, "tfx.components.statistics_gen.executor", True]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    writer = ShardWriter(tmp_path / "data", "train", 1 << 20)
    for number in range(20):
        writer.write(encode_example({"text": f"row {number}".encode(), "label": b"a"}))
    writer.close()
    return tmp_path


def test_a_run_works_a_cached_one_imports_nothing_heavy_and_an_edit_is_seen(folder):
    states, _ = printed(RUN, str(folder), "first")
    assert states == ["done", "done"]
    states, heavy = printed(RUN, str(folder), "second")
    assert states == ["cached", "cached"]
    assert heavy == []
    writer = ShardWriter(folder / "data", "train", 1 << 20)
    writer.write(encode_example({"text": b"another row", "label": b"b"}))
    writer.close()
    states, _ = printed(RUN, str(folder), "after an edit of the shard")
    assert states == ["done", "done"]


def test_only_a_local_run_and_a_step_on_kubeflow_defer_imports():
    sources = [p for package in PACKAGES for p in (PROJECT_DIR / package).rglob("*.py")]
    callers = {
        str(path.relative_to(PROJECT_DIR))
        for path in sources
        if "light_imports.install()" in path.read_text()
    }
    assert callers == {"pipeline/local/run.py", "pipeline/kubeflow/entrypoint.py"}
