"""Executor of TokenizationGate: tokenizes a sample of the rows twice and compares."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.example_gen.rows import read_some_examples, text_of
from components.own_parts.cleaning import Cleaning, cleaned, cleaning_of, traced
from components.tokenization_gate.artifacts import MISMATCHES_PROPERTY, ROWS_PROPERTY
from components.tokenization_gate.report import (
    REPORT_FILE,
    Mismatch,
    ParityReport,
    ShownToken,
    report_text,
    shorten,
)
from components.tokenization_gate.sample import sample_sizes, sampled_rows
from components.tokenization_gate.settings import ParitySettings
from components.tokenization_gate.spec import (
    EXAMPLES_KEY,
    REFUSAL_DIR_KEY,
    REPORT_KEY,
    SETTINGS_KEY,
    STATISTICS_KEY,
)
from models.errors import GateRefused
from models.tokenizers.family import family_of, load_spec
from models.tokenizers.parity import (
    Difference,
    Token,
    Tokenizer,
    first_difference,
    graph_tokenizer,
    transformers_tokenizer,
)
from models.tokenizers.word_rules import WordRule

REFUSAL_FILE = "tokenization_gate.json"

_BATCH = 1000  # rows in memory
_KEPT = 20  # rows that differ, in the report
_QUOTED = 3  # of these, in the one-line message

_log = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Compares the two tokenizations of a sample."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the report.

        Raises:
            GateRefused: more rows differ than `parity.max_mismatch_rate` allows; the message has count, rate, limit
                and the first rows. `<refusal_dir>/tokenization_gate.json` has the report.
            CheckpointError: the tokenizer files cannot be reproduced.
            PipelineError: a shard is damaged.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = json.loads(exec_properties[SETTINGS_KEY])
        report = compare(
            _split_folders(input_dict),
            _rows(input_dict),
            settings["text_columns"],
            Path(settings["checkpoint_dir"]),
            settings["max_length"],
            settings["stride"],
            ParitySettings.model_validate(settings["parity"]),
            settings["text"],
            settings["words"],
        )
        for mismatch in report.examples:
            _log.warning("Tokenization gate: %s", mismatch)
        if report.refused:
            raise GateRefused(_refusal(report, exec_properties[REFUSAL_DIR_KEY]))
        made = artifact_utils.get_single_instance(output_dict[REPORT_KEY])
        io_utils.write_string_file(str(Path(made.uri, REPORT_FILE)), report_text(report))
        made.set_int_custom_property(ROWS_PROPERTY, report.rows_compared)
        made.set_int_custom_property(MISMATCHES_PROPERTY, report.rows_that_differ)


def _split_folders(inputs: dict[str, list[types.Artifact]]) -> dict[str, Path]:
    examples = artifact_utils.get_single_instance(inputs[EXAMPLES_KEY])
    splits = artifact_utils.decode_split_names(examples.split_names)
    return {split: Path(artifact_utils.get_split_uri([examples], split)) for split in splits}


def _rows(inputs: dict[str, list[types.Artifact]]) -> dict[str, int]:
    """Split -> its number of rows, from the statistics."""
    statistics = artifact_utils.get_single_instance(inputs[STATISTICS_KEY])
    rows = {}
    for split in artifact_utils.decode_split_names(statistics.split_names):
        file = io_utils.get_only_uri_in_dir(artifact_utils.get_split_uri([statistics], split))
        listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(io_utils.read_bytes_file(file))
        rows[split] = sum(int(dataset.num_examples) for dataset in listed.datasets[:1])
    return rows


def compare(
    folders: Mapping[str, Path],
    rows: Mapping[str, int],
    text_columns: Sequence[str],
    checkpoint: Path,
    max_length: int,
    stride: int | None,
    settings: ParitySettings,
    text: str | None = None,
    words: WordRule | None = None,
) -> ParityReport:
    """Tokenizes the sample twice.

    Args:
        folders: split -> its shards.
        rows: split -> its number of rows.
        text_columns: one raw column, or two for pairs.
        checkpoint: folder with the tokenizer files.
        max_length: maximum tokens of a row or a window.
        stride: tokens that windows share; None: rows are cut.
        settings: the config's `parity` section.
        text: the config's `transform.text`; cleaned texts are compared.
        words: what ends a word, if words are labelled.

    Raises:
        CheckpointError: the tokenizer files cannot be reproduced.
        PipelineError: a shard is damaged.
    """
    sizes = sample_sizes(rows, settings.rows)
    compared, mismatches, longer = (dict.fromkeys(rows, 0) for _ in range(3))
    examples = list[Mismatch]()
    if any(sizes.values()):
        both = _Both(checkpoint, len(text_columns), max_length, stride, words)
        clean = None if text is None else traced(cleaning_of(text))
        for split, size in sizes.items():
            for batch in _batches(folders[split], text_columns, rows[split], size):
                texts = batch if clean is None else _cleaned(batch, clean)
                found, cut = both.compare(split, texts)
                compared[split] += len(batch)
                mismatches[split] += len(found)
                longer[split] += cut
                examples += found[: _KEPT - len(examples)]
    return ParityReport(
        tokenizer=family_of(checkpoint).title,
        max_length=max_length,
        max_mismatch_rate=settings.max_mismatch_rate,
        rows=dict(rows),
        compared=compared,
        mismatches=mismatches,
        longer=longer,
        examples=tuple(examples),
    )


@dataclass(frozen=True)
class _Row:
    index: int
    texts: tuple[bytes, ...]


def _batches(folder: Path, columns: Sequence[str], rows: int, size: int) -> Iterator[list[_Row]]:
    chosen = (
        _Row(index, tuple(text_of(example, column) for column in columns))
        for index, example in read_some_examples(folder, sampled_rows(rows, size))
    )
    while batch := list(itertools.islice(chosen, _BATCH)):
        yield batch


def _cleaned(rows: Sequence[_Row], clean: Cleaning) -> list[_Row]:
    columns = [cleaned(column, clean) for column in zip(*(row.texts for row in rows), strict=True)]
    return [_Row(row.index, tuple(texts)) for row, *texts in zip(rows, *columns, strict=True)]


def _columns(rows: Sequence[_Row]) -> list[tuple[bytes, ...]]:
    return list(zip(*(row.texts for row in rows), strict=True))


class _Both:
    """The two tokenizers of a checkpoint."""

    def __init__(
        self, checkpoint: Path, columns: int, max_length: int, stride: int | None, words: WordRule | None
    ) -> None:
        # In this order, transformers' tokenizer is loaded once.
        self._transformers: Tokenizer = transformers_tokenizer(checkpoint, max_length, stride, words)
        self._graph: Tokenizer = graph_tokenizer(checkpoint, columns, max_length, stride, words)
        self._uncut: Tokenizer = transformers_tokenizer(checkpoint, None, words=words)
        self._tokens, self._max_length = load_spec(checkpoint).tokens, max_length

    def compare(self, split: str, rows: Sequence[_Row]) -> tuple[list[Mismatch], int]:
        """The rows that differ, and how many have more than `max_length` tokens."""
        columns = _columns(rows)
        theirs = self._transformers(columns)
        differences = map(first_difference, self._graph(columns), theirs)
        found = [
            self._mismatch(split, row, difference)
            for row, difference in zip(rows, differences, strict=True)
            if difference is not None
        ]
        # A shorter row was not cut, so few are tokenized once more.
        full = [row for row, made in zip(rows, theirs, strict=True) if len(made.ids) >= self._max_length]
        whole = self._uncut(_columns(full)) if full else []
        return found, sum(len(made.ids) > self._max_length for made in whole)

    def _mismatch(self, split: str, row: _Row, found: Difference) -> Mismatch:
        texts = tuple(map(shorten, row.texts))
        graph, transformers = self._shown(found.graph), self._shown(found.transformers)
        return Mismatch(split, row.index, texts, found.place, graph, transformers)

    def _shown(self, token: Token | None) -> ShownToken | None:
        if token is None:
            return None
        known = 0 <= token.id < len(self._tokens)
        return ShownToken(token.id, token.type, self._tokens[token.id] if known else "")


def _refusal(report: ParityReport, folder: str) -> str:
    """The one-line message; writes the report if there is a folder for it."""
    where = "the log"
    if folder:
        # Not beside the output: TFX removes that folder when a node fails.
        where = str(Path(folder, REFUSAL_FILE))
        io_utils.write_string_file(where, report_text(report))
    examples = "; ".join(map(str, report.examples[:_QUOTED]))
    more = f" (more in {where})" if report.rows_that_differ > _QUOTED else ""
    return (
        f"Tokenization gate refused: {report}: {examples}{more}; take another checkpoint, or raise "
        "parity.max_mismatch_rate if these rows may differ"
    )
