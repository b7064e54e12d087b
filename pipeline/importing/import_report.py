"""Counts what an import reads and writes, and reports it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import PipelineError
from models.look_alikes import listed, look_alikes, quoted
from models.tasks.importing import BETWEEN, Imported, Spread
from models.tasks.task import DEFAULT_TASK
from pipeline.importing.row_values import Layout, OtherTaskError, Table
from pipeline.importing.rows import SAMPLES, ReadNotes, Sightings, short
from pipeline.importing.spill import Merged, Stored
from pipeline.importing.splits import SPLITS, TRAIN
from pipeline.importing.starting_files import MAX_SLICES
from pipeline.importing.token_lengths import SAMPLE, TokenLengths

MAX_LABELS = 10_000
# The default of data.gate.min_rows: with fewer rows in a split, the data gate rejects the run.
_FEW_ROWS = 10
_WORD_AND_TAB = re.compile(r"[\w\"'-]{1,30}\t\S")


@dataclass(frozen=True)
class ImportReport:
    """What was read, dropped and written. Counts are numbers of rows unless the name says otherwise."""

    name: str
    out_dir: str
    config: str | None
    files: list[str]
    rows_read: int
    rows_written: int
    blank_texts: int
    duplicates: int
    conflicting_texts: int
    conflicting_rows: int
    conflict_samples: list[str]
    rows_with_line_breaks: int
    labels: list[str]
    merged_labels: dict[str, str]  # a label in the files -> the label that was written instead
    splits: dict[str, dict[str, int]]  # split -> label -> rows
    slices: dict[str, int]  # extra column -> number of its values in the test split, at most MAX_SLICES + 1
    shards: dict[str, int]
    notes: list[str]  # what was detected about the files
    warnings: list[str]
    task: str = DEFAULT_TASK
    rows: dict[str, int] = field(default_factory=dict)  # split -> rows
    targets: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # split -> mean, deviation, lowest, highest
    token_lengths: TokenLengths | None = None  # None: not measured
    published: list[str] = field(
        default_factory=list
    )  # splits that the data is published with, kept row for row
    in_other_split: int = 0  # left out, because their text is in a published split that comes later


@dataclass
class Tally:
    """Counts while rows are read and written."""

    rows_read: int = 0
    blank_texts: int = 0
    duplicates: int = 0
    conflicting_texts: int = 0
    conflicting_rows: int = 0
    conflict_samples: list[str] = field(default_factory=list)
    published: set[str] = field(default_factory=set)  # splits that the data is published with
    in_other_split: int = 0  # rows left out, because their text is in a published split that comes later
    rows_with_line_breaks: int = 0
    swallowed: Sightings = field(default_factory=Sightings)
    whole_floats: Sightings = field(default_factory=Sightings)
    labels: dict[str, int] = field(default_factory=dict)  # label in the files -> rows, including dropped ones
    merged_labels: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SPLITS})
    split_rows: Counter[str] = field(default_factory=Counter)
    targets: dict[str, Spread] = field(
        default_factory=dict
    )  # split -> its numbers, if the task predicts numbers
    sample: list[tuple[bytes, ...]] = field(default_factory=list)  # texts of the first rows that were written
    slices: dict[str, set[bytes]] = field(default_factory=dict)  # extra column -> values in the test split

    def add_label(self, label: str, table: Table, layout: Layout) -> None:
        """Counts the label of one row.

        Raises:
            PipelineError: there are too many different labels.
        """
        for counted in layout.task.label_kinds().counted(label, layout.label_name):
            self._count(counted, table, layout)

    def _count(self, label: str, table: Table, layout: Layout) -> None:
        if label in self.labels:
            self.labels[label] += 1
            return
        self.labels[label] = 1
        if len(self.labels) > MAX_LABELS:
            self.refuse_other_columns(str(table.path), layout)
            raise PipelineError(
                f"{table.path}: column {layout.column(layout.label_index)} contains more than {MAX_LABELS:,} different "
                f"labels: is it the label column?"
            )

    def refuse_other_columns(self, where: str, layout: Layout) -> None:
        """Raises PipelineError if the label column does not contain classes, unless --as-classes says that it does."""
        misfit = None if layout.as_classes else layout.task.label_kinds().not_labels(self.labels)
        if misfit is not None:
            message = f"{where}: column {layout.column(layout.label_index)} {misfit.reason}"
            raise OtherTaskError(message, misfit) if misfit.task else PipelineError(message)

    def merge_labels(self) -> None:
        """Merges labels that look the same into the most frequent spelling."""
        for group in look_alikes(sorted(self.labels)):
            kept = max(group, key=lambda label: self.labels[label])
            self.merged_labels |= {label: kept for label in group if label != kept}

    def add_conflict(self, merged: Merged, tables: Sequence[Table], layout: Layout) -> None:
        """Counts a text with conflicting labels; all of its rows are dropped."""
        self.conflicting_texts += 1
        self.conflicting_rows += merged.rows
        if len(self.conflict_samples) < SAMPLES:
            variants = sorted(merged.variants, key=lambda v: v.values[layout.label_index])
            labels = [
                f"{short(v.values[layout.label_index].decode().replace(BETWEEN, ', '))} ({tables[v.where[0]].where(v.where[1])})"
                for v in variants[:3]
            ]
            self.conflict_samples.append(f"{short(variants[0].values[0].decode(), 60)}: {', '.join(labels)}")

    def add_written(self, row: Stored, split: str, tables: Sequence[Table], layout: Layout) -> None:
        """Counts a row that was written."""
        label, kinds = row.values[layout.label_index].decode(), layout.task.label_kinds()
        self.split_rows[split] += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(row.values[: layout.label_index])
        self.splits[split].update(kinds.counted(label, layout.label_name))
        number = kinds.number(label)
        if number is not None:
            self.targets.setdefault(split, Spread()).add(number)
        if b"\n" in row.values[0]:
            self._note_line_breaks(row, tables)
        if split == "test":
            for column, value in zip(
                layout.extra, row.values[len(row.values) - len(layout.extra) :], strict=True
            ):
                values = self.slices.setdefault(column, set())
                if len(values) <= MAX_SLICES:
                    values.add(value)

    def _note_line_breaks(self, row: Stored, tables: Sequence[Table]) -> None:
        """Counts a text with line breaks; if its further lines look like rows, stray quotes may have joined them."""
        self.rows_with_line_breaks += 1
        lines = row.values[0].decode().splitlines()[1:]
        if any(_looks_like_a_row(line, self.labels) for line in lines):
            self.swallowed.add(tables[row.where[0]].where(row.where[1]))


def _looks_like_a_row(line: str, labels: Mapping[str, int]) -> bool:
    """Whether a line looks like a row: `spam<TAB>Last chance!` and `"Last chance!",spam` do, `yes, we can` does not."""
    if _WORD_AND_TAB.match(line):
        return True
    cells = [cell.strip("\"'") for cell in re.split(r"[,;|]", line)]
    return len(cells) > 1 and ((cells[0] in labels and not cells[1].startswith(" ")) or cells[-1] in labels)


def make_report(
    tally: Tally,
    notes: ReadNotes,
    tables: Sequence[Table],
    layout: Layout,
    shards: dict[str, int],
    out: Path,
    name: str,
) -> ImportReport:
    """Returns the report on what was written to `out`, except for the config."""
    labels = layout.task.label_kinds().ordered(label for counts in tally.splits.values() for label in counts)
    splits = {
        split: {label: counts[label] for label in labels if counts[label]}
        for split, counts in tally.splits.items()
    }
    return ImportReport(
        name=name,
        out_dir=str(out),
        config=None,
        files=[str(table.path) for table in tables],
        rows_read=tally.rows_read,
        rows_written=tally.split_rows.total(),
        blank_texts=tally.blank_texts,
        duplicates=tally.duplicates,
        conflicting_texts=tally.conflicting_texts,
        conflicting_rows=tally.conflicting_rows,
        conflict_samples=tally.conflict_samples,
        rows_with_line_breaks=tally.rows_with_line_breaks,
        labels=labels,
        merged_labels=tally.merged_labels,
        splits=splits,
        slices={column: len(values) for column, values in tally.slices.items()},
        shards=shards,
        notes=[*_notes_on_reading(notes), *_notes_on_splits(tally), *_notes_on_labels(tally)],
        warnings=[
            *_warnings_on_reading(notes),
            *_warnings_on_labels(tally, splits, layout),
            *_warnings_on_rows(tally, tables),
        ],
        task=layout.task.name,
        rows={split: tally.split_rows[split] for split in SPLITS},
        targets={split: _numbers(spread) for split, spread in tally.targets.items()},
        published=[split for split in SPLITS if split in tally.published],
        in_other_split=tally.in_other_split,
    )


def _numbers(spread: Spread) -> dict[str, float]:
    return {
        "mean": spread.mean,
        "deviation": spread.deviation,
        "lowest": spread.lowest,
        "highest": spread.highest,
    }


def imported(tally: Tally, layout: Layout) -> Imported:
    """What was written, as the task's `starting_texts` takes it."""
    words = layout.words if layout.task.facts().OF_WORDS else ""
    return Imported(tally.splits, tally.split_rows, tally.targets, words)


