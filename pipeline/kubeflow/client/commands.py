"""The commands of `runner_kubeflow.py` for runs on a server: submit, runs, stop, logs."""

from __future__ import annotations

import difflib
import json
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.project import PROJECT_DIR
from models.errors import UsageError
from pipeline.kubeflow.client import options
from pipeline.kubeflow.client.run_values import parse_values
from pipeline.process.options import OptionalConfigPath

INTERRUPTED = 130

RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="Id of the run, as printed by `submit` and `runs`.")
]
PollSeconds = Annotated[float, typer.Option(min=0.05, help="Seconds between requests for the run's state.")]


def submit(
    config: OptionalConfigPath = None,
    image: options.Image = "",
    package: options.PackagePath = None,
    set_: options.Overrides = None,
    param: options.Parameters = None,
    experiment: options.Experiment = "",
    run_name: Annotated[
        str, typer.Option(help="Name of the run; default: the pipeline's name and the time.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show the steps until the run ends, or return at once.")
    ] = True,
    poll_seconds: PollSeconds = 5.0,
    pipeline_root: options.PipelineRoot = "",
    service_account: options.ServiceAccount = "",
    context: options.Context = PROJECT_DIR,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """Upload the pipeline, start a run and show its steps until it ends.

    Exit code: 0 pushed (with --no-wait: started), 3 rejected by a gate, 2 invalid command line or config,
    130 Ctrl-C (the run continues), 1 any other failure.
    """
    options.check_source(config, package, image)
    reached = options.access(host, namespace, token_file, ca_cert)
    options.check_root(pipeline_root)
    from pipeline.kubeflow.client.server import connect
    from pipeline.kubeflow.client.submission import start_run

    server = connect(reached)
    with options.compiled(config, package, image, set_ or (), context) as pipeline:
        values = parse_values(param or (), pipeline.parameters)
        run_id = start_run(
            server,
            pipeline,
            experiment or pipeline.name,
            run_name or f"{pipeline.name} {datetime.now():%Y-%m-%d %H:%M:%S}",
            values,
            pipeline_root,
            service_account,
        )
    _say(f"run {run_id}: {server.link('runs/details/' + run_id)}")
    if wait:
        _follow(server, run_id, pipeline.steps, poll_seconds)


def runs(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN_ID", help="Show the steps of this run.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="With RUN_ID: show the steps until the run ends, like `submit`.")
    ] = False,
    experiment: Annotated[str, typer.Option(help="Only runs of this experiment.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of runs, the newest first.")] = 20,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    poll_seconds: PollSeconds = 5.0,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """List runs, or show the steps of one. With --wait, the exit codes are those of `submit`."""
    if run_id is None and wait:
        raise UsageError("--wait needs RUN_ID")
    reached = options.access(host, namespace, token_file, ca_cert)
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    if run_id is None:
        _print_runs(_newest(server, experiment, limit), json_)
    else:
        with server.looking_up() as client:
            run = client.get_run(run_id)
        if wait:
            _follow(server, run_id, (), poll_seconds)
        _print_run(server, run, json_)


def stop(
    run_id: RunId,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """Stop a run: its pods are terminated, the served version stays."""
    reached = options.access(host, namespace, token_file, ca_cert)
    from pipeline.kubeflow.client.run_state import ENDED
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    with server.looking_up() as client:
        state = client.get_run(run_id).state
        if state in ENDED:
            raise UsageError(f"run {run_id} has ended already: {state}")
        client.terminate_run(run_id)
    _say(f"run {run_id} is being stopped: {server.link('runs/details/' + run_id)}")


def logs(
    run_id: RunId,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="One step, such as Trainer.")] = None,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """Print the logs of all steps of a run, or of one. They exist as long as the pods or the cluster's log archive."""
    reached = options.access(host, namespace, token_file, ca_cert)
    from pipeline.kubeflow.client.logs import read_log
    from pipeline.kubeflow.client.run_state import step_states
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    with server.looking_up() as client:
        steps = step_states(client.get_run(run_id))
    if step is not None and step not in steps:
        close = difflib.get_close_matches(step, list(steps), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(steps) or 'none yet'}"
        raise UsageError(f"run {run_id} has no step {step!r}; {hint}")
    for state in [steps[step]] if step is not None else steps.values():
        if not state.pods:
            _say(f"== {state.name}: no pod ({state.state})")
            continue
        for attempt, pod in enumerate(state.pods, 1):
            of = f", attempt {attempt} of {len(state.pods)}" if len(state.pods) > 1 else ""
            _say(f"== {state.name}{of} ({state.state})")
            print(read_log(server, run_id, pod), flush=True)


def _follow(server: Any, run_id: str, names: Any, poll_seconds: float) -> NoReturn:
    """Shows the run until it ends, then exits with the exit code for its outcome."""
    from pipeline.kubeflow.client.server import ServerError
    from pipeline.kubeflow.client.watch import conclude, follow

    goes_on = f"run {run_id} continues. Follow it: runs {run_id} --wait   Stop it: stop {run_id}"
    try:
        run = follow(server, run_id, names, Console(), poll_seconds)
    except KeyboardInterrupt:
        _say(goes_on)
        raise typer.Exit(INTERRUPTED) from None
    except ServerError:
        _say(goes_on)
        raise
    exit_code, lines = conclude(server, run, names)
    for line in lines:
        _say(line)
    raise typer.Exit(exit_code)


def _newest(server: Any, experiment: str, limit: int) -> list[Any]:
    from pipeline.kubeflow.client.submission import pages

    with server.looking_up() as client:
        inside = (
            {
                "experiment_id": client.get_experiment(
                    experiment_name=experiment, namespace=server.namespace
                ).experiment_id
            }
            if experiment
            else {"namespace": server.namespace}
        )
        return list(islice(pages(client.list_runs, "runs", sort_by="created_at desc", **inside), limit))


def _print_runs(runs: list[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_run_json(run) for run in runs], indent=2))
        return
    console = Console()
    if not console.is_terminal:
        for run in runs:
            _say(f"{run.run_id} {run.state} {run.created_at:%Y-%m-%dT%H:%M:%SZ} {run.display_name}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("run", "state", "created", "name"):
        table.add_column(column, overflow="fold")
    for run in runs:
        table.add_row(run.run_id, run.state, f"{run.created_at:%Y-%m-%d %H:%M} UTC", Text(run.display_name))
    console.print(table)


def _print_run(server: Any, run: Any, as_json: bool) -> None:
    from pipeline.kubeflow.client.run_state import step_states

    steps = step_states(run)
    if as_json:
        states = {step.name: {"state": step.state, "seconds": step.seconds} for step in steps.values()}
        print(json.dumps(_run_json(run) | {"steps": states}, indent=2))
        return
    _say(f"{run.display_name}: {run.state}, {server.link('runs/details/' + run.run_id)}")
    for step in steps.values():
        _say(f"  {step.name}: {step.state}")


def _run_json(run: Any) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "name": run.display_name,
        "state": run.state,
        "experiment_id": run.experiment_id,
        "recurring_run_id": run.recurring_run_id or None,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "parameters": (run.runtime_config.parameters or {}) if run.runtime_config else {},
    }


def _say(line: str) -> None:
    Console().print(Text(line), soft_wrap=True)
