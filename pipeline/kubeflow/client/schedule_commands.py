"""The commands of `runner_kubeflow.py` for recurring runs: schedule, schedules."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from components.project import PROJECT_DIR
from models.errors import UsageError
from pipeline.kubeflow.client import options
from pipeline.kubeflow.client.run_values import Package, parse_values
from pipeline.kubeflow.client.timetable import Timetable, make_timetable
from pipeline.kubeflow.run_date import RUN_DATE, SPAN, now, time_zone
from pipeline.process.options import OptionalConfigPath

Cron = Annotated[
    str, typer.Option(help="Cron expression: five fields (minute first), or Kubeflow's six (seconds first).")
]
Timezone = Annotated[
    str,
    typer.Option(
        help="Time zone of --cron and of the printed times, such as Europe/Berlin; default: the scheduler's."
    ),
]
ServerTimezone = Annotated[
    str,
    typer.Option(
        envvar="CRON_SCHEDULE_TIMEZONE",
        help="Time zone of the scheduler, which the server does not report; UTC unless changed.",
    ),
]


def schedule(
    config: OptionalConfigPath = None,
    cron: Cron = "",
    timezone: Timezone = "",
    server_timezone: ServerTimezone = "UTC",
    name: Annotated[str, typer.Option(help="Name of the schedule; default: the pipeline's.")] = "",
    max_concurrency: Annotated[
        int, typer.Option(min=1, max=10, help="Maximum number of simultaneous runs.")
    ] = 1,
    catchup: Annotated[
        bool,
        typer.Option("--catchup/--no-catchup", help="Make up for every missed time, or only for the last."),
    ] = True,
    enable: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable", help="Without --cron: enable or disable the schedule of this name."
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="No runs before this time, 2026-12-01 or 2026-12-01T06:00.")
    ] = "",
    end: Annotated[str, typer.Option(help="No runs after this time.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    image: options.Image = "",
    package: options.PackagePath = None,
    set_: options.Overrides = None,
    param: options.Parameters = None,
    experiment: options.Experiment = "",
    pipeline_root: options.PipelineRoot = "",
    service_account: options.ServiceAccount = "",
    context: options.Context = PROJECT_DIR,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """Run the pipeline on a cron schedule. A schedule of the same name is replaced.

    Exit code: 0 done, 2 invalid command line or config, 1 any other failure.
    """
    if not cron:
        _switch(
            config, package, name, experiment, enable, options.access(host, namespace, token_file, ca_cert)
        )
        return
    options.check_source(config, package, image)
    zone = timezone or server_timezone
    first, last = _instant(start, "--start", zone), _instant(end, "--end", zone)
    table = _timetable(cron, zone, server_timezone, first, last)
    reached = options.access(host, namespace, token_file, ca_cert)
    options.check_root(pipeline_root)
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    with options.compiled(config, package, image, set_ or (), context) as pipeline:
        values = _values(pipeline, param or (), zone)
        _show(table, values)
        _confirm(yes)
        from pipeline.kubeflow.client.recurring import Recurrence, put
        from pipeline.kubeflow.client.submission import experiment_id, upload

        pipeline_id, version_id, _ = upload(server, pipeline)
        wanted = Recurrence(
            name=name or pipeline.name,
            description=f"{cron} in {zone}, created by runner_kubeflow.py",
            experiment_id=experiment_id(server, experiment or pipeline.name),
            pipeline_id=pipeline_id,
            version_id=version_id,
            cron=str(table.cron),
            values=values,
            start=first,
            end=last,
            max_concurrency=max_concurrency,
            catch_up=catchup,
            enabled=enable is not False,
            pipeline_root=pipeline_root,
            service_account=service_account,
        )
        created, kept = put(server, wanted)
    _say(
        f"schedule {wanted.name!r} {'enabled' if wanted.enabled else 'disabled'}: "
        f"{server.link('recurringrun/details/' + created)}"
    )
    for old in kept:
        _say(
            f"the replaced schedule {old} is disabled, but not deleted because it has unfinished runs; schedule again "
            "later to delete it"
        )


def schedules(
    experiment: Annotated[str, typer.Option(help="Only schedules of this experiment.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """List schedules. Their cron expressions are in the scheduler's time zone."""
    reached = options.access(host, namespace, token_file, ca_cert)
    from pipeline.kubeflow.client.recurring import recurring_runs
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    runs = recurring_runs(server, experiment_id=_known_experiment(server, experiment) if experiment else None)
    if json_:
        print(json.dumps([_as_json(run) for run in runs], indent=2))
        return
    for run in runs:
        values = _as_json(run)
        _say(f"{values['recurring_run_id']} {values['status']} '{values['cron']}' {values['name']}")


