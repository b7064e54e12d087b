"""Arguments shared by the sub-commands of both runners."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file of the model, such as configs/trec.yaml.")
]
OptionalConfigPath = Annotated[
    str | None,
    typer.Argument(metavar="CONFIG", help="YAML file of the model, which is compiled; or give --package."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key: --set train.epochs=1. Repeatable."),
]
