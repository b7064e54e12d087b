"""The further formats of a model, one row each.

A format is a package with two modules. They are imported by name, only where the format is made, so that each
loads its own tools alone and an edit of one format re-runs the node of that format alone:

`settings`: `Settings`, a `FormatSettings`, whose docstring's first sentence describes the config key.
`export`: what `Export` lists.
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
        """Writes a variant of the SavedModel into the folder `out`; raises PipelineError where it cannot."""

    def files(self, out: Path, variant: str) -> list[Path]:
        """What `convert` wrote: the files that the size of a variant counts, and that a refusal removes."""

    def opened(self, out: Path, variant: str) -> AbstractContextManager[Opened]:
        """The variant, ready to answer, in the runtime that its users have."""

    def ship_beside(
        self,
        saved_model: Path,
        checkpoint: Path,
        max_length: int,
        text_columns: Sequence[str],
        variants: Sequence[str],
        out: Path,
    ) -> None:
        """Writes what goes with the accepted variants: labels, tokenizer, an example."""


@dataclass(frozen=True)
class Format:
    """Where a format lies, and the id of its node."""

    package: str
    node_id: str

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
    "tfjs": Format("components.exports.tfjs", "TFJSExport"),
}
