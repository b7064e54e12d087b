"""Arguments that several sub-commands of `runner_local.py` take."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file of the model, such as configs/trec.yaml.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key: --set train.epochs=1. Repeatable."),
]
