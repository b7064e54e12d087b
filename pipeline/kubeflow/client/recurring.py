"""Recurring runs by name: made, replaced in place, switched on and off.

The v2beta1 API can switch a recurring run on and off, but not change it. A change is a new one, made
disabled, and then a swap: old off, new on, old deleted. Whatever fails on the way is taken back, so never
are both enabled, and the old one is left alone unless the new one runs.
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
    """What a recurring run is to be.

    Attributes:
      name: unique within the experiment.
      cron: six fields, in the scheduler's time zone.
      max_concurrency: runs at the same time, 1 to 10.
      catch_up: whether what was missed is made up for, one run for each time.
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
    """Recurring runs, all or those of one experiment and name, the newest last."""
    with server.calls() as client:
        found = list(
            pages(
                client.list_recurring_runs,
                "recurring_runs",
                experiment_id=experiment_id,
                namespace=server.namespace,
                filter=filter_of("display_name", name) if name else None,
                sort_by="created_at",
            )
        )
    return [run for run in found if not name or run.display_name == name]


def put(server: Server, wanted: Recurrence) -> tuple[str, list[str]]:
    """Makes the recurring run, in the place of those of its name.

    Returns:
      Its id, and ids of old ones that are disabled but were not deleted: that would kill their runs.

    Raises:
      PipelineError: what failed; the message says what was taken back.
    """
    old = recurring_runs(server, wanted.experiment_id, wanted.name)
    was_enabled = [run.recurring_run_id for run in old if run.status == "ENABLED"]
    made = _create(server, wanted)
    try:
        _switch(server, was_enabled, on=False)
        if wanted.enabled:
            _switch(server, [made], on=True)
    except BaseException as error:  # Ctrl-C too: half a swap would leave nothing enabled
        _take_back(server, made, was_enabled, error)
        raise
    return made, [run.recurring_run_id for run in old if not _removed(server, run)]


def switch(server: Server, experiment_id: str, name: str, on: bool) -> str:
    """Enables or disables the recurring run of a name; returns its id.

    Raises:
      UsageError: there is none.
    """
    found = recurring_runs(server, experiment_id, name)
    if not found:
        raise UsageError(f"--name {name}: no recurring run of this name; make it with --cron")
    _switch(server, [run.recurring_run_id for run in found[:-1]], on=False)
    _switch(server, [found[-1].recurring_run_id], on=on)
    return str(found[-1].recurring_run_id)


def _create(server: Server, wanted: Recurrence) -> str:
    with server.calls() as client:
        made = client.create_recurring_run(
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
    return str(made.recurring_run_id)


def _switch(server: Server, ids: list[str], on: bool) -> None:
    with server.calls() as client:
        for recurring_run_id in ids:
            if on:
                client.enable_recurring_run(recurring_run_id)
            else:
                client.disable_recurring_run(recurring_run_id)


def _take_back(server: Server, made: str, was_enabled: list[str], cause: BaseException) -> None:
    """The new one goes first: it must not be enabled beside the old one."""
    try:
        with server.calls() as client:
            client.delete_recurring_run(made)
        _switch(server, was_enabled, on=True)
    except ServerError as error:
        raise PipelineError(
            f"the swap failed half-way ({cause}), and so did taking it back ({error}); the recurring run {made} is "
            f"new, {', '.join(was_enabled) or 'none'} was enabled before: look at `schedules`, and schedule again"
        ) from error


def _removed(server: Server, old: Any) -> bool:
    """Deletes an old one, unless it has runs: Kubernetes deletes those with it."""
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
