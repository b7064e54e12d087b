"""The errors of a step that cannot do its work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor

from models.errors import PipelineError
from pipeline.beam.arguments import LOCAL_BEAM_ARGS
from pipeline.kubeflow.entrypoint import beam_arguments_of, run_step

STEP = {
    "executor": "components.baseline.executor.Executor",
    "inputs": {},
    "outputs": {"model": "tfx.types.standard_artifacts.Model"},
    "integers": [],
    "parameters": {},
}


def test_pipeline_root_that_the_step_cannot_write_is_one_line(tmp_path: Path):
    (tmp_path / "root").write_text("a file where a folder is expected")
    planned = {
        "outputs": {
            "artifacts": {"model": {"artifacts": [{"name": "model", "uri": f"{tmp_path}/root/1/model"}]}},
            "outputFile": f"{tmp_path}/output.json",
        }
    }
    with pytest.raises(PipelineError) as caught:
        run_step(STEP, json.dumps(planned), list(LOCAL_BEAM_ARGS))
    assert str(caught.value) == (
        f"pipeline root: this step cannot write its outputs to {tmp_path}/root/1/model (Not a directory); give "
        "the image's user permission to write there, or give the run another pipeline root"
    )


def test_step_that_is_told_nothing_of_beam_works_in_its_own_process():
    """kfp's local runners, for one, pass over the variables of a package."""
    direct = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    assert beam_arguments_of({})[0] == direct
    assert "--direct_running_mode=in_memory" in beam_arguments_of({})
    assert beam_arguments_of({"BEAM_ARGUMENTS": '["--runner=PortableRunner"]'}) == ["--runner=PortableRunner"]


class CopyingStep(BaseExecutor):
    """Writes what it reads, and an empty marker, which no object store carries."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        [made] = output_dict["model"]
        for read in input_dict.get("model") or []:
            shutil.copytree(read.uri, made.uri, dirs_exist_ok=True)
        Path(made.uri, "DONE").touch()


def copying_step(tmp_path: Path, uri: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Runs it on the artifact at `uri`; returns the metadata of its output."""
    step = STEP | {
        "executor": f"{__name__}.CopyingStep",
        "inputs": {"model": "tfx.types.standard_artifacts.Model"},
    }
    given = {"name": "7", "uri": uri, "metadata": metadata}
    made = {"name": "model", "uri": f"{tmp_path}/root/2/model"}
    planned = {
        "inputs": {"artifacts": {"model": {"artifacts": [given]}}},
        "outputs": {
            "artifacts": {"model": {"artifacts": [made]}},
            "outputFile": f"{tmp_path}/output.json",
        },
    }
    run_step(step, json.dumps(planned), list(LOCAL_BEAM_ARGS))
    told = json.loads((tmp_path / "output.json").read_text())
    metadata_told: dict[str, Any] = told["artifacts"]["model"]["artifacts"][0]["metadata"]
    return metadata_told


def test_step_refuses_an_input_whose_files_are_not_those_that_were_written(tmp_path: Path):
    source = tmp_path / "source"
    (source / "assets").mkdir(parents=True)
    (source / "assets/vocab.txt").write_text("a\nb\n")
    told = copying_step(tmp_path, str(source), {})
    carried = tmp_path / "root/2/model"
    (carried / "DONE").unlink()
    again = copying_step(tmp_path / "next", str(carried), told)
    assert again["content_sha256"] == told["content_sha256"]
    (carried / "assets/vocab.txt").write_text("a\nc\n")
    with pytest.raises(PipelineError) as caught:
        copying_step(tmp_path / "third", str(carried), told)
    assert str(caught.value) == (
        f"input model at {carried}: damaged, its files are not those that its step wrote (sha256 differs); run "
        "again with caching disabled for the step that produces it"
    )
    assert not (tmp_path / "third").exists()


class RefusingExport(BaseExecutor):
    """Does what an Exporter does whose only variant is worse than the served model."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        [exported] = output_dict["exported_model"]
        exported.set_string_custom_property("refused", "tflite int8: accuracy 0.8000 is 0.1000 below")


def test_export_that_is_refused_is_told_to_its_verdict_step(tmp_path: Path):
    step = STEP | {
        "executor": f"{__name__}.RefusingExport",
        "outputs": {"exported_model": "components.exports.artifacts.ExportedModel"},
    }
    artifact = {"name": "exported_model", "uri": f"{tmp_path}/root/1/exported_model"}
    planned = {
        "outputs": {
            "artifacts": {"exported_model": {"artifacts": [artifact]}},
            "parameters": {"refused": {"outputFile": f"{tmp_path}/refused"}},
            "outputFile": f"{tmp_path}/output.json",
        }
    }
    run_step(step, json.dumps(planned), list(LOCAL_BEAM_ARGS))
    reason = "not exported, the pushed version stays: tflite int8: accuracy 0.8000 is 0.1000 below"
    assert (tmp_path / "refused").read_text() == reason
