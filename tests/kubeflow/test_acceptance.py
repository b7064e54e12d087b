"""A server accepts our packages; stock TFX packages are refused, each for its own reason."""

from __future__ import annotations

import copy
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from tfx import components as tfx_components
from tfx.components.infra_validator.component import InfraValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import infra_validator_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.example_gen.component import TFRecordExampleGen
from components.project import PROJECT_DIR
from models.errors import UsageError
from pipeline.config import load_config
from pipeline.kubeflow.compiler.package import compile_package, write_package
from pipeline.kubeflow.compiler.steps import pipeline_spec
from pipeline.kubeflow_settings import StepName
from pipeline.paths import local_paths
from pipeline.training_pipeline import create_pipeline
from tests.support.kubeflow.acceptance import refusals
from tests.support.kubeflow.argo_retries import attempts
from tests.support.kubeflow.stock_nodes import MakeNumber, TakeNumber
from tests.support.kubeflow.workplace import write_workplace

CONFIG = """\
name: my_model
data: {path: data, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving, destinations: [{folder: "gs://bucket/models"}]}
export: {tflite: {}, onnx: {}, tfjs: {}}
kubeflow:
  data_path: /mnt/models/data
  serving_dir: /mnt/models/serving
  volumes: [{claim: models, mount_path: /mnt/models, sub_path: team}]
  secrets:
    - {name: bucket-key, env: {token: BUCKET_TOKEN}}
    - {name: certificates, mount_path: /mnt/certificates, optional: true}
  image_pull_secrets: [registry]
  image_pull_policy: IfNotPresent
  defaults: {cpu: 500m, memory: 2Gi, retries: 1, env: {LOG: info}}
  steps:
    Trainer:
      cpu: 8
      cpu_request: 6
      memory: 16Gi
      memory_request: 8Gi
      gpu: {count: 2}
      retries: 3
      backoff_seconds: 60
      env: {XLA_FLAGS: --xla}
      node_selector: {pool: gpu}
      tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
      deadline_seconds: 7200
      shared_memory: 1Gi
    StatisticsGen: {cache: false}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workplace(tmp_path_factory.mktemp("workplace"), CONFIG)


@pytest.fixture(scope="module")
def package(workplace: Path) -> list[dict[str, Any]]:
    config = load_config(workplace / "my.yaml")
    compiled = compile_package(config, "registry.example/a/b:1", workplace / "encoder", workplace)
    write_package(workplace / "out" / "p.yaml", *compiled)
    return list(yaml.safe_load_all((workplace / "out" / "p.yaml").read_text()))


def test_steps_that_a_config_can_name_are_those_of_the_pipeline(package):
    tasks = {name for name in package[0]["root"]["dag"]["tasks"] if not name.endswith(("-probe", "-verdict"))}
    assert tasks == set(get_args(StepName))


@pytest.fixture
def spec(package: list[dict[str, Any]]) -> dict[str, Any]:
    return copy.deepcopy(package[0])


def executor(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    return package[0]["deploymentSpec"]["executors"][f"{step}_executor"]["container"]


def test_our_package_is_accepted(package):
    assert refusals(yaml.safe_dump_all(package)) == []


def test_every_node_of_the_local_pipeline_is_a_step(package, workplace):
    (workplace / "runs").mkdir(exist_ok=True)
    local = create_pipeline(
        load_config(workplace / "my.yaml"), local_paths(workplace / "runs", "my_model", workplace / "encoder")
    )
    steps = {name for name in package[0]["root"]["dag"]["tasks"] if not name.endswith(("-probe", "-verdict"))}
    assert steps - {"Baseline"} == {node.id for node in local.components} - {"BaselineResolver"}


def test_order_of_the_nodes_is_that_of_the_local_pipeline(package):
    tasks = package[0]["root"]["dag"]["tasks"]
    assert {"DataGate", "DataGate-verdict"} <= set(tasks["TokenizationGate"]["dependentTasks"])
    assert {"TokenizationGate", "TokenizationGate-verdict"} <= set(tasks["Transform"]["dependentTasks"])
    assert tasks["Pusher"]["inputs"]["artifacts"]["model_blessing"]["taskOutputArtifact"] == {
        "producerTask": "Evaluator",
        "outputArtifactKey": "blessing",
    }


def test_resources_of_steps(package):
    assert executor(package, "Trainer")["resources"] == {
        "resourceCpuLimit": "8",
        "resourceCpuRequest": "6",
        "resourceMemoryLimit": "16Gi",
        "resourceMemoryRequest": "8Gi",
        "accelerator": {
            "type": "nvidia.com/gpu",
            "count": "2",
            "resourceType": "nvidia.com/gpu",
            "resourceCount": "2",
        },
    }
    small = {"resourceCpuLimit": "500m", "resourceMemoryLimit": "2Gi"}
    assert executor(package, "TFRecordExampleGen")["resources"] == small
    assert executor(package, "TFRecordExampleGen-probe")["resources"] == small


def test_environment_of_steps(package):
    names = {variable["name"]: variable["value"] for variable in executor(package, "Trainer")["env"]}
    assert names == {"LOG": "info", "TF_USE_LEGACY_KERAS": "1", "XLA_FLAGS": "--xla"}


def test_retries_and_caching(package):
    tasks = package[0]["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 3
    assert tasks["Trainer"]["retryPolicy"]["backoffDuration"] == "60s"
    day, limit = 24 * 3600, 2**31 - 1  # the largest activeDeadlineSeconds of a pod
    for name, retries in (("Trainer", 3), ("TFRecordExampleGen-probe", 1), ("Evaluator", 1)):
        policy = tasks[name]["retryPolicy"]
        assert [attempts(policy, seconds) for seconds in (60, 2 * 3600, 20 * day)] == [retries + 1] * 3
        assert int(policy["backoffMaxDuration"].removesuffix("s")) < limit
    uncached = [name for name, task in tasks.items() if not task["cachingOptions"]["enableCache"]]
    assert sorted(uncached) == [
        "Baseline-probe",
        "Canary",
        "DataGate-verdict",
        "ONNXExport-verdict",
        "Pusher",
        "Pusher-verdict",
        "StatisticsGen",
        "TFJSExport-verdict",
        "TFLiteExport-verdict",
        "TFRecordExampleGen-probe",
        "TokenizationGate-verdict",
    ]


@pytest.mark.parametrize(
    ("longest", "step_seconds", "made"),
    [({"backoffMaxDuration": "3600s"}, 3700, 1), ({}, 60, 1), ({"backoffMaxDuration": "3600s"}, 60, 4)],
)
def test_retries_end_with_a_time_that_counts_from_the_first_attempt(longest, step_seconds, made):
    policy = {"maxRetryCount": 3, "backoffDuration": "30s", "backoffFactor": 2.0, **longest}
    assert attempts(policy, step_seconds) == made


def test_step_that_can_say_no_has_a_verdict_and_that_is_never_retried(package):
    """A refusal is an output of the step: a retry policy, which knows no exit codes, does not ask again."""
    tasks = package[0]["root"]["dag"]["tasks"]
    gates = []
    for name in tasks:
        wiring = json.loads(executor(package, name)["args"][1])
        if "probe" in wiring or "verdict" in wiring:
            continue
        executor_module = importlib.import_module(wiring["executor"].rpartition(".")[0])
        if {"GateRefused", "REFUSED"} & vars(executor_module).keys():
            gates.append(name)
    gates.remove("Canary")  # what it finds is for the Pusher, which refuses
    assert gates == ["DataGate", "ONNXExport", "Pusher", "TFJSExport", "TFLiteExport", "TokenizationGate"]
    assert [name for name, task in tasks.items() if "retryPolicy" not in task] == [
        f"{gate}-verdict" for gate in gates
    ]


def test_beam_options_reach_the_step_and_are_no_part_of_its_cache_key(package, workplace):
    """The server hashes command and arguments into the key, and not the environment."""
    engine = "{runner: flink, job_endpoint: 'flink:8099', environment: docker, image: 'a/b:1'}"
    config = load_config(workplace / "my.yaml", [f"beam.nodes.Transform={engine}"])
    moved, _ = compile_package(config, "registry.example/a/b:1", workplace / "encoder", workplace)
    container = moved["deploymentSpec"]["executors"]["Transform_executor"]["container"]
    told = {variable["name"]: variable["value"] for variable in container["env"]}
    assert json.loads(told["BEAM_ARGUMENTS"])[:2] == ["--runner=PortableRunner", "--job_endpoint=flink:8099"]
    assert container["args"] == executor(package, "Transform")["args"]
    others = {
        variable["name"]: variable["value"] for variable in executor(package, "TFRecordExampleGen")["env"]
    }
    assert "--direct_running_mode=in_memory" in json.loads(others["BEAM_ARGUMENTS"])


def test_what_waits_for_a_gate_waits_for_its_verdict(package):
    tasks = package[0]["root"]["dag"]["tasks"]
    waiting = {n for n, t in tasks.items() if "DataGate" in t.get("dependentTasks", [])}
    assert "TokenizationGate" in waiting
    behind = {n for n, t in tasks.items() if "DataGate-verdict" in t.get("dependentTasks", [])}
    assert behind == waiting - {"DataGate-verdict"}
    verdict = executor(package, "DataGate-verdict")
    assert verdict["command"] == executor(package, "DataGate")["command"]
    verdict_pod = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][
        "DataGate-verdict_executor"
    ]
    assert verdict_pod["imagePullSecret"][0]["secretName"] == "registry"


def test_parameters_of_a_run_keep_their_defaults(package):
    parameters = package[0]["root"]["inputDefinitions"]["parameters"]
    assert {name: p["defaultValue"] for name, p in parameters.items()} == {
        "epochs": 3.0,
        "learning_rate": 5e-05,
        "force_push": 0,
        "serving_dir": "/mnt/models/serving",
        "span": "",
        "run_date": "UTC",
    }


def test_platform_document(package):
    executors = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    def name(value: str) -> dict[str, Any]:
        return {"runtimeValue": {"constant": value}}

    everyone = {
        "pvcMount": [
            {
                "mountPath": "/mnt/models",
                "subPath": "team",
                "constant": "models",
                "pvcNameParameter": name("models"),
            }
        ],
        "secretAsEnv": [
            {
                "secretName": "bucket-key",
                "secretNameParameter": name("bucket-key"),
                "keyToEnv": [{"secretKey": "token", "envVar": "BUCKET_TOKEN"}],
                "optional": False,
            }
        ],
        "secretAsVolume": [
            {
                "secretName": "certificates",
                "secretNameParameter": name("certificates"),
                "mountPath": "/mnt/certificates",
                "optional": True,
            }
        ],
        "imagePullSecret": [{"secretName": "registry", "secretNameParameter": name("registry")}],
        "imagePullPolicy": "IfNotPresent",
    }
    assert executors["Transform_executor"] == everyone
    assert executors["Trainer_executor"] == everyone | {
        "nodeSelector": {"labels": {"pool": "gpu"}},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "activeDeadlineSeconds": "7200",
        "emptyDirMounts": [
            {"volumeName": "shared-memory", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "1Gi"}
        ],
    }


def test_committed_config_compiles_to_an_accepted_package(workplace, tmp_path):
    for name in ("configs", "data", "schemas"):
        shutil.copytree(PROJECT_DIR / name, tmp_path / name)
    encoder = shutil.copytree(workplace / "encoder", tmp_path / "encoder")
    # A copy: the recipe's own files are of this project, which has no encoder.
    files = [f"data.schema={tmp_path}/schemas/trec.pbtxt", f"data.label_list={tmp_path}/data/trec/labels.txt"]
    config = load_config(tmp_path / "configs" / "trec.yaml", files)
    spec, platform = compile_package(config, "registry.example/a/b:1", encoder, tmp_path)
    assert refusals(yaml.safe_dump_all([spec, platform])) == []
    assert (
        spec["root"]["inputDefinitions"]["parameters"]["serving_dir"]["defaultValue"] == "/mnt/models/serving"
    )
    mounts = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["Trainer_executor"][
        "pvcMount"
    ]
    assert [(mount["constant"], mount["mountPath"]) for mount in mounts] == [("models", "/mnt/models")]


# --- what a server refuses: stock TFX --------------------------------------------------------------


def stock(tmp_path: Path, nodes: list[Any], file_name: str = "p.yaml", version_2_1: bool = True) -> str:
    """What TFX's own runner writes."""
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(default_image="tfx", use_pipeline_spec_2_1=version_2_1),
        output_dir=str(tmp_path),
        output_filename=file_name,
    )
    runner.run(Pipeline("stock", str(tmp_path / "root"), components=nodes, enable_cache=True))
    return (tmp_path / file_name).read_text()


