"""TFX's LocalDagRunner, which reports the state of each node to an observer.

Node executors are imported only when a node really runs, so a cached run imports none. A node's inputs and its cached
outputs are checked before they are used (see `artifact_checks`).
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ml_metadata import ListOptions
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import base_executor_operator, launcher, runtime_parameter_utils
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from models.errors import GateRefused
from pipeline.beam.submission import ready_to_submit
from pipeline.local.artifact_checks import ArtifactChecks
from pipeline.local.failures import NodeFailed, lacking
from pipeline.local.leftovers import remove_outputs
from pipeline.local.node_run import NodeRun, NodeState, Observer, OutputArtifact
from pipeline.process import light_imports


class ObservedDagRunner(local_dag_runner.LocalDagRunner):
    """Runs a pipeline; `observe` is called when a node starts and when it has ended.

    Args:
        run_id: name of the run in the metadata store; must be new.
        observe: called in the thread that runs the nodes.
        say: called with one line for each artifact that is damaged and made again.
        verify: read all cached outputs in full.
    """

    def __init__(
        self,
        run_id: str,
        observe: Observer,
        say: Callable[[str], None] = lambda line: None,
        verify: bool = False,
    ) -> None:
        super().__init__()
        self._run_id, self._observe, self._say, self._verify = run_id, observe, say, verify

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None
    ) -> None:
        """Runs all nodes in order, including those that do not depend on a failed one, as on Kubeflow.

        If the machine runs out of memory or disk space, the run ends at once.

        Raises:
            NodeFailed: one or more nodes failed; it names the first.
        """
        if run_options:
            raise NotImplementedError("partial runs are not supported: unchanged nodes are cached")
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self._run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        root = Path(pipeline.runtime_spec.pipeline_root.field_value.string_value)
        connection = _OneConnection(_connection_config(deployment))
        with connection:
            killed = _cancel_unfinished(connection.store, root)
            if killed:
                self._say(
                    f"The previous run was killed in {', '.join(killed)}, or the machine stopped. Its incomplete "
                    "output is removed, and the step runs again"
                )
            checks = ArtifactChecks(connection.store, root, self._say, self._verify)
            failures: list[NodeFailed] = []
            not_done: set[str] = set()  # nodes that failed, or were skipped because of a failed one
            for node in (n.pipeline_node for n in pipeline.nodes):
                if not_done & set(node.upstream_nodes):
                    not_done.add(node.node_info.id)
                    continue
                try:
                    self._run_node(node, pipeline, deployment, connection, checks)
                except NodeFailed as error:
                    if lacking(error):  # without memory or disk space the next node would fail too, or hang
                        raise
                    failures.append(error)
                    not_done.add(node.node_info.id)
        if self._verify:
            self._say(f"--verify: {checks.cached_read} cached outputs have the recorded sha256")
        if failures:
            raise failures[0]

    def _run_node(
        self,
        node: pipeline_pb2.PipelineNode,
        pipeline: pipeline_pb2.Pipeline,
        deployment: Any,
        connection: metadata.Metadata,
        checks: ArtifactChecks,
    ) -> None:
        node_id = node.node_info.id
        self._observe(NodeRun(node_id, "running"))
        started = time.monotonic()
        try:
            state, outputs = _launch(node, pipeline, deployment, connection, checks)
        except BaseException as error:
            failed = isinstance(error, Exception)
            if not failed:
                _cancel_unfinished(connection.store, checks.pipeline_root)
            seconds = time.monotonic() - started
            self._observe(NodeRun(node_id, "failed" if failed else "interrupted", seconds))
            if failed:
                raise NodeFailed(node_id) from error
            raise
        self._observe(NodeRun(node_id, state, time.monotonic() - started, outputs))


class _OneConnection(metadata.Metadata):
    """A metadata handle that stays open; TFX itself reopens the store several times for each node."""

    def __enter__(self) -> metadata.Metadata:
        if self._store is None:
            return super().__enter__()
        self._users += 1
        return self


class _CheckedLauncher(launcher.Launcher):
    """A launcher that uses cached outputs only if they are undamaged."""

    def __init__(self, checks: ArtifactChecks, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._checks = checks

    def _prepare_execution(self) -> Any:
        with self._checks.of_cached_outputs():
            return super()._prepare_execution()


class _ImportedWhenRun(base_executor_operator.BaseExecutorOperator):
    """Stands in for an executor operator, which would import the executor even for a cached node."""

    def __init__(self, node_id: str, checks: ArtifactChecks, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._node_id, self._checks = node_id, checks

    def _operator(self) -> Any:
        raise NotImplementedError

    def run_executor(self, execution_info: Any) -> Any:
        """Checks the inputs, imports the executor, runs it and records the outputs' digests."""
        self._checks.before_use(self._node_id, execution_info.input_dict)
        light_imports.release()
        operator = self._operator()(self._executor_spec, self._platform_config)
        if self._execution_watcher_address:
            operator.with_execution_watcher(self._execution_watcher_address)
        try:
            done = operator.run_executor(execution_info)
        except GateRefused:
            raise
        except Exception:
            self._checks.after_failure(self._node_id, execution_info.input_dict)
            raise
        written = (made for several in done.output_artifacts.values() for made in several.artifacts)
        self._checks.record(artifact.uri for artifact in written)
        return done


class _PythonOperator(_ImportedWhenRun):
    SUPPORTED_EXECUTOR_SPEC_TYPE: ClassVar = [executable_spec_pb2.PythonClassExecutableSpec]
    SUPPORTED_PLATFORM_CONFIG_TYPE: ClassVar[list[Any]] = []

    def _operator(self) -> Any:
        from tfx.orchestration.portable import python_executor_operator

        return python_executor_operator.PythonExecutorOperator


