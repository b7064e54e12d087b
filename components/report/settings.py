"""The config's `report` section."""

from __future__ import annotations

from pydantic import Field

from models.section import Section


class ReportSettings(Section):
    """The report on a run: how many rows of the evaluation split are predicted again, and what is shown."""

    max_rows: int = Field(
        5_000,
        ge=1,
        description="Maximum rows of evaluate.split, evenly spaced, for confusion matrix, calibration and mistakes.",
    )
    mistakes: int = Field(
        25, ge=0, le=200, description="Number of worst mistakes shown with their texts; 0: no text is shown."
    )
