"""The `tokenize` sub-command: the tokens of a text in the graph and by transformers' own tokenizer."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.serving.quiet_import import LOG_LEVEL, QUIET, without_noise
from models.errors import UsageError
from pipeline.config import Config, task_of
from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR
from pipeline.process import quiet

if TYPE_CHECKING:
    from models.tokenizers.parity import Row, Token

STDIN = "-"


@dataclass(frozen=True)
class Compared:
    """One row, tokenized twice. `tokens[i]` has the id i; `whole`: number of tokens if the row is not cut.

    With a stride, the row has all windows of the text, one after the other.
    """

    graph: Row
    transformers: Row
    tokens: Sequence[str]
    max_length: int
    whole: int
    stride: int | None = None

    @property
    def equal(self) -> bool:
        return self.graph == self.transformers

    @property
    def places(self) -> list[tuple[Token | None, Token | None]]:
        """(token in the graph, token by transformers) of each place; None past the end of the shorter row."""
        return list(itertools.zip_longest(self.graph.tokens, self.transformers.tokens))

    def text(self, token: Token) -> str:
        """The token in the vocabulary; "" if the vocabulary does not have the id."""
        return self.tokens[token.id] if 0 <= token.id < len(self.tokens) else ""


def given_texts(config: Config, text: str, pair: str | None) -> list[bytes]:
    """The texts of the command line as bytes; `-` is read from stdin, without the last line break.

    Raises:
        UsageError: there is a second text and no `data.text_pair` in the config, or the reverse, or both are `-`.
    """
    wanted = config.data.text_pair
    if pair is not None and wanted is None:
        raise UsageError("--pair: the config has no data.text_pair, its rows have one text")
    if pair is None and wanted is not None:
        raise UsageError(f"--pair is missing: the config's rows have a second text, column {wanted!r}")
    texts = [text] if pair is None else [text, pair]
    if texts.count(STDIN) > 1:
        raise UsageError("--pair -: stdin is the first text already")
    return [_from_stdin() if given == STDIN else os.fsencode(given) for given in texts]


def _from_stdin() -> bytes:
    text = sys.stdin.buffer.read()
    for end in (b"\r\n", b"\n"):
        if text.endswith(end):
            return text.removesuffix(end)
    return text


def compare(config: Config, texts: Sequence[bytes]) -> Compared:
    """Tokenizes one row, cleaned by transform.text if it is set, in the graph and by transformers.

    Raises:
        PipelineError: the checkpoint cannot be fetched, or its tokenizer files cannot be reproduced.
    """
    from models.checkpoints.source import checkpoint_folder

    folder = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    os.environ.setdefault(LOG_LEVEL, QUIET)
    quiet.prepare_environment()
    with without_noise():
        from components.own_parts.cleaning import cleaned, cleaning_of, traced
        from models.tokenizers.hugging_face import verified_spec
        from models.tokenizers.parity import graph_tokenizer, transformers_tokenizer

        transform = config.transform
        clean = traced(cleaning_of(transform.text))
        rows = [cleaned([text], clean) for text in texts]
        max_length, stride = transform.max_length, transform.stride
        words = transform.words if task_of(config).facts().OF_WORDS else None
        # One load of transformers' tokenizer serves all of these, as long as `uncut` has it.
        uncut = transformers_tokenizer(folder, None, words=words)
        [whole] = uncut(rows)
        [cut] = transformers_tokenizer(folder, max_length, stride, words)(rows)
        [graph] = graph_tokenizer(folder, len(texts), max_length, stride, words)(rows)
    return Compared(graph, cut, verified_spec(folder).tokens, max_length, len(whole.ids), stride)


def as_json(found: Compared) -> dict[str, Any]:
    """`{"equal": true, "max_length": 64, "whole": 6, "graph": [{"token": "who", "id": 2040, "type": 0}, ...], ...}`."""
    both = {"graph": found.graph, "transformers": found.transformers}
    rows = {
        side: [{"token": found.text(token), **token._asdict()} for token in row.tokens]
        for side, row in both.items()
    }
    return {"equal": found.equal, "max_length": found.max_length, "whole": found.whole, **rows}


def print_compared(console: Console, found: Compared) -> None:
    """Prints one line for each place, and a summary."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", justify="right", no_wrap=True)
    for side in ("graph", "transformers"):
        table.add_column(side, overflow="fold")
        table.add_column("id", justify="right", no_wrap=True)
        table.add_column("type", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for place, (graph, theirs) in enumerate(found.places):
        mark = Text("" if graph == theirs else "✗", "bold red")
        style = "" if graph == theirs else "red"
        table.add_row(str(place), *_cells(found, graph), *_cells(found, theirs), mark, style=style)
    console.print(table)
    for line in _verdict(found):
        console.print(line, soft_wrap=True)


def _cells(found: Compared, token: Token | None) -> tuple[Text, str, str]:
    if token is None:
        return Text("", "dim"), "", ""
    text = found.text(token)
    return Text(text if text.isprintable() else repr(text)), str(token.id), str(token.type)


def _verdict(found: Compared) -> Iterator[Text]:
    length = f"transform.max_length is {found.max_length}"
    if found.whole > found.max_length and found.stride is not None:
        yield Text(f"Cut into windows that share {found.stride} tokens: {length}.")
    elif found.whole > found.max_length:
        yield Text(f"Cut to {len(found.transformers.ids)} of {found.whole} tokens: {length}.")
    else:
        yield Text(f"Nothing was cut: {length}.")
    different = sum(graph != theirs for graph, theirs in found.places)
    if found.equal:
        yield Text("The graph and transformers agree on every token.", "green")
    else:
        yield Text(
            f"The graph and transformers differ at {different} of {len(found.places)} places.", "bold red"
        )
