"""The emulator on a package of kfp's own compiler with nested DAGs, conditions and exit tasks, which our packages lack.

No `annotations` import: kfp reads the annotations as objects.
"""

from pathlib import Path

import pytest
from kfp import compiler, dsl

from tests.support.kubeflow.acceptance import refusals
from tests.support.kubeflow.emulator import Cluster

SAY = """
import json, pathlib, sys
given = json.loads(sys.argv[1])
text = given["inputs"]["parameterValues"]["text"]
assert text != "fail"
pathlib.Path(given["outputs"]["parameters"]["said"]["outputFile"]).write_text(text)
"""
TELL = """
import json, pathlib, sys
given = json.loads(sys.argv[1])
told = given["inputs"]["parameterValues"]["status"]
pathlib.Path(given["outputs"]["parameters"]["told"]["outputFile"]).write_text(
    told["pipelineTaskName"] + " " + told["state"]
)
"""


@dsl.container_component
def say(text: str, said: dsl.OutputPath(str)):
    """Prints its input."""
    return dsl.ContainerSpec(image="a/b:1", command=["python", "-c", SAY], args=["{{$}}"])


@dsl.container_component
def tell(status: dsl.PipelineTaskFinalStatus, told: dsl.OutputPath(str)):
    """Prints how the run ended."""
    return dsl.ContainerSpec(image="a/b:1", command=["python", "-c", TELL], args=["{{$}}"])


@dsl.pipeline(name="story")
def story(word: str = "stop"):
    """Prints a word, again if it is `go`, and prints how that ended."""
    with dsl.ExitHandler(tell()):
        first = say(text=word)
        with dsl.If(first.outputs["said"] == "go"):
            say(text="gone")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kfp") / "story.yaml"
    compiler.Compiler().compile(story, str(path))
    return path


def test_package_of_kfp_s_compiler_is_accepted(package):
    assert refusals(package.read_text()) == []


def test_task_whose_condition_does_not_hold_is_skipped(package, tmp_path):
    run = Cluster(tmp_path).run(package)
    assert {task: result.state for task, result in run.items()} == {
        "exit-handler-1": "done",
        "exit-handler-1/say": "done",
        "exit-handler-1/condition-2": "skipped",
        "tell": "done",
    }
    assert run["tell"].parameters == {"told": "exit-handler-1 COMPLETE"}


def test_task_whose_condition_holds_is_run(package, tmp_path):
    run = Cluster(tmp_path).run(package, {"word": "go"})
    assert run["exit-handler-1/condition-2"].state == "done"
    assert run["exit-handler-1/condition-2/say-2"].parameters == {"said": "gone"}


def test_exit_task_runs_after_a_failure_and_is_told_of_it(package, tmp_path):
    run = Cluster(tmp_path).run(package, {"word": "fail"})
    assert (run["exit-handler-1/say"].state, run["exit-handler-1/condition-2"].state) == ("failed", "skipped")
    assert run["exit-handler-1"].state == "failed"
    assert run["tell"].parameters == {"told": "exit-handler-1 FAILED"}
