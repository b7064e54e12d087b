"""ExampleGen and Transform on Beam's engines with worker processes give the output of a single process."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent

from components.example_gen.tfrecord import read_records
from components.project import PROJECT_DIR
from models.errors import PipelineError
from pipeline.beam.settings import BeamNode
from pipeline.config import load_config
from pipeline.importing.importer import import_files
from pipeline.local.dag_runner import ObservedDagRunner
from pipeline.local.failures import NodeFailed, explain
from pipeline.local.node_run import NodeRun
from pipeline.paths import local_paths
from pipeline.process.quiet import prepare_environment
from pipeline.training_pipeline import create_pipeline
from tests.support.full import only_full
from tests.support.tiny_model import rows, write_checkpoint

pytestmark = pytest.mark.e2e

CONFIG = """\
name: tiny
data: {path: data, schema: data/schema.pbtxt, label_list: data/labels.txt}
model: {checkpoint: {path: encoder}}
transform: {max_length: 32}
evaluate: {thresholds: {accuracy: {min: 0.2}}}
push: {serving_dir: serving}
"""
NODES = ("TFRecordExampleGen", "StatisticsGen", "ImportSchemaGen", "Transform")
PROCESSES = "{direct_running_mode: multi_processing, workers: 2}"
_PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Site:
    """A small dataset and encoder; each run has its own root."""

    folder: Path

    def run(self, root: str, *overrides: str, nodes: Sequence[str] = NODES) -> dict[str, NodeRun]:
        """Runs some nodes of the pipeline; returns the last state of each."""
        from tfx.dsl.compiler.compiler import Compiler

        config = load_config(self.folder / "tiny.yaml", overrides)
        paths = local_paths(self.folder / root, config.name, self.folder / "encoder")
        paths.root.mkdir(parents=True, exist_ok=True)
        compiled = Compiler().compile(create_pipeline(config, paths))
        kept = [node for node in compiled.nodes if node.pipeline_node.node_info.id in nodes]
        del compiled.nodes[:]
        compiled.nodes.extend(kept)
        runs: dict[str, NodeRun] = {}
        ObservedDagRunner(f"{root}-{time.time_ns()}", lambda run: runs.update({run.id: run})).run_with_ir(
            compiled
        )
        return runs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    prepare_environment()
    folder = tmp_path_factory.mktemp("site")
    text = "\n".join(f"{text}\t{label}" for text, label in rows(200))
    (folder / "rows.tsv").write_text(f"text\tlabel\n{text}\n")
    import_files([folder / "rows.tsv"], out_dir=folder / "data", text="text", label="label", name="data")
    write_checkpoint(folder / "encoder")
    (folder / "tiny.yaml").write_text(CONFIG)
    return Site(folder)


@pytest.fixture(scope="module")
def in_process(site: Site) -> dict[str, NodeRun]:
    return site.run("in-process")


@dataclass(frozen=True)
class JobService:
    """Beam's portable job service in its own process, which starts workers in further processes."""

    port: int
    worker_log: Path

    def section(self) -> str:
        """The `beam.nodes` entry; the worker's command notes its process id first."""
        command = f"echo $$ >> {self.worker_log}; exec {sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
        return (
            f"{{runner: portable, job_endpoint: 'localhost:{self.port}', args: "
            f"['--environment_type=beam:env:harness_subprocess_python:v1', '--environment_config={command}']}}"
        )

    def workers(self) -> list[int]:
        return [int(line) for line in self.worker_log.read_text().split()]


@pytest.fixture(scope="module")
def job_service(site: Site) -> Iterator[JobService]:
    folder = site.folder / "job-service"
    folder.mkdir()
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    command += ["--port_file", str(folder / "port"), "--staging_dir", str(folder / "staging")]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,  # not the project's: workers find it by PYTHONPATH
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until((folder / "port").exists, process, folder / "log")
        yield JobService(int((folder / "port").read_text()), folder / "workers")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _on(section: str) -> list[str]:
    return [f"beam.nodes.{node}={section}" for node in ("TFRecordExampleGen", "Transform")]


