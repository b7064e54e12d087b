"""Two stock TFX function components. No `annotations` import: TFX reads the annotations as objects."""

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Integer


@component
def MakeNumber(number: OutputArtifact[Integer], start: Parameter[int] = 1):
    """Writes `start`."""
    number.value = start


@component
def TakeNumber(number: Parameter[int]):
    """Takes a number."""
    del number
