"""report.json: the result of the tokenization gate. Plain Python, so that the summary can read it quickly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPORT_FILE = "report.json"

_TEXT_SHOWN = 60  # characters


@dataclass(frozen=True)
class ShownToken:
    """A token with its text."""

    id: int
    type: int
    text: str  # in the vocabulary; "" if the vocabulary does not have the id


@dataclass(frozen=True)
class Mismatch:
    """A row whose two tokenizations differ, and the first place at which they do.

    `row` counts from 0 over all shards of the split, `place` from 0 in the row. A token is None if the row has
    ended there.
    """

    split: str
    row: int
    texts: Sequence[str]  # shortened
    place: int
    graph: ShownToken | None
    transformers: ShownToken | None

    def __str__(self) -> str:
        texts = " and ".join(map(repr, self.texts))
        typed = (
            self.graph is not None and self.transformers is not None and self.graph.id == self.transformers.id
        )
        graph, transformers = _format(self.graph, typed), _format(self.transformers, typed)
        return (
            f"split {self.split!r}, row {self.row}, {texts}: token {self.place} is {graph} in the graph, "
            f"{transformers} by transformers"
        )


def _format(token: ShownToken | None, typed: bool) -> str:
    if token is None:
        return "missing"
    return f"{token.text!r} ({token.id}{f', type {token.type}' if typed else ''})"


@dataclass(frozen=True)
class ParityReport:
    """The comparison. `rows`, `compared`, `mismatches` and `longer` map a split to its count.

    `longer`: compared rows of more than `max_length` tokens, which are cut or have several windows.

    {"rows": {"train": 4216, ...}, "compared": {"train": 954, ...}, "mismatches": {"train": 0, ...}}
    """

    tokenizer: str  # "WordPiece"
    max_length: int
    max_mismatch_rate: float
    rows: Mapping[str, int]
    compared: Mapping[str, int]
    mismatches: Mapping[str, int]
    longer: Mapping[str, int]
    examples: Sequence[Mismatch] = ()  # the first

    @property
    def rows_compared(self) -> int:
        """Rows compared, of all splits."""
        return sum(self.compared.values())

    @property
    def rows_that_differ(self) -> int:
        """Compared rows that differ, of all splits."""
        return sum(self.mismatches.values())

    @property
    def share_of_longer(self) -> float:
        """Share of the compared rows, of all splits, that have more than `max_length` tokens."""
        return sum(self.longer.values()) / max(1, self.rows_compared)

    @property
    def refused(self) -> bool:
        """Whether more rows differ than the config allows."""
        compared, differ = self.rows_compared, self.rows_that_differ
        return differ > 0 and differ / compared > self.max_mismatch_rate

    def __str__(self) -> str:
        compared, differ = self.rows_compared, self.rows_that_differ
        if not compared:
            return "no row was compared: parity.rows is 0"
        share = f" ({differ / compared:.3%})" if differ else ""
        return (
            f"{differ:,} of {compared:,} rows{share} are tokenized differently in the graph and by transformers, "
            f"parity.max_mismatch_rate is {self.max_mismatch_rate:g}"
        )


def shorten(text: bytes) -> str:
    """The beginning of a text, for messages."""
    shown = text[: 4 * _TEXT_SHOWN].decode(errors="replace")
    return shown if len(shown) <= _TEXT_SHOWN else shown[:_TEXT_SHOWN] + "…"


def report_text(report: ParityReport) -> str:
    """The content of report.json; every example also has its sentence, as `message`."""
    content = asdict(report)
    for example, mismatch in zip(content["examples"], report.examples, strict=True):
        example["message"] = str(mismatch)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_parity_report(folder: Path) -> ParityReport:
    """Reads report.json back."""
    content = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return ParityReport(**content | {"examples": tuple(map(_mismatch, content["examples"]))})


def _mismatch(content: Mapping[str, Any]) -> Mismatch:
    graph, transformers = (
        None if content[side] is None else ShownToken(**content[side]) for side in ("graph", "transformers")
    )
    return Mismatch(
        content["split"], content["row"], tuple(content["texts"]), content["place"], graph, transformers
    )
