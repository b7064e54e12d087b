"""ImportSchemaGen that notices an edit of the schema file: stock TFX caches by the path alone."""

from __future__ import annotations

from tfx import types
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter


class CuratedSchemaSpec(ComponentSpec):
    """ImportSchemaGen's parameters, and a fingerprint of the file's content."""

    PARAMETERS = {  # noqa: RUF012  (TFX's own form)
        standard_component_specs.SCHEMA_FILE_KEY: ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}  # noqa: RUF012
    OUTPUTS = {  # noqa: RUF012
        standard_component_specs.SCHEMA_KEY: ChannelParameter(type=standard_artifacts.Schema)
    }


class CuratedSchema(ImportSchemaGen):
    """Imports a curated schema; outputs `schema`.

    Args:
        schema_file: path of the .pbtxt.
        fingerprint: hash of its content; a new one re-imports it.
    """

    SPEC_CLASS = CuratedSchemaSpec

    def __init__(self, schema_file: str, fingerprint: str) -> None:
        spec = CuratedSchemaSpec(
            schema_file=schema_file,
            fingerprint=fingerprint,
            schema=types.Channel(type=standard_artifacts.Schema),
        )
        # ImportSchemaGen's constructor only builds its own spec.
        super(ImportSchemaGen, self).__init__(spec=spec)
