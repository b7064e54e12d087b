"""Commands of `runner_kubeflow.py` for recurring runs: schedule, schedules."""

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

Cron = Annotated[str, typer.Option(help="Five fields (minute first), or Kubeflow's six (seconds first).")]
Timezone = Annotated[
    str,
    typer.Option(help="Time zone of --cron and of what is shown, Europe/Berlin; default: the scheduler's."),
]
ServerTimezone = Annotated[
    str,
    typer.Option(
        envvar="CRON_SCHEDULE_TIMEZONE",
        help="Time zone of the scheduler, which no server tells; UTC as shipped.",
    ),
]


def schedule(
    config: OptionalConfigPath = None,
    cron: Cron = "",
    timezone: Timezone = "",
    server_timezone: ServerTimezone = "UTC",
    name: Annotated[str, typer.Option(help="Name of the schedule; default: the pipeline's.")] = "",
    max_concurrency: Annotated[int, typer.Option(min=1, max=10, help="Runs of it at the same time.")] = 1,
    catchup: Annotated[
        bool,
        typer.Option("--catchup/--no-catchup", help="Make up for every missed time, or for the last only."),
    ] = True,
    enable: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable", help="Without --cron: switch the schedule of this name on or off."
        ),
    ] = None,
    start: Annotated[str, typer.Option(help="First instant, 2026-12-01 or 2026-12-01T06:00.")] = "",
    end: Annotated[str, typer.Option(help="Last instant.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
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
    """Run the pipeline at times of a cron. A schedule of the same name is replaced in place.

    Exit code: 0 done, 2 bad usage or config, 1 anything else.
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
    with options.compiled(config, package, image, set_ or (), context) as found:
        values = _values(found, param or (), zone)
        _show(table, values)
        _confirm(yes)
        from pipeline.kubeflow.client.recurring import Recurrence, put
        from pipeline.kubeflow.client.submission import experiment_id, upload

        pipeline_id, version_id, _ = upload(server, found)
        wanted = Recurrence(
            name=name or found.name,
            description=f"{cron} in {zone}, made by runner_kubeflow.py",
            experiment_id=experiment_id(server, experiment or found.name),
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
        made, kept = put(server, wanted)
    _say(
        f"schedule {wanted.name!r} {'enabled' if wanted.enabled else 'disabled'}: "
        f"{server.link('recurringrun/details/' + made)}"
    )
    for old in kept:
        _say(
            f"its earlier form {old} is disabled and stays until its runs have ended; schedule again to delete it"
        )


def schedules(
    experiment: Annotated[str, typer.Option(help="Only those of this experiment.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    host: options.Host = "",
    namespace: options.Namespace = "",
    token_file: options.TokenFile = None,
    ca_cert: options.CaCert = None,
) -> None:
    """List schedules. Their cron is in the scheduler's time zone."""
    reached = options.access(host, namespace, token_file, ca_cert)
    from pipeline.kubeflow.client.recurring import recurring_runs
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    found = recurring_runs(
        server, experiment_id=_known_experiment(server, experiment) if experiment else None
    )
    if json_:
        print(json.dumps([_as_json(run) for run in found], indent=2))
        return
    for run in found:
        told = _as_json(run)
        _say(f"{told['recurring_run_id']} {told['status']} '{told['cron']}' {told['name']}")


def _timetable(
    cron: str, zone: str, server_timezone: str, first: datetime | None, last: datetime | None
) -> Timetable:
    server_zone = time_zone(server_timezone, "--server-timezone")
    return make_timetable(cron, time_zone(zone, "--timezone"), server_zone, now(), first, last)


def _instant(text: str, option: str, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r}: write a day or an instant, 2026-12-01 or 2026-12-01T06:00"
        ) from None
    return told if told.tzinfo else told.replace(tzinfo=time_zone(zone, "--timezone"))


def _values(package: Package, given: list[str] | tuple[str, ...], zone: str) -> dict[str, Any]:
    """Parameters of the runs: each stands for the day that it is scheduled for, in the schedule's time zone."""
    values = parse_values(given, package.parameters)
    for name, value in values.items():
        if isinstance(value, str) and "[[" in value:
            raise UsageError(
                f"--param {name}={value}: Kubeflow does not replace macros in the recurring runs of a v2 pipeline; "
                "run_date is the day of the run, and --param span=run_date the data of that day"
            )
    if RUN_DATE in package.parameters:
        values.setdefault(RUN_DATE, zone)
    if SPAN in package.parameters and package.dated:
        values.setdefault(SPAN, RUN_DATE)
    return values


def _show(table: Timetable, values: dict[str, Any]) -> None:
    _say(f"cron of the scheduler: '{table.cron}'; the next times:")
    for time in table.times:
        _say(f"  {time:%a %Y-%m-%d %H:%M:%S %Z} ({time.astimezone(UTC):%Y-%m-%d %H:%M} UTC)")
    if table.drifts_on:
        _say(
            f"warning: from {table.drifts_on} on it runs at another time of day: the scheduler's clock "
            "does not change with this time zone's; schedule again then, or set the scheduler's "
            "CRON_SCHEDULE_TIMEZONE to this zone and give it as --server-timezone",
            "yellow",
        )
    if values:
        _say("parameters: " + ", ".join(f"{key}={value}" for key, value in sorted(values.items())))


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing was made: there is no terminal to ask at; confirm with --yes")
    if not typer.confirm("Make it?"):
        raise typer.Exit(1)


def _switch(
    config: str | None, package: Path | None, name: str, experiment: str, enable: bool | None, reached: Any
) -> None:
    if enable is None:
        raise UsageError(
            "--cron is missing, such as --cron '30 6 * * *'; or give --enable or --disable alone"
        )
    pipeline = _pipeline_name(config, package)
    if not (name or pipeline):
        raise UsageError("--name is missing: which schedule? Or give CONFIG or --package, whose name it has")
    from pipeline.kubeflow.client.recurring import switch
    from pipeline.kubeflow.client.server import connect

    server = connect(reached)
    found = _known_experiment(server, experiment or pipeline or name)
    switched = switch(server, found, name or pipeline, on=enable)
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
