"""Creates, replaces, enables and disables recurring runs by name.

The v2beta1 API can enable and disable a recurring run, but not change it. To change one, a new one is created
disabled; then the old one is disabled, the new one enabled and the old one deleted. If a step fails, the steps before
it are undone. So the two are never enabled at the same time, and the old one is kept until the new one is enabled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.errors import PipelineError, UsageError
from pipeline.kubeflow.client.run_state import ENDED
from pipeline.kubeflow.client.server import Server, ServerError
from pipeline.kubeflow.client.submission import filter_of, pages


@dataclass(frozen=True)
class Recurrence:
    """The settings of a recurring run.

    Attributes:
        name: unique within the experiment.
        cron: six fields, in the scheduler's time zone.
        max_concurrency: maximum number of simultaneous runs, 1 to 10.
        catch_up: whether missed times are made up for, with one run each.
        values: parameters of its runs.
    """

    name: str
    description: str
    experiment_id: str
    pipeline_id: str
    version_id: str
    cron: str
    values: dict[str, Any]
    start: datetime | None = None
    end: datetime | None = None
    max_concurrency: int = 1
    catch_up: bool = True
    enabled: bool = True
    pipeline_root: str = ""
    service_account: str = ""


def recurring_runs(server: Server, experiment_id: str | None, name: str = "") -> list[Any]:
    """Lists recurring runs, all or those of one experiment and name, the newest last."""
    with server.calls() as client:
        runs = list(
            pages(
                client.list_recurring_runs,
                "recurring_runs",
                experiment_id=experiment_id,
                namespace=server.namespace,
                filter=filter_of("display_name", name) if name else None,
                sort_by="created_at",
            )
        )
    return [run for run in runs if not name or run.display_name == name]


def put(server: Server, wanted: Recurrence) -> tuple[str, list[str]]:
    """Creates the recurring run and replaces those of the same name.

    Returns:
        Its id, and the ids of old ones that were disabled but not deleted, because that would kill their runs.

    Raises:
        PipelineError: a request failed; the message says whether the change was undone.
    """
    old = recurring_runs(server, wanted.experiment_id, wanted.name)
    was_enabled = [run.recurring_run_id for run in old if run.status == "ENABLED"]
    new_id = _create(server, wanted)
    try:
        _switch(server, was_enabled, on=False)
        if wanted.enabled:
            _switch(server, [new_id], on=True)
    except BaseException as error:  # also Ctrl-C: otherwise neither might be enabled
        _undo(server, new_id, was_enabled, error)
        raise
    return new_id, [run.recurring_run_id for run in old if not _removed(server, run)]


def switch(server: Server, experiment_id: str, name: str, on: bool) -> str:
    """Enables or disables the recurring run of a name; returns its id.

    Raises:
        UsageError: there is none.
    """
    runs = recurring_runs(server, experiment_id, name)
    if not runs:
        raise UsageError(f"--name {name}: no recurring run of this name; create it with --cron")
    _switch(server, [run.recurring_run_id for run in runs[:-1]], on=False)
    _switch(server, [runs[-1].recurring_run_id], on=on)
    return str(runs[-1].recurring_run_id)


def _create(server: Server, wanted: Recurrence) -> str:
    with server.calls() as client:
        created = client.create_recurring_run(
            wanted.experiment_id,
            wanted.name,
            description=wanted.description,
            start_time=wanted.start,
            end_time=wanted.end,
            cron_expression=wanted.cron,
            max_concurrency=wanted.max_concurrency,
            no_catchup=not wanted.catch_up,
            params=wanted.values,
            pipeline_id=wanted.pipeline_id,
            version_id=wanted.version_id,
            enabled=False,
            pipeline_root=wanted.pipeline_root or None,
            service_account=wanted.service_account or None,
        )
    return str(created.recurring_run_id)


def _switch(server: Server, ids: list[str], on: bool) -> None:
    with server.calls() as client:
        for recurring_run_id in ids:
            if on:
                client.enable_recurring_run(recurring_run_id)
            else:
                client.disable_recurring_run(recurring_run_id)


def _undo(server: Server, new_id: str, was_enabled: list[str], cause: BaseException) -> None:
    """Deletes the new one, then enables the old one: they must never be enabled at the same time."""
    try:
        with server.calls() as client:
            client.delete_recurring_run(new_id)
        _switch(server, was_enabled, on=True)
    except ServerError as error:
        raise PipelineError(
            f"replacing the recurring run failed ({cause}), and so did undoing it ({error}); the new one is {new_id}, "
            f"{', '.join(was_enabled) or 'none'} was enabled before: check them with `schedules`, and schedule again"
        ) from error


def _removed(server: Server, old: Any) -> bool:
    """Deletes an old one unless it has unfinished runs, which Kubernetes would delete too; returns whether it did."""
    runs_of_it = filter_of("recurring_run_id", old.recurring_run_id)
    try:
        with server.calls() as client:
            runs = pages(client.list_runs, "runs", experiment_id=old.experiment_id, filter=runs_of_it)
            if any(run.state not in ENDED for run in runs):
                return False
            client.delete_recurring_run(old.recurring_run_id)
    except ServerError:
        return False  # it is disabled; the next `schedule` tries again
    return True