def _notes_on_reading(notes: ReadNotes) -> Iterator[str]:
    yield from notes.decided
    yield from notes.detected[:SAMPLES]
    if len(notes.detected) > SAMPLES:
        yield f"{len(notes.detected) - SAMPLES} more files like these"
    for encoding, texts in notes.recoded.items():
        yield f"read as {encoding}: {texts}"
    if notes.divided.count:
        yield f"rows with words that transform.words divides, whose parts all get the tag of the word: {notes.divided}"
    if notes.links.count:
        yield f"links inside the folder that were followed: {notes.links}"


def _notes_on_splits(tally: Tally) -> Iterator[str]:
    if not tally.published:
        return
    kept = ", ".join(f"{split} {tally.split_rows[split]:,}" for split in SPLITS if split in tally.published)
    made = [split for split in SPLITS if split != TRAIN and split not in tally.published]
    yield f"rows of published splits: {kept}" + "".join(
        f"; a tenth of the other rows, by a hash of the text or group, is {split}" for split in made
    )
    if tally.in_other_split:
        yield (
            f"{tally.in_other_split:,} rows have a text that is in a published split too, so they are left out of the splits before it"
        )


def _notes_on_labels(tally: Tally) -> Iterator[str]:
    if tally.whole_floats.count:
        yield (
            f"whole numbers written as floats (as pandas does if values are missing) were read as integers, 1.0 as 1, "
            f"in {tally.whole_floats.count:,} rows from {tally.whole_floats.places[0]} on"
        )
    for kept in dict.fromkeys(tally.merged_labels.values()):
        others = [label for label, into in tally.merged_labels.items() if into == kept]
        yield f"merged into {_with_rows([kept], tally)}: {_with_rows(others, tally)}"


