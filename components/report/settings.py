"""The config's `report` section."""

from __future__ import annotations

from pydantic import Field

from models.section import Section


class ReportSettings(Section):
    """The report on a run: what of the evaluation split is predicted once more, and what of it is shown."""

    max_rows: int = Field(
        5_000,
        ge=1,
        description="Rows of evaluate.split, spread evenly, that confusion matrix, calibration and mistakes look at.",
    )
    mistakes: int = Field(
        25, ge=0, le=200, description="Worst mistakes shown with their texts; 0: no text leaves the data."
    )
