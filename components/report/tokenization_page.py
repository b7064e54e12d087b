"""The page's section on the tokenization gate: rows compared, and rows that differ."""

from __future__ import annotations

from collections.abc import Iterator

from components.report.contents import Contents
from components.report.markup import Child, Html, tag
from components.report.tables import name, plain_table, section
from components.tokenization_gate.report import Mismatch, ParityReport, ShownToken


def tokenization_section(contents: Contents) -> Html:
    """Counts of every split, and the first rows that differ."""
    report = contents.parity
    note = f"{report.tokenizer}, at most {report.max_length} tokens a row: {report}. {_longer(report)}"
    return section("Tokenization", note, *_splits(report), *_examples(report))


def _longer(report: ParityReport) -> str:
    if not any(report.longer.values()):
        return ""
    return f"{report.share_of_longer:.1%} of the compared rows have more tokens (longer): they are cut, unless transform.window is set."


def _splits(report: ParityReport) -> Iterator[Html]:
    if report.rows_compared:
        rows: list[list[Child]] = [
            [
                name(split),
                f"{count:,}",
                f"{report.compared[split]:,}",
                f"{report.mismatches[split]:,}",
                f"{report.longer[split]:,}",
            ]
            for split, count in report.rows.items()
        ]
        yield plain_table(["split", "rows", "compared", "different", "longer"], rows)


def _examples(report: ParityReport) -> Iterator[Html]:
    if report.examples:
        yield tag("h3", f"First rows that differ (of {report.rows_that_differ:,})")
        heads = ["split", "row", "text", "token", "graph", "transformers"]
        yield plain_table(heads, map(_example, report.examples), ["text", "graph", "transformers"])


def _example(found: Mismatch) -> list[Child]:
    texts = [tag("div", name(text)) for text in found.texts]
    return [name(found.split), found.row, texts, found.place, _token(found.graph), _token(found.transformers)]


def _token(token: ShownToken | None) -> Child:
    return "(none)" if token is None else [name(token.text), f" {token.id}, type {token.type}"]