def _warnings_on_reading(notes: ReadNotes) -> Iterator[str]:
    if notes.replaced.count:
        yield f"bytes that could not be decoded were replaced with U+FFFD: {notes.replaced}"
    if notes.in_quotes.count:
        yield (
            "texts are in quotes, which belong to the text in TSV: if the file was written with quotes around texts, "
            f"name it .csv: {notes.in_quotes}"
        )
    if notes.not_read.count:
        yield (
            "not read, because only .txt files directly in the folder of a class are read, and no hidden ones: "
            f"{notes.not_read}"
        )


def _warnings_on_labels(
    tally: Tally, splits: Mapping[str, Mapping[str, int]], layout: Layout
) -> Iterator[str]:
    alike = [] if tally.merged_labels else look_alikes(sorted(tally.labels))
    for group in alike[:SAMPLES]:
        advice = "" if layout.task.facts().OF_WORDS else ", or merge them with --merge-labels"
        yield (
            f"labels that look the same are separate classes: {_with_rows(group, tally)}; correct the data{advice}"
        )
    if len(alike) > SAMPLES:
        yield f"{len(alike) - SAMPLES} more groups of labels that look the same"
    yield from layout.task.label_kinds().suspicions(tally.labels)
    never = [column for column in layout.form.columns if column.strip() not in tally.labels]
    if never:
        yield f"columns without a 1, which are no labels of the model: {listed(never)}"
    written: Counter[str] = Counter()
    for counts in splits.values():
        written.update(counts)
    single = [label for label in written if written[label] == 1]
    if single:
        yield f"labels with a single row, which is not enough to learn and evaluate them: {listed(single)}"
    unseen = [label for label in written if label not in splits["train"]]
    if unseen:
        yield f"labels without a row in the train split: {listed(unseen)}"