def records(runs: dict[str, NodeRun], node: str, key: str) -> dict[str, list[bytes]]:
    """Split -> its tf.Examples, sorted: engines cut shards, and so order rows, as they like."""
    from tensorflow.core.example import example_pb2

    found: dict[str, list[bytes]] = {}
    for shard in Path(runs[node].outputs[key][0].uri).glob("Split-*/*.gz"):
        with shard.open("rb") as file:
            examples = map(example_pb2.Example.FromString, read_records(file, str(shard)))
            found.setdefault(shard.parent.name, []).extend(
                example.SerializeToString(deterministic=True) for example in examples
            )
    return {split: sorted(several) for split, several in found.items()}


def assert_same_outputs(runs: dict[str, NodeRun], expected: dict[str, NodeRun]) -> None:
    assert {runs[node].state for node in ("TFRecordExampleGen", "Transform")} == {"done"}
    for node, key in (("TFRecordExampleGen", "examples"), ("Transform", "transformed_examples")):
        found = records(runs, node, key)
        assert all(found[f"Split-{split}"] for split in ("train", "eval"))
        assert found == records(expected, node, key)
    graph, same = (Path(r["Transform"].outputs["transform_graph"][0].uri) for r in (runs, expected))
    for name in ("transformed_metadata/schema.pbtxt", "transform_fn/assets"):
        assert _content(graph / name) == _content(same / name) != {}


def statistics_of(runs: dict[str, NodeRun], split: str) -> Any:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    folder = Path(runs["StatisticsGen"].outputs["statistics"][0].uri)
    content = (folder / f"Split-{split}" / "FeatureStats.pb").read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(content)


def _content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.name: file.read_bytes() for file in files}


def test_section_knows_the_nodes_that_are_beam_pipelines(site):
    config = load_config(site.folder / "tiny.yaml")
    paths = local_paths(site.folder / "unused", config.name, site.folder / "encoder")
    nodes = create_pipeline(config, paths).components
    assert {node.id for node in nodes if isinstance(node, BaseBeamComponent)} == set(get_args(BeamNode))


def test_one_process_makes_what_the_other_tests_compare_with(in_process):
    splits = records(in_process, "Transform", "transformed_examples")
    assert splits.keys() == {"Split-train", "Split-eval"}
    assert 150 < len(splits["Split-train"]) < 170
    assert b"input_ids" in splits["Split-train"][0]


@only_full
def test_portable_job_service_with_worker_processes(site, in_process, job_service):
    nodes = ["TFRecordExampleGen", "ImportSchemaGen", "Transform"]
    runs = site.run("portable", *_on(job_service.section()), nodes=nodes)
    assert_same_outputs(runs, in_process)
    workers = job_service.workers()
    assert len(set(workers)) == len(workers) == 2  # one for each of the two jobs
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


@only_full
def test_record_that_is_broken_is_named_through_the_job_service(site, job_service):
    data = site.folder / "broken"
    shutil.copytree(site.folder / "data", data)
    shard = data / "train-00000-of-00001.tfrecord.gz"
    content = bytearray(gzip.decompress(shard.read_bytes()))
    content[20] ^= 255  # inside the first record
    shard.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(NodeFailed) as caught:
        site.run("broken", f"data.path={data}", *_on(job_service.section()), nodes=["TFRecordExampleGen"])
    told = explain(caught.value, Path("log"))
    assert told.expected
    assert told.reason.startswith(f"{shard}: record 0 (byte 0): the checksum of its")
    assert "\n" not in told.reason


def test_direct_runner_with_worker_processes(site, in_process):
    runs = site.run(
        "processes", f"beam.nodes.StatisticsGen={PROCESSES}", nodes=["TFRecordExampleGen", "StatisticsGen"]
    )
    for split in ("train", "eval", "test"):
        made, same = (statistics_of(run, split) for run in (runs, in_process))
        assert made == same
        assert made.datasets[0].num_examples > 10


def test_where_a_node_runs_is_no_part_of_its_cache_key(site, in_process):
    again = site.run("in-process", *_on(PROCESSES))
    assert {run.state for run in again.values()} == {"cached"}


def test_engine_that_is_not_there_fails_the_node_with_one_line(site, in_process):
    # Port 1 of the loopback address, on which nothing listens.
    nowhere = "{runner: flink, job_endpoint: 'localhost:1', environment: loopback}"
    with pytest.raises(NodeFailed) as caught:
        site.run("nowhere", *_on(nowhere), nodes=["TFRecordExampleGen"])
    assert isinstance(caught.value.__cause__, PipelineError)
    assert "no Beam job service answers at localhost:1" in str(caught.value.__cause__)
