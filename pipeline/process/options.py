"""Arguments that several sub-commands of both runners take."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigPath = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file of the model, such as configs/trec.yaml.")
]
OptionalConfigPath = Annotated[
    str | None,
    typer.Argument(metavar="CONFIG", help="YAML file of the model; it is compiled. Or give --package."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key: --set train.epochs=1. Repeatable."),
]