def _timetable(
    cron: str, zone: str, server_timezone: str, first: datetime | None, last: datetime | None
) -> Timetable:
    server_zone = time_zone(server_timezone, "--server-timezone")
    return make_timetable(cron, time_zone(zone, "--timezone"), server_zone, now(), first, last)


def _instant(text: str, option: str, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r}: must be a date or a time, 2026-12-01 or 2026-12-01T06:00"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=time_zone(zone, "--timezone"))


def _values(package: Package, params: list[str] | tuple[str, ...], zone: str) -> dict[str, Any]:
    """The parameters of the runs. By default, run_date is the day that a run is scheduled for, in the time zone."""
    values = parse_values(params, package.parameters)
    for name, value in values.items():
        if isinstance(value, str) and "[[" in value:
            raise UsageError(
                f"--param {name}={value}: Kubeflow does not replace macros in the recurring runs of a v2 pipeline; "
                "run_date is the day of the run, and --param span=run_date uses the data of that day"
            )
    if RUN_DATE in package.parameters:
        values.setdefault(RUN_DATE, zone)
    if SPAN in package.parameters and package.dated:
        values.setdefault(SPAN, RUN_DATE)
    return values


def _show(table: Timetable, values: dict[str, Any]) -> None:
    _say(f"cron in the scheduler's time zone: '{table.cron}'; the next runs:")
    for time in table.times:
        _say(f"  {time:%a %Y-%m-%d %H:%M:%S %Z} ({time.astimezone(UTC):%Y-%m-%d %H:%M} UTC)")
    if table.drifts_on:
        _say(
            f"warning: from {table.drifts_on} on, runs start at another time of day, because this time zone and the "
            "scheduler's do not change their clocks together; schedule again then, or set the scheduler's "
            "CRON_SCHEDULE_TIMEZONE to this time zone and give it as --server-timezone",
            "yellow",
        )
    if values:
        _say("parameters: " + ", ".join(f"{key}={value}" for key, value in sorted(values.items())))


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing was created: there is no terminal to ask for confirmation; confirm with --yes"
        )
    if not typer.confirm("Create it?"):
        raise typer.Exit(1)


def _switch(
    config: str | None, package: Path | None, name: str, experiment: str, enable: bool | None, reached: Any
) -> None:
    if enable is None:
        raise UsageError("--cron is missing, such as --cron '30 6 * * *'; or give only --enable or --disable")
    pipeline = _pipeline_name(config, package)
    if not (name or pipeline):
        raise UsageError(
            "--name of the schedule is missing; or give the CONFIG or --package that it is named after"
        )
    from pipeline.kubeflow.client.recurring import switch
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    experiment_id = _known_experiment(server, experiment or pipeline or name)
    switched = switch(server, experiment_id, name or pipeline, on=enable)
    _say(
        f"schedule {name or pipeline!r} {'enabled' if enable else 'disabled'}: "
        f"{server.link('recurringrun/details/' + switched)}"
    )


def _pipeline_name(config: str | None, package: Path | None) -> str:
    if package is not None:
        from pipeline.kubeflow.client.run_values import read_package

        return read_package(package).name
    if config is not None:
        from pipeline.config import load_config
        from pipeline.kubeflow.compiler.locations import pipeline_name

        return pipeline_name(load_config(config))
    return ""


def _known_experiment(server: Any, name: str) -> str:
    with server.looking_up() as client:
        return str(client.get_experiment(experiment_name=name, namespace=server.namespace).experiment_id)


def _as_json(run: Any) -> dict[str, Any]:
    cron = run.trigger.cron_schedule if run.trigger else None
    return {
        "recurring_run_id": run.recurring_run_id,
        "name": run.display_name,
        "status": run.status,
        "cron": cron.cron if cron else None,
        "max_concurrency": int(run.max_concurrency or 0),
        "catch_up": not run.no_catchup,
        "parameters": (run.runtime_config.parameters or {}) if run.runtime_config else {},
    }


def _say(line: str, style: str = "") -> None:
    Console().print(Text(line, style), soft_wrap=True)
