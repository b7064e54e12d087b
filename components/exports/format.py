"""The further formats of a model, one row each.

A format is a package with two modules. They are imported by name, and only by the node of the format, so that it
loads only its own tools and an edit of one format re-runs only the node of that format:

`settings`: `Settings`, a `FormatSettings`, whose docstring's first sentence describes the config key.
`export`: the functions listed in `Export`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from components.exports.opened import Opened


class Export(Protocol):
    """The functions of a format's module `export`."""

    def convert(self, saved_model: Path, variant: str, out: Path) -> None:
        """Writes a variant of the SavedModel into the folder `out`; raises PipelineError if it cannot."""

    def files(self, out: Path, variant: str) -> list[Path]:
        """The files that `convert` wrote, which count as the variant's size and are removed if it is rejected."""

    def opened(self, out: Path, variant: str) -> AbstractContextManager[Opened]:
        """Loads the variant in the runtime that its users have."""

    def ship_beside(
        self,
        saved_model: Path,
        checkpoint: Path,
        max_length: int,
        text_columns: Sequence[str],
        variants: Sequence[str],
        out: Path,
    ) -> None:
        """Writes the files shipped with the accepted variants: labels, tokenizer, an example."""


@dataclass(frozen=True)
class Format:
    """The package of a format, the id of its node, and the tasks whose answers its shipped program gives (None: all)."""

    package: str
    node_id: str
    tasks: tuple[str, ...] | None = None

    @property
    def module(self) -> str:
        """Dotted path of the module with the format's code."""
        return f"{self.package}.export"

    def load(self) -> Export:
        """Imports the module."""
        return cast(Export, importlib.import_module(self.module))


FORMATS = {
    "tflite": Format("components.exports.tflite", "TFLiteExport"),
    "onnx": Format("components.exports.onnx", "ONNXExport"),
    "tfjs": Format("components.exports.tfjs", "TFJSExport", ("single_label",)),
}