def examples_and_statistics() -> list[Any]:
    example_gen = TFRecordExampleGen("/data", {"train": "train-*"})
    return [example_gen, StatisticsGen(examples=example_gen.outputs["examples"])]


def test_stock_job_json_is_no_pipeline_spec(tmp_path):
    problems = refusals(stock(tmp_path, examples_and_statistics(), "job.json", version_2_1=False))
    assert problems[-1] == "0 pipeline specs, must be one"
    assert "neither a PipelineSpec" in problems[0]


def test_stock_schema_2_0_0(tmp_path):
    problems = refusals(stock(tmp_path, examples_and_statistics(), version_2_1=False))
    assert "schema version '2.0.0', only 2.1.0 is supported" in problems


def test_stock_resolver(tmp_path):
    resolver = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("latest")
    problems = refusals(stock(tmp_path, [resolver]))
    assert any("non-container and non-importer executor not implemented (resolver)" in p for p in problems)


def test_stock_runtime_parameter_without_its_default(tmp_path):
    number = MakeNumber(start=RuntimeParameter(name="start", ptype=int, default=5))
    assert refusals(stock(tmp_path, [number])) == [
        "parameter start is not optional, yet has neither default value nor user provided value"
    ]


def test_stock_value_of_another_node_names_a_producer_that_is_not_there(tmp_path):
    number = MakeNumber(start=1)
    problems = refusals(
        stock(tmp_path, [number, TakeNumber(number=number.outputs["number"].future()[0].value)])
    )
    assert any("unknown producer task 'MakeNumber_task'" in p for p in problems)