class _BeamOperator(_ImportedWhenRun):
    """Runs a Beam node with the pipeline options, which are not part of its cache key."""

    SUPPORTED_EXECUTOR_SPEC_TYPE: ClassVar = [executable_spec_pb2.BeamExecutableSpec]
    SUPPORTED_PLATFORM_CONFIG_TYPE: ClassVar[list[Any]] = []

    def __init__(self, beam_arguments: Sequence[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arguments = beam_arguments

    def _operator(self) -> Any:
        from tfx.orchestration.portable import beam_executor_operator

        return beam_executor_operator.BeamExecutorOperator

    def run_executor(self, execution_info: Any) -> Any:
        """Adds the pipeline options to the executor spec and runs the executor."""
        with tempfile.TemporaryDirectory() as scratch:
            for argument in ready_to_submit(self._node_id, self._arguments, Path(scratch)):
                self._executor_spec.beam_pipeline_args_placeholders.add().value.string_value = argument
            return super().run_executor(execution_info)


def _without_beam_arguments(executor_spec: Any) -> tuple[Any, list[str]]:
    """Returns the spec without Beam's options, and these.

    TFX hashes the spec into the cache key, but where a node runs does not affect its output.
    """
    if not isinstance(executor_spec, executable_spec_pb2.BeamExecutableSpec):
        return executor_spec, []
    arguments = list(executor_spec.beam_pipeline_args)
    executor_spec.ClearField("beam_pipeline_args")
    executor_spec.ClearField("beam_pipeline_args_placeholders")
    return executor_spec, arguments


def _launch(
    node: pipeline_pb2.PipelineNode,
    pipeline: pipeline_pb2.Pipeline,
    deployment: Any,
    connection: metadata.Metadata,
    checks: ArtifactChecks,
) -> tuple[NodeState, Mapping[str, Sequence[OutputArtifact]]]:
    node_id = node.node_info.id
    executor_spec, beam_arguments = _without_beam_arguments(
        runner_utils.extract_executor_spec(deployment, node_id)
    )
    info = _CheckedLauncher(
        checks,
        pipeline_node=node,
        mlmd_connection=connection,
        pipeline_info=pipeline.pipeline_info,
        pipeline_runtime_spec=pipeline.runtime_spec,
        executor_spec=executor_spec,
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
        custom_executor_operators={
            executable_spec_pb2.PythonClassExecutableSpec: functools.partial(
                _PythonOperator, node_id, checks
            ),
            executable_spec_pb2.BeamExecutableSpec: functools.partial(
                _BeamOperator, beam_arguments, node_id, checks
            ),
        },
    ).launch()
    [execution] = connection.store.get_executions_by_id([info.execution_id])
    if execution.last_known_state == mlmd.Execution.FAILED:
        # If inputs cannot be resolved, the launcher records the failure and returns normally.
        raise RuntimeError(_error_message(execution) or "an input of the node could not be resolved")
    outputs = _outputs(connection.store, info.execution_id)
    cached = execution.last_known_state == mlmd.Execution.CACHED
    if executor_spec is None:
        # A resolver always runs; it counts as cached if it resolves to the same artifacts as before.
        cached = outputs == _previous_outputs(connection.store, node, info.execution_id)
    return "cached" if cached else "done", outputs


def _error_message(execution: mlmd.Execution) -> str:
    lines = str(execution.custom_properties["__error_message__"].string_value).strip().splitlines()
    return lines[-1] if lines else ""


def _outputs(store: Any, execution_id: int) -> dict[str, list[OutputArtifact]]:
    kinds = (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)
    events = [e for e in store.get_events_by_execution_ids([execution_id]) if e.type in kinds]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    outputs: dict[str, list[OutputArtifact]] = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        properties = {key: _value(v) for key, v in artifact.custom_properties.items()}
        outputs.setdefault(event.path.steps[0].key, []).append(OutputArtifact(artifact.uri, properties))
    return outputs


def _previous_outputs(
    store: Any, node: pipeline_pb2.PipelineNode, execution_id: int
) -> Mapping[str, Sequence[OutputArtifact]] | None:
    """The outputs of the node's last successful execution; None if it never succeeded."""
    [name] = [c.name.field_value.string_value for c in node.contexts.contexts if c.type.name == "node"]
    context = store.get_context_by_type_and_name("node", name)
    succeeded = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
    earlier = [
        execution.id
        for execution in store.get_executions_by_context(context.id)
        if execution.id < execution_id and execution.last_known_state in succeeded
    ]
    return _outputs(store, max(earlier)) if earlier else None


def _value(value: mlmd.Value) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _connection_config(deployment: Any) -> Any:
    connection = deployment.metadata_connection_config
    return getattr(connection, connection.WhichOneof("connection_config"))


def _cancel_unfinished(store: Any, pipeline_root: Path) -> list[str]:
    """Marks executions that a killed run left RUNNING as canceled and removes their outputs; returns the nodes.

    The caller holds the pipeline's lock, so nothing is really running.
    """
    running = mlmd.Execution.State.Name(mlmd.Execution.RUNNING)
    unfinished = store.get_executions(ListOptions(filter_query=f"last_known_state = {running}"))
    for execution in unfinished:
        execution.last_known_state = mlmd.Execution.CANCELED
    if not unfinished:
        return []
    remove_outputs(pipeline_root, [execution.id for execution in unfinished])
    store.put_executions(unfinished)
    contexts = [context for e in unfinished for context in store.get_contexts_by_execution(e.id)]
    return sorted({context.name.rpartition(".")[2] for context in contexts if context.type == "node"})
