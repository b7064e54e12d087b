"""The config's `parity` section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.section import Fraction, Section


class ParitySettings(Section):
    """Before training, rows of the run are tokenized in the graph and by transformers, and compared."""

    rows: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        2000, description="Rows compared, spread over all splits and their shards; `all`: every row; 0: none."
    )
    max_mismatch_rate: Fraction = Field(
        0.0, description="Share of the compared rows whose token ids or token types may differ."
    )