def test_stock_node_id_with_an_underscore(tmp_path):
    problems = refusals(stock(tmp_path, [MakeNumber(start=1).with_id("make_number")]))
    assert "task make_number: Argo takes letters, digits and - in a name" in problems


# --- what a server refuses: our package, broken ------------------------------------------------------


def trainer_of(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"]["Trainer"]


BROKEN: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda s: s.update(note="x"), "neither a PipelineSpec"),
    (lambda s: s["pipelineInfo"].update(name="My_Model"), "pipeline name 'My_Model'"),
    (lambda s: s["components"].pop("Trainer"), "component ref 'Trainer' not found"),
    (lambda s: s["deploymentSpec"]["executors"].pop("Trainer_executor"), "not found in deployment config"),
    (
        lambda s: trainer_of(s)["inputs"]["artifacts"].pop("examples"),
        "input artifact 'examples' is not given",
    ),
    (lambda s: trainer_of(s)["inputs"]["parameters"].pop("run_fn"), "non-optional parameter 'run_fn'"),
    (lambda s: trainer_of(s)["dependentTasks"].append("Pusher"), "wait for each other"),
    (
        lambda s: s["root"]["inputDefinitions"]["parameters"]["epochs"].update(parameterType="STRING"),
        "type mismatch with input parameter 'epochs'",
    ),
    (
        lambda s: s["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["resources"].update(
            resourceMemoryLimit="16GB"
        ),
        "got '16GB'",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_broken_package_is_refused(spec, damage, reason):
    damage(spec)
    problems = refusals(yaml.safe_dump(spec))
    assert any(reason in problem for problem in problems), problems


SCORE = "inputs.artifacts['schema'].artifacts[0].metadata['score']"


def condition_problems(spec: dict[str, Any], condition: str) -> list[str]:
    trainer_of(spec)["triggerPolicy"] = {"condition": condition}
    return refusals(yaml.safe_dump(spec))


@pytest.mark.parametrize(
    "condition",
    [
        f"{SCORE} * 100.0 > 90.0",
        f"({SCORE} == 1.0) && !(inputs.parameter_values['run_fn'] == 'none')",
        f"int({SCORE}) >= 1",
        "parseJson(inputs.parameter_values['custom_config'])['name'] == 'my_model'",
    ],
)
def test_condition_that_the_driver_compiles_is_accepted(spec, condition):
    assert condition_problems(spec, condition) == []


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (f"{SCORE} == 1", "compares a number with an integer"),
        (f"({SCORE} > 90.0", "Syntax error: missing ')'"),
        ("inputs.params['run_fn'] == 'none'", "undefined field 'params'"),
        ("inputs.parameter_values['runfn'] == 'none'", "condition names unknown input 'runfn'"),
        ("input.parameter_values['run_fn'] == 'none'", "undeclared reference to 'input.parameter_values'"),
        ("inputs.artifacts['schema'].artifacts[0].uri == 1.0", "no matching overload for '_==_'"),
        ("inputs.artifacts['schema'].artifacts[0].uri", "return type is not bool, got STRING"),
    ],
)
def test_condition_that_the_driver_does_not_compile_is_refused(spec, condition, reason):
    assert any(reason in problem for problem in condition_problems(spec, condition))


