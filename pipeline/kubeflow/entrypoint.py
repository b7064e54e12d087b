"""Runs a step in its container: `python -m pipeline.kubeflow.entrypoint`.

    --step JSON            how the pipeline wires the step (see `_wiring` of `pipeline.kubeflow.compiler.steps`)
    --executor_input JSON  what the launcher substitutes for `{{$}}`
    $BEAM_ARGUMENTS        pipeline options of a Beam step, a JSON list; without it, this process does the work

Exit code: 0 done, 3 rejected by a gate, 2 invalid arguments, 1 any other failure, with one line that gives the reason.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.refusal import REFUSED
from models.errors import GateRefused, PipelineError
from pipeline.beam.arguments import LOCAL_BEAM_ARGS, works_here
from pipeline.beam.submission import ready_to_submit
from pipeline.kubeflow.names import BEAM_ARGUMENTS, PROBED, RUN_ID
from pipeline.kubeflow.run_date import RUN_DATE
from pipeline.kubeflow.verdicts import REASON
from pipeline.process import light_imports
from pipeline.process.exit import leave
from pipeline.process.quiet import prepare_environment

if TYPE_CHECKING:
    from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorInput

    from pipeline.kubeflow.step.artifacts import Artifacts

_BEAM_EXECUTOR = "tfx.dsl.components.base.base_beam_executor"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one step; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    prepare_environment()
    light_imports.install()  # 0.6 s instead of 9 s for steps that compute nothing, 5 s for the others
    parser = argparse.ArgumentParser(prog="pipeline.kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument("--step", required=True, type=json.loads)
    parser.add_argument("--executor_input", required=True)
    options = parser.parse_args(arguments)
    if not options.step.get("executor", "").startswith("components.destinations."):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the checkpoint is in the image
    try:
        run_step(options.step, options.executor_input, beam_arguments_of(os.environ))
    except Exception as error:  # noqa: BLE001 - the process ends here, with the exit code for this error
        return _report(error)
    return 0


def beam_arguments_of(environment: Mapping[str, str]) -> list[str]:
    """Beam's options for a step: those in the package, otherwise those of a local run.

    Without any, Beam would try to download a runner before it falls back to this process.
    """
    arguments = environment.get(BEAM_ARGUMENTS)
    return list(json.loads(arguments)) if arguments else list(LOCAL_BEAM_ARGS)


def _report(error: Exception) -> int:
    from components.example_gen.beam_errors import original_error

    cause = original_error(error)
    if isinstance(cause, PipelineError):
        print(f"error: {cause}", file=sys.stderr, flush=True)
        return cause.exit_code
    traceback.print_exception(error)
    return 1


def run_step(step: dict[str, Any], executor_input: str, beam_arguments: list[str]) -> None:
    """Runs the executor or the probe that `step` names, and writes its outputs for the launcher.

    Raises:
        PipelineError: raised by the executor; GateRefused also if a Pusher did not push.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorInput

    from pipeline.kubeflow.step import artifacts

    message = json_format.Parse(executor_input, ExecutorInput(), ignore_unknown_fields=True)
    if "verdict" in step:
        _raise_refusal(message.inputs.parameter_values[REASON].string_value)
        return
    path = artifacts.local_path if works_here(beam_arguments) else artifacts.remote_path
    inputs = artifacts.read_inputs(message.inputs.artifacts, step["inputs"], path)
    properties, run_id = _exec_properties(step, message)
    if "probe" in step:
        _probe(step["probe"], message, inputs, properties)
        return
    outputs = artifacts.make_outputs(message.outputs.artifacts, step["outputs"], path)
    refusal = _refusal(step["executor"], inputs, outputs, properties, beam_arguments, run_id)
    if REASON in message.outputs.parameters:
        _write(message.outputs.parameters[REASON].output_file, refusal)
    else:
        _raise_refusal(refusal)
    result = artifacts.executor_output(message.outputs.artifacts, outputs)
    _write(message.outputs.output_file, json_format.MessageToJson(result))


def _refusal(
    class_path: str,
    inputs: Artifacts,
    outputs: Artifacts,
    properties: dict[str, Any],
    beam_arguments: list[str],
    run_id: str | None,
) -> str:
    """Runs the executor; returns the reason if it rejects, otherwise ""."""
    try:
        _execute(class_path, inputs, outputs, properties, beam_arguments, run_id)
        _refuse_unpushed(outputs)
        _refuse_unexported(outputs)
    except GateRefused as refusal:
        print(f"refused: {refusal}", file=sys.stderr, flush=True)
        return str(refusal)
    return ""


def _write(file: str, text: str) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _raise_refusal(reason: str) -> None:
    if reason:
        raise GateRefused(reason)


