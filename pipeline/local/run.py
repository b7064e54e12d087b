"""The `run` command: reads the config, runs the pipeline, prints the outcome and returns the exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from rich.console import Console

from components import interrupts
from components.versions.runs import new_run_id
from models.errors import PipelineError, UsageError
from pipeline.beam.settings import check_local
from pipeline.config import Config, load_config, task_of
from pipeline.local import leftovers, metadata_store, run_lock, sudden_end
from pipeline.local.display import Display, make_display
from pipeline.local.failures import explain
from pipeline.paths import CACHE_DIR, RECIPES_DIR, PipelinePaths, local_paths
from pipeline.process import quiet
from pipeline.process.exit import leave_now

if TYPE_CHECKING:
    from pipeline.local.node_run import NodeRun
    from pipeline.local.outcome import Outcome

INTERRUPTED = 130
_WIDTH = 120  # of output that does not go to a terminal


@dataclass(frozen=True)
class RunRequest:
    """The options of the command line."""

    config_path: str
    overrides: Sequence[str] = ()
    root: Path = Path("runs")
    cache: bool = True
    json: bool = False
    verbose: bool = False
    wait: bool = False
    force: bool = False
    verify: bool = False


@dataclass
class _Progress:
    """The states of the nodes so far, in the pipeline's order."""

    nodes: dict[str, NodeRun] = field(default_factory=dict)


def run(request: RunRequest) -> int:
    """Runs the pipeline and returns the exit code.

    0: pushed, 1: failed, 2: invalid config, 3: rejected by a gate, 130: Ctrl-C.
    """
    run_id = new_run_id()
    started, paths = time.monotonic(), None
    try:
        config = load_config(request.config_path, request.overrides)
        check_local(config.beam)
        paths = local_paths(request.root, config.name)
        log_path = _log_folder(request.root, paths) / f"{run_id}.log"
        sudden_end.know(run_id=run_id, log=str(_relative(log_path)), json=request.json)
        with quiet.redirected(log_path, request.verbose) as (out, err):
            session = _Session(request, config, paths, run_id, log_path, started, out, err)
            return session.run()
    except PipelineError as error:
        return _fail(request, run_id, str(error), error.exit_code, time.monotonic() - started)
    except Exception as error:  # noqa: BLE001 - when memory runs out, even reporting a failure can fail
        failure = explain(error, paths.logs_dir if paths else request.root)
        return _fail(request, run_id, failure.reason, failure.exit_code, time.monotonic() - started)


def _log_folder(root: Path, paths: PipelinePaths) -> Path:
    try:
        paths.logs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--root {root}: no folder can be created there: {error.strerror}") from None
    return paths.logs_dir