def test_platform_document_with_an_unknown_executor_or_key_or_a_volume_twice_is_refused(package):
    platform = copy.deepcopy(package[1])
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors["Trainer_executor"]["nodePool"] = "gpu"
    executors["Nobody_executor"] = {}
    executors["Pusher_executor"]["pvcMount"] *= 2
    problems = refusals(yaml.safe_dump_all([package[0], platform]))
    assert "platform: no executor 'Nobody_executor'" in problems
    assert "platform: executor 'Pusher_executor': 'models' is no name for one volume of a pod" in problems
    assert any("'Trainer_executor'" in problem and "nodePool" in problem for problem in problems)


# --- what we refuse before a server would -------------------------------------------------------------


def test_node_that_cannot_run_there_is_refused_by_name(workplace):
    config = load_config(workplace / "my.yaml")
    (workplace / "runs").mkdir(exist_ok=True)
    local = create_pipeline(config, local_paths(workplace / "runs", "my_model", workplace / "encoder"))
    with pytest.raises(UsageError, match=r"'BaselineResolver' .Resolver. cannot run on Kubeflow"):
        pipeline_spec(local, config.kubeflow, "image", [])


def test_infra_validator_that_starts_containers_is_refused_as_tfx_does(workplace):
    config = load_config(workplace / "my.yaml", ["kubeflow.steps={}"])
    example_gen = TFRecordExampleGen("/data", {"train": "train-*"})
    trainer = Trainer(examples=example_gen.outputs["examples"], run_fn="components.trainer.run_fn.run_fn")
    validator = InfraValidator(
        trainer.outputs["model"],
        infra_validator_pb2.ServingSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=["latest"]),
            local_docker=infra_validator_pb2.LocalDockerConfig(),
        ),
    )
    nodes = Pipeline("p", str(workplace), components=[example_gen, trainer, validator])
    with pytest.raises(UsageError, match=r"TFX cannot compile .*InfraValidator.* is not supported"):
        pipeline_spec(nodes, config.kubeflow, "image", [])
    assert tfx_components.InfraValidator is InfraValidator


def test_node_name_that_kubernetes_refuses(workplace):
    config = load_config(workplace / "my.yaml")
    nodes = Pipeline("p", str(workplace), components=[MakeNumber(start=1).with_id("make_number")])
    with pytest.raises(UsageError, match="node 'make_number': a Kubernetes name may contain"):
        pipeline_spec(nodes, config.kubeflow, "image", [])


def test_step_that_this_pipeline_does_not_have_names_the_steps_that_there_are(workplace):
    config = load_config(workplace / "my.yaml", ["kubeflow.steps.ONNXExport={cpu: 1}", "export.onnx=null"])
    with pytest.raises(UsageError, match=r"kubeflow.steps: no step 'ONNXExport'; the pipeline has .*Trainer"):
        compile_package(config, "image", workplace / "encoder", workplace)


def test_schema_that_the_image_does_not_hold(workplace, tmp_path):
    (tmp_path / "other.pbtxt").write_text("")
    config = load_config(workplace / "my.yaml", [f"data.schema={tmp_path}/other.pbtxt"])
    with pytest.raises(UsageError, match=r"data.schema .*other.pbtxt is outside of"):
        compile_package(config, "image", workplace / "encoder", workplace)
