"""The `beam` section: contradictions are refused with key and line; the rest becomes Beam's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UsageError
from pipeline.beam.arguments import beam_arguments, option, works_here
from pipeline.beam.settings import BeamSettings, check_local
from pipeline.config import load_config

CONFIG = """\
name: tiny
data: {path: rows, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
beam:
"""
DATAFLOW = """\
  runner: dataflow
  project: my-project
  region: europe-west1
  temp_location: gs://my-bucket/tmp
  image: registry/name:1
  nodes: {TFRecordExampleGen: {runner: direct}}
"""


def beam_of(folder: Path, section: str) -> BeamSettings:
    (folder / "tiny.yaml").write_text(CONFIG + section)
    return load_config(folder / "tiny.yaml").beam


@pytest.mark.parametrize(
    ("section", "line", "reason"),
    [
        ("  runner: fink\n", 7, "beam.runner: input should be 'direct', 'flink'"),
        ("  workers: 4\n", 7, "beam.workers: 4 workers need direct_running_mode multi_threading or"),
        (
            "  runner: direct\n  job_endpoint: flink:8099\n",
            8,
            "beam.job_endpoint: is used by flink, spark, portable only; the runner is direct",
        ),
        ("  runner: flink\n  job_endpoint: flink\n", 8, "beam.job_endpoint: must be host:port"),
        ("  runner: flink\n  environment: loopback\n", 6, "beam: runner flink needs job_endpoint"),
        ("  runner: spark\n  job_endpoint: spark:8099\n", 6, "beam: runner spark needs environment"),
        (
            "  runner: flink\n  job_endpoint: flink:8099\n  environment: docker\n",
            6,
            "beam: environment docker needs image",
        ),
        (
            "  runner: flink\n  job_endpoint: flink:8099\n  environment: process\n  command: /boot\n  image: a:1\n",
            11,
            "beam.image: needs environment docker, got environment process",
        ),
        (
            "  runner: flink\n  job_endpoint: flink:8099\n  environment: loopback\n  setup_file: true\n",
            10,
            "beam.setup_file: environment loopback installs nothing",
        ),
        ("  args: [streaming]\n", 7, "beam.args.0: each must be --name=value, got 'streaming'"),
        (
            "  args: [--runner=PrismRunner]\n",
            7,
            "beam.args: '--runner=PrismRunner' is set by the key 'runner'",
        ),
        (
            "  runner: dataflow\n  project: p\n",
            6,
            "beam: runner dataflow needs region and temp_location and image",
        ),
        (DATAFLOW.replace("gs://", "/"), 10, "beam.temp_location: dataflow needs a folder in Cloud Storage"),
        (DATAFLOW.partition("  nodes")[0], 6, "beam: dataflow cannot read data.path, a local folder"),
        ("  nodes:\n    Trainer: {runner: direct}\n", 8, "beam.nodes.Trainer: input should be"),
        (
            "  nodes:\n    Transform:\n      workers: 2\n",
            9,
            "beam.nodes.Transform.workers: 2 workers need direct_running_mode",
        ),
    ],
)
def test_contradiction_is_one_line_with_its_key_and_line(tmp_path, section, line, reason):
    with pytest.raises(UsageError) as caught:
        beam_of(tmp_path, section)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(f"{tmp_path}/tiny.yaml:{line}: {reason}")


def arguments(folder: Path, section: str, node: str = "Transform") -> list[str]:
    return beam_arguments(beam_of(folder, section).node(node), "/app")


FIRST_IMPORT = "--beam_plugins=pipeline.beam.worker"
FN_API = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def test_without_a_section_a_node_works_in_its_own_process(tmp_path):
    assert arguments(tmp_path, "  {}\n") == [
        FN_API,
        "--sdk_container_image=none",
        "--direct_running_mode=in_memory",
        "--direct_num_workers=1",
        FIRST_IMPORT,
    ]


def test_direct_processes_are_as_many_as_the_cores_unless_said(tmp_path):
    section = "  direct_running_mode: multi_processing\n"
    assert option(arguments(tmp_path, section), "direct_num_workers") == "0"
    assert option(arguments(tmp_path, section + "  workers: 3\n"), "direct_num_workers") == "3"


def test_flink_with_worker_containers(tmp_path):
    section = (
        "  runner: flink\n  job_endpoint: flink:8099\n  environment: docker\n  image: a/b:1\n"
        "  workers: 8\n  args: [--max_parallelism=16]\n"
    )
    assert arguments(tmp_path, section) == [
        "--runner=PortableRunner",
        "--job_endpoint=flink:8099",
        "--environment_type=DOCKER",
        "--environment_config=a/b:1",
        "--sdk_container_image=a/b:1",
        "--parallelism=8",
        FIRST_IMPORT,
        "--max_parallelism=16",
    ]


def test_spark_with_worker_processes(tmp_path):
    section = (
        "  runner: spark\n  job_endpoint: spark:8099\n  environment: process\n"
        "  command: /opt/apache/beam/boot\n  setup_file: true\n"
    )
    assert arguments(tmp_path, section) == [
        "--runner=PortableRunner",
        "--job_endpoint=spark:8099",
        "--environment_type=PROCESS",
        '--environment_config={"command": "/opt/apache/beam/boot"}',
        "--setup_file=/app/setup.py",
        FIRST_IMPORT,
    ]


def test_dataflow_and_a_node_that_has_its_own_engine(tmp_path):
    assert arguments(tmp_path, DATAFLOW + "  workers: 20\n") == [
        "--runner=DataflowRunner",
        "--project=my-project",
        "--region=europe-west1",
        "--temp_location=gs://my-bucket/tmp",
        "--sdk_container_image=registry/name:1",
        "--max_num_workers=20",
        FIRST_IMPORT,
    ]
    assert arguments(tmp_path, DATAFLOW, "TFRecordExampleGen")[0] == FN_API


def test_dataflow_is_refused_where_artifacts_are_local(tmp_path):
    with pytest.raises(
        UsageError, match=r"beam\.runner: Dataflow's workers cannot read the artifacts of a local"
    ):
        check_local(beam_of(tmp_path, DATAFLOW))


def test_beam_itself_understands_the_options(tmp_path):
    from apache_beam.options.pipeline_options import (
        PipelineOptions,
        PortableOptions,
        SetupOptions,
        WorkerOptions,
    )
    from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
    from apache_beam.runners.portability.portable_runner import PortableRunner

    section = "  runner: flink\n  job_endpoint: flink:8099\n  environment: process\n  command: /opt/apache/beam/boot\n"
    options = PipelineOptions(arguments(tmp_path, section))
    assert PipelineOptionsValidator(options, PortableRunner()).validate() == []
    assert options.view_as(PortableOptions).job_endpoint == "flink:8099"
    dataflow = PipelineOptions(arguments(tmp_path, DATAFLOW + "  workers: 20\n"))
    assert dataflow.view_as(WorkerOptions).max_num_workers == 20
    assert dataflow.view_as(SetupOptions).beam_plugins == ["pipeline.beam.worker"]


@pytest.mark.parametrize(
    ("args", "here"),
    [
        ([FN_API], True),
        (["--runner=pipeline.beam.processes.ProcessesRunner"], True),
        (["--runner=PortableRunner", "--environment_type=LOOPBACK"], True),
        (["--runner=PortableRunner", "--environment_type=DOCKER"], False),
        (["--runner=DataflowRunner"], False),
    ],
)
def test_which_engines_can_read_local_files(args, here):
    assert works_here(args) is here
