"""ImportSchemaGen that re-runs when the schema file changes; TFX's own caches by the path alone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tfx import types
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.types import standard_artifacts
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import ImportSchemaGenSpec

from components.fingerprints import content_fingerprint


class CuratedSchemaSpec(ImportSchemaGenSpec):
    """ImportSchemaGen's spec plus a fingerprint of the file's content."""

    PARAMETERS: ClassVar = {**ImportSchemaGenSpec.PARAMETERS, "fingerprint": ExecutionParameter(type=str)}


class CuratedSchema(ImportSchemaGen):
    """Imports a curated schema; outputs `schema`. Its id is that of TFX's node.

    Args:
        schema_file: path of the .pbtxt as the node sees it; changed content is imported again.
        readable: path of the same file on this machine, if it differs.
    """

    SPEC_CLASS = CuratedSchemaSpec

    def __init__(self, schema_file: Path, readable: Path | None = None) -> None:
        spec = CuratedSchemaSpec(
            schema_file=str(schema_file),
            fingerprint=content_fingerprint(readable or schema_file),
            schema=types.Channel(type=standard_artifacts.Schema),
        )
        # ImportSchemaGen's constructor only builds its own spec.
        super(ImportSchemaGen, self).__init__(spec=spec)
        self.with_id("ImportSchemaGen")