def _fail(request: RunRequest, run_id: str, reason: str, exit_code: int, seconds: float) -> int:
    Console(stderr=True).print(f"error: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    if request.json:
        print(json.dumps(json_of_failure(run_id, reason, seconds)), flush=True)
    return exit_code


def json_of_failure(run_id: str, reason: str, seconds: float) -> dict[str, Any]:
    """What `--json` prints for a run that failed before its nodes were known."""
    return {
        "run_id": run_id,
        "status": "failed",
        "blessed": None,
        "pushed": False,
        "version": None,
        "metrics": {},
        "baseline_metrics": None,
        "nodes": [],
        "seconds": round(seconds, 3),
        "serving_dir": "",
        "reason": reason,
        "warnings": [],
        "exports": [],
    }


@dataclass
class _Session:
    """One run, after its console and log have been set up."""

    request: RunRequest
    config: Config
    paths: PipelinePaths
    run_id: str
    log_path: Path
    started: float
    out: TextIO
    err: TextIO

    def run(self) -> int:
        """Runs and prints; returns the exit code."""
        console = Console(file=self.err if self.request.json else self.out)
        if not console.is_terminal:
            console = Console(file=console.file, width=_WIDTH)
        progress = _Progress()
        failure: BaseException | None = None
        try:
            with make_display(console) as display:
                self._run_nodes(display, progress)
        except (Exception, KeyboardInterrupt) as error:
            logging.getLogger(__name__).exception("The run ended with an error")
            failure = metadata_store.explained(error, self.paths.metadata_path) or error
        return self._conclude(console, list(progress.nodes.values()), failure)

    def _run_nodes(self, display: Display, progress: _Progress) -> None:
        say = display.say
        with run_lock.hold(
            self.paths.lock_path,
            self.run_id,
            self.request.wait,
            lambda holder: say(f"{self.config.name}: waiting for {holder}"),
        ):
            leftovers.remove_leftovers(self.paths)
            with leftovers.temporary_folder(self.paths.temp_dir / self.run_id):
                self.paths = _with_inputs(self.config, self.paths, display)
                self._run_pipeline(display, progress)

    def _run_pipeline(self, display: Display, progress: _Progress) -> None:
        from pipeline.process import light_imports

        quiet.prepare_environment()
        light_imports.install()
        from pipeline.local.dag_runner import ObservedDagRunner
        from pipeline.local.node_run import NodeRun
        from pipeline.training_pipeline import create_pipeline

        metadata_store.prepare(
            self.paths.metadata_path, self.paths.pipeline_root, f"broken-{self.run_id}", display.say
        )
        pipeline = create_pipeline(self.config, self.paths, force_push=self.request.force)
        if not self.request.cache:
            pipeline.enable_cache = False
        node_ids = [component.id for component in pipeline.components]
        progress.nodes = {node_id: NodeRun(node_id, "waiting") for node_id in node_ids}
        _forget_outdated_results(self.paths, self.request.verify, display.say)
        display.start(node_ids)

        with _training_shown(display), interrupts.remembered(at_once=True) as check_interrupt:

            def observe(node: NodeRun) -> None:
                progress.nodes[node.id] = node
                sudden_end.know(node=node.id if node.state == "running" else "")
                display.node(node)
                if node.state in ("done", "cached"):
                    check_interrupt()

            ObservedDagRunner(self.run_id, observe, display.say, self.request.verify).run(pipeline)

    def _conclude(self, console: Console, nodes: list[NodeRun], failure: BaseException | None) -> int:
        from pipeline.local.outcome import as_json, gather

        explained, exit_code = _explain(failure, self.log_path)
        outcome = gather(
            self.run_id,
            time.monotonic() - self.started,
            nodes,
            self.config.data.label_column,
            self.config.push.serving_dir / self.config.name,
            self.config.evaluate,
            explained,
        )
        if explained is not None:
            _print_failure(console, outcome)
        else:
            self._print_summary(console, outcome)
            exit_code = 3 if outcome.status == "refused" else 0
        if self.request.json:
            self.out.write(json.dumps(as_json(outcome)) + "\n")
            self.out.flush()
        return exit_code

    def _print_summary(self, console: Console, outcome: Outcome) -> None:
        from models.tasks.label_list import read_labels
        from pipeline.local.summary import print_summary

        print_summary(
            console,
            outcome,
            self.config.evaluate,
            read_labels(self.config.data.label_list),
            task_of(self.config),
            [self.request.config_path, *(part for o in self.request.overrides for part in ("--set", o))],
            _relative(self.log_path),
        )


def _explain(failure: BaseException | None, log_path: Path) -> tuple[tuple[Any, str] | None, int]:
    """((status, reason), exit code) of a run that did not finish."""
    if failure is None:
        return None, 0
    if isinstance(failure, KeyboardInterrupt):
        return ("interrupted", "Interrupted. Run the same command to resume."), INTERRUPTED
    explained = explain(failure, _relative(log_path))
    return ("refused" if explained.exit_code == 3 else "failed", explained.reason), explained.exit_code


def _print_failure(console: Console, outcome: Outcome) -> None:
    prefix, style = {
        "refused": ("refused: ", "bold yellow"),
        "interrupted": ("", "yellow"),
    }.get(outcome.status, ("error: ", "bold red"))
    console.print(f"{prefix}{outcome.reason}", style=style, markup=False, highlight=False, soft_wrap=True)


def _relative(path: Path) -> Path:
    """The path relative to the current folder if it is below it, which is shorter to read."""
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


def _with_inputs(config: Config, paths: PipelinePaths, display: Display) -> PipelinePaths:
    """Creates or checks the pipeline's inputs before anything heavy is imported."""
    from pipeline import inputs

    inputs.check_places(config)
    inputs.check_settings(config)
    _make_data(config, display)
    inputs.check_examples(config)
    return local_paths(paths.root.parent, config.name, inputs.encoder_of(config, display.say))


def _make_data(config: Config, display: Display) -> None:
    if config.data.recipe is None:
        return
    from pipeline.importing.recipes import is_made_by_recipe, make_dataset

    exists = config.data.path.exists()
    if not exists:
        display.say(f"Making the dataset {config.data.recipe} in {config.data.path}")
    if not exists or is_made_by_recipe(config.data.path):  # otherwise it is the user's own data
        make_dataset(config.data.recipe, RECIPES_DIR, config.data.path, CACHE_DIR)


def _forget_outdated_results(paths: PipelinePaths, verify: bool, say: Callable[[str], None]) -> None:
    """Removes cached results that no longer hold: pushes whose version is not served any more, and canary rejections.

    Args:
        paths: of the pipeline.
        verify: read all pushed and exported files in full, instead of comparing sizes and times.
        say: called with one line for each served version that is damaged.
    """
    from ml_metadata import MetadataStore
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    from components.canary.refusals import forget_refusals
    from components.exports.lost_exports import forget_lost_exports
    from components.pusher.lost_pushes import forget_lost_pushes
    from components.versions.record import version_damage

    store = MetadataStore(sqlite_metadata_connection_config(str(paths.metadata_path)))
    for version in map(Path, forget_lost_pushes(store, verify)):
        broken = version_damage(version, verify) if version.is_dir() else ""
        if broken:
            say(
                f"{_relative(version)}: the version is damaged: {broken}; a run of its config pushes it again"
            )
    forget_refusals(store)
    forget_lost_exports(store, verify)


@contextlib.contextmanager
def _training_shown(display: Display) -> Iterator[None]:
    from components.trainer import progress

    def show(report: progress.TrainProgress) -> None:
        progress.log_progress(report)
        display.training(report)

    progress.set_sink(show, display.say)
    try:
        yield
    finally:
        progress.set_sink(None)


def leave(exit_code: int) -> NoReturn:
    """Ends the process; after an interruption at once, because Beam's worker threads would delay it."""
    if exit_code == INTERRUPTED:
        leave_now(exit_code)
    raise SystemExit(exit_code)