def _exec_properties(step: dict[str, Any], message: ExecutorInput) -> tuple[dict[str, Any], str | None]:
    from pipeline.kubeflow.step.artifacts import parameter

    properties = {
        key: parameter(value, integer=key in step["integers"])
        for key, value in message.inputs.parameter_values.items()
    }
    run_id = properties.pop(RUN_ID, None)
    for name, path in step["parameters"].items():
        _set_at(properties, path, properties.pop(name))
    properties |= json.loads(properties.pop(PROBED, "{}"))
    return properties, run_id


def _set_at(properties: dict[str, Any], path: list[str], value: Any) -> None:
    """Sets a value inside a property that is JSON, at a path such as ["custom_config", "train", "epochs"]."""
    key, *rest = path
    if not rest:
        properties[key] = value
        return
    inside = properties[key]
    content = json.loads(inside) if isinstance(inside, str) else inside
    _set_at(content, rest, value)
    properties[key] = json.dumps(content, sort_keys=True) if isinstance(inside, str) else content


def _probe(
    probe: dict[str, str], message: ExecutorInput, inputs: Artifacts, properties: dict[str, Any]
) -> None:
    from pipeline.kubeflow.step import probes

    if probe["of"] == "examples":
        day = probes.day_of_run(properties)
        _write(message.outputs.parameters[RUN_DATE].output_file, day.isoformat())
        result = probes.wanted_examples(probe["driver"], properties, day)
    else:
        result = probes.newest_baseline(inputs, properties)
    _write(message.outputs.parameters[PROBED].output_file, json.dumps(result, sort_keys=True))


def _execute(
    class_path: str,
    inputs: Artifacts,
    outputs: Artifacts,
    properties: dict[str, Any],
    beam_arguments: list[str],
    run_id: str | None,
) -> None:
    from tfx.dsl.components.base import base_executor
    from tfx.orchestration.portable import outputs_utils
    from tfx.utils import import_utils

    from components.report.artifacts import Metrics
    from pipeline.kubeflow.step import artifacts, digests, probes

    digests.require_whole(inputs)
    light_imports.release(load=False)
    executor_class = import_utils.import_class_by_path(class_path)
    for output in (artifact for several in outputs.values() for artifact in several):
        if "://" in output.uri:  # an object store has no folders
            continue
        _make_folder(Path(output.uri) if artifacts.is_folder(output) else Path(output.uri).parent)
    if probes.FINGERPRINT in properties:
        probes.tag_examples(properties, outputs)
    with tempfile.TemporaryDirectory() as scratch:
        options = {"tmp_dir": scratch, "unique_id": "step", "pipeline_run_id": run_id}
        # Only an executor that runs Beam has imported this.
        beam = sys.modules.get(_BEAM_EXECUTOR)
        if beam is not None and issubclass(executor_class, beam.BaseBeamExecutor):
            light_imports.load_for_threads()
            arguments = ready_to_submit(class_path, beam_arguments, Path(scratch))
            context = beam.BaseBeamExecutor.Context(beam_pipeline_args=arguments, **options)
        else:
            context = base_executor.BaseExecutor.Context(**options)
        executor_class(context).Do(inputs, outputs, properties)
    # Not for Metrics, whose properties the dashboard shows as metrics, including TFX's version and a digest.
    tagged = {
        key: several for key, several in outputs.items() if not any(isinstance(a, Metrics) for a in several)
    }
    outputs_utils.tag_output_artifacts_with_version(tagged)
    digests.record(tagged)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(
            f"pipeline root: this step cannot write its outputs to {path} ({error.strerror}); give the image's "
            "user permission to write there, or give the run another pipeline root"
        ) from error


def _refuse_unpushed(outputs: Artifacts) -> None:
    """Raises GateRefused if nothing was pushed: such a run must not succeed, as the local runner exits with 3."""
    from tfx.types.standard_artifacts import PushedModel

    for output in (artifact for several in outputs.values() for artifact in several):
        if isinstance(output, PushedModel) and output.get_int_custom_property("pushed") != 1:
            raise GateRefused(
                f"nothing was pushed: {output.get_string_custom_property(REFUSED)}; see the Evaluator's output "
                "`evaluation` for missed thresholds, and the Canary's `blessing` for its findings"
            )


def _refuse_unexported(outputs: Artifacts) -> None:
    from components.exports.artifacts import ExportedModel

    for output in (artifact for several in outputs.values() for artifact in several):
        if isinstance(output, ExportedModel) and output.get_string_custom_property(REFUSED):
            raise GateRefused(
                f"not exported, the pushed version stays: {output.get_string_custom_property(REFUSED)}"
            )


if __name__ == "__main__":
    leave(main())
