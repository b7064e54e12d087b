"""The config's `export` section: one key per format of `FORMATS`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from components.exports.format import FORMATS
from components.exports.format_settings import FormatSettings
from models.section import Section


class _AnyFormat(Section):
    """Further formats of a pushed model, each a node with its own gate; null: not made."""

    rows: int = Field(
        4096, ge=1, description="Maximum rows of the eval split for the comparison with the served model."
    )

    def chosen(self) -> dict[str, FormatSettings]:
        """Returns format -> settings for the formats to make."""
        every = {name: getattr(self, name) for name in FORMATS}
        return {name: settings for name, settings in every.items() if settings is not None}


def _field(package: str) -> Any:
    settings = importlib.import_module(f"{package}.settings").Settings
    summary, _, _ = settings.__doc__.partition(",")
    return (settings | None, Field(None, description=f"{summary}."))


if TYPE_CHECKING:
    ExportSettings = _AnyFormat
else:
    ExportSettings = create_model(
        "ExportSettings",
        __base__=_AnyFormat,
        __doc__=_AnyFormat.__doc__,
        **{name: _field(row.package) for name, row in FORMATS.items()},
    )
