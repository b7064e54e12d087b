"""The sub-commands for pushed versions: versions, rollback, promote, prune. TensorFlow is not imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipeline.process.options import ConfigPath, Overrides

if TYPE_CHECKING:
    from components.pusher.settings import PushSettings


def versions(
    config: ConfigPath,
    set_: Overrides = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON list instead.")] = False,
) -> None:
    """List the pushed versions of a model, the newest last, with time, run, origin and metrics."""
    from components.versions.store import versions as list_versions
    from pipeline.config import load_config
    from pipeline.local.version_list import as_json, as_lines

    loaded = load_config(config, set_ or ())
    pushed = list_versions(loaded.push.serving_dir, loaded.name)
    if json_:
        print(json.dumps(as_json(pushed), indent=2))
    elif pushed:
        console = Console()
        for line in as_lines(pushed):
            console.print(line, soft_wrap=True)
    else:
        folder = loaded.push.serving_dir / loaded.name
        _say(f"{folder}: nothing has been pushed yet")


def rollback(config: ConfigPath, set_: Overrides = None) -> None:
    """Restore the previous version, as a new version with the highest number."""
    from components.versions.record import read_record
    from components.versions.store import rollback as roll_back
    from pipeline.config import load_config

    loaded = load_config(config, set_ or ())
    number = roll_back(loaded.push.serving_dir, loaded.name, loaded.push.keep)
    path = loaded.push.serving_dir / loaded.name / str(number)
    origin = read_record(path).restored_from
    _say(f"version {number} has the content of version {origin}: {path}")
    _say_what_stays(loaded.push)


def promote(
    config: ConfigPath,
    version: Annotated[int, typer.Argument(help="Number of a served version.")],
    to: Annotated[
        str | None,  # a Path would make the folder gs:/bucket of gs://bucket
        typer.Option(
            help="Serving folder to copy the version to, such as production's; default: its own folder."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote even if the other folder serves a newer run's model.")
    ] = False,
    set_: Overrides = None,
) -> None:
    """Make one version the newest, in its own serving folder or in another one, under a new number."""
    from components.versions.store import promote as promote_version
    from pipeline.config import load_config

    loaded = load_config(config, set_ or ())
    push = loaded.push
    number = promote_version(push.serving_dir, loaded.name, version, to, push.keep, force)
    path = Path(push.serving_dir if to is None else to) / loaded.name / str(number)
    _say(f"version {number} has the content of version {version}: {path}")
    if to is None:
        _say_what_stays(push)


def prune(
    config: ConfigPath,
    keep: Annotated[
        int | None, typer.Option(help="Number of newest versions to keep; default: push.keep.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    set_: Overrides = None,
) -> None:
    """Remove all but the newest versions."""
    from components.versions.store import prune as prune_versions
    from pipeline.config import load_config

    loaded = load_config(config, set_ or ())
    keep = loaded.push.keep if keep is None else keep
    removed = prune_versions(loaded.push.serving_dir, loaded.name, keep, dry_run)
    numbers = ", ".join(map(str, removed)) or "none"
    _say(f"{'would be removed' if dry_run else 'removed'}: {numbers}")


def _say_what_stays(push: PushSettings) -> None:
    if push.destinations:
        _say(
            "not changed, because only a run pushes to push.destinations: "
            f"{', '.join(map(str, push.destinations))}"
        )


def _say(message: str) -> None:
    Console().print(Text(message), soft_wrap=True)