def _with_rows(labels: Sequence[str], tally: Tally) -> str:
    """`"'spam' (90 rows), 'Spam' (1 row)"`."""
    counted = [(quoted(label), tally.labels[label]) for label in labels]
    return ", ".join(f"{label} ({rows:,} row{'' if rows == 1 else 's'})" for label, rows in counted)


def _warnings_on_rows(tally: Tally, tables: Sequence[Table]) -> Iterator[str]:
    if tally.swallowed.count:
        cause = "unbalanced quotes?" if tables[0].kind == "csv" else "was the file made from another one?"
        yield (
            f"{tally.swallowed.count} texts seem to contain other rows (one of their lines looks like a row; {cause}): "
            f"{tally.swallowed}"
        )
    if tally.conflicting_texts:
        yield (
            f"{tally.conflicting_texts} texts have conflicting labels; their {tally.conflicting_rows} rows were "
            f"dropped, such as {tally.conflict_samples[0]}"
        )
    if tally.blank_texts:
        yield f"{tally.blank_texts} rows without text were dropped"
    for split, rows in ((name, tally.split_rows[name]) for name in SPLITS):
        if rows < _FEW_ROWS:
            yield (
                f"the {split} split has {rows} rows; the data gate requires {_FEW_ROWS} (data.gate.min_rows)"
            )


def refuse_useless(report: ImportReport, layout: Layout) -> None:
    """Raises PipelineError if there is nothing to train on or to evaluate with."""
    where = files_text(report.files)
    if report.rows_read == 0:
        raise PipelineError(f"{where}: no rows")
    if report.rows_written == 0:
        raise PipelineError(
            f"{where}: none of the {report.rows_read} rows can be used ({report.blank_texts} without text, "
            f"{report.conflicting_rows} with conflicting labels)"
        )
    if not report.labels:
        raise PipelineError(f"{where}: none of the {report.rows_written} rows has a label")
    _refuse_one_number(report, where)
    if len(report.labels) < layout.task.label_kinds().FEWEST_LABELS:
        conflict = "; rows with conflicting labels were dropped, such as " + ", ".join(
            report.conflict_samples[:1]
        )
        raise PipelineError(
            f"{where}: all {report.rows_written} rows have the label {report.labels[0]!r}: "
            f"a classifier needs two or more{conflict if report.conflict_samples else ''}"
        )
    for split, rows in report.rows.items():
        if not rows and report.published:
            raise PipelineError(f"{where}: the {split} split is empty: none of its rows can be used")
        if not rows:
            what = "groups" if layout.group else "rows"
            raise PipelineError(
                f"{where}: the {split} split is empty: there are too few {what} to split {report.rows_written} rows "
                "80/10/10"
            )


def _refuse_one_number(report: ImportReport, where: str) -> None:
    numbers = {spread[side] for spread in report.targets.values() for side in ("lowest", "highest")}
    if len(numbers) == 1:
        raise PipelineError(
            f"{where}: all {report.rows_written} rows have the number {numbers.pop():g}: there is nothing to learn"
        )


def files_text(files: Sequence[str]) -> str:
    """`["a.csv", "b.csv", "c.csv"]` -> `"a.csv and 2 more"`."""
    return files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else "")
