"""Makes a dataset of TFRecords from labelled rows: deduplicated, split by a stable hash, atomic.

What happens to a row depends on its content only, never on the order of rows or files:

- The split (80/10/10) is a hash of the group where one is given, else of the text (and its pair)
  without regard to case and white space, so near-identical texts never stand on both sides.
- Exact duplicates (same text, pair and label) are dropped but one.
- A text with different labels is dropped with all its rows. Keeping one of them would be a guess that
  depends on row order, and a wrong guess both teaches and judges falsely. It is reported with samples.
- Blank texts are dropped and counted. An empty label is an error: no one can say what was meant.
- Rows of a split are ordered by a hash of the text, so no shard is sorted by label.

Memory does not grow with the number of rows (see `spill`); disk holds one copy while it runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from components.errors import PipelineError, UsageError
from components.features import LABELS_FILE
from pipeline.importing.readers import Row, format_of, read_rows
from pipeline.importing.spill import Merged, Spill, Stored, text_key
from pipeline.importing.starting_files import config_text, ordered_labels, schema_text
from pipeline.importing.tfrecord import ShardWriter, encode_example
from pipeline.importing.whole_folder import appears_when_complete

TEXT, TEXT_PAIR, LABEL = "text", "text_pair", "label"
SPLITS: Mapping[str, float] = {"train": 0.8, "eval": 0.1, "test": 0.1}
MAX_LABELS = 10_000
SCHEMA_FILE = "schema.pbtxt"
REPORT_FILE = "import_report.json"
# What an import writes, and may therefore replace.
OWN_FILES = ("*.tfrecord.gz", "*.yaml", LABELS_FILE, SCHEMA_FILE, REPORT_FILE, "made_from.sha256")
# Of uncompressed records. Gzip cannot be read from the middle, so a shard is what one worker takes at a time, and
# Beam's reader holds up to all of it.
_SHARD_BYTES = 16 << 20
_SAMPLES = 5
_PROGRESS_ROWS = 10_000
# The data gate's own default: fewer rows of a split stop the run there.
_FEW_ROWS = 10
_WORD_AND_TAB = re.compile(r"[\w\"'-]{1,30}\t\S")


class Table(NamedTuple):
    """One source of rows whose values stand in the order of the layout's features."""

    path: Path
    unit: str  # what a row's number counts: "line", "row", or "" when it is a file name
    rows: Iterable[Row]


class Layout(NamedTuple):
    """What the values of a row mean: text, the pair if any, label, then the group and further columns."""

    features: tuple[str, ...]
    pair: bool = False
    group: bool = False

    @property
    def label_index(self) -> int:
        """Position of the label among the values."""
        return 2 if self.pair else 1


@dataclass(frozen=True)
class ImportReport:
    """What was read, dropped and written. Counts are rows unless the name says otherwise."""

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
    splits: dict[str, dict[str, int]]  # split -> label -> rows
    shards: dict[str, int]
    warnings: list[str]


@dataclass
class _Tally:
    rows_read: int = 0
    blank_texts: int = 0
    duplicates: int = 0
    conflicting_texts: int = 0
    conflicting_rows: int = 0
    conflict_samples: list[str] = field(default_factory=list)
    rows_with_line_breaks: int = 0
    swallowed: list[str] = field(default_factory=list)
    swallowed_rows: int = 0
    labels: set[str] = field(default_factory=set)
    splits: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SPLITS})


def import_files(
    files: Sequence[Path | str],
    *,
    out_dir: Path | str,
    text: str = TEXT,
    text_pair: str | None = None,
    label: str = LABEL,
    group: str | None = None,
    name: str | None = None,
    extra: Sequence[str] = (),
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Imports a user's files of one type: CSV, TSV, JSON Lines, Parquet, or folders with a folder per class.

    Args:
        files: paths; text formats may be compressed (.gz, .bz2).
        text, text_pair, label, group: column names. In the examples the first three are called
            `text`, `text_pair` and `label`, the group keeps its name. Class folders have the columns
            text, label and file.
        out_dir: becomes a folder with shards, labels.txt, schema.pbtxt, <name>.yaml and
            import_report.json; not visible before all of it is written.
        name: of the pipeline; the folder's name when absent.
        extra: further columns to keep, by their names (to slice the evaluation by).
        overwrite: replace the folder of an earlier import, but for its configs (*.yaml).
        progress: called with the number of rows read, every 10,000.

    Raises:
        UsageError: wrong arguments, a missing file or column, an existing `out_dir`.
        PipelineError: bad content, with file, line and value; or nothing worth training on is left.
    """
    paths, out = [Path(file) for file in files], Path(out_dir)
    kind = format_of(paths)
    columns = [text, *([text_pair] if text_pair else []), label, *([group] if group else []), *extra]
    layout = _layout(columns, bool(text_pair), bool(group))
    pipeline_name = _pipeline_name(name, out)
    unit = {"parquet": "row", "folder": ""}.get(kind, "line")
    tables = [Table(path, unit, read_rows(path, kind, columns)) for path in paths]
    return write_dataset(tables, layout, out, pipeline_name, overwrite=overwrite, progress=progress)


def _layout(columns: Sequence[str], pair: bool, group: bool) -> Layout:
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise UsageError(f"column {twice[0]!r} is named twice: text, pair, label and group must differ")
    features = [TEXT, *([TEXT_PAIR] if pair else []), LABEL]
    further = columns[len(features) :]
    taken = [column for column in further if column in features]
    if taken:
        raise UsageError(
            f"column {taken[0]!r} must be renamed: the examples use that name for another column"
        )
    return Layout((*features, *further), pair, group)


def _pipeline_name(name: str | None, out: Path) -> str:
    if name is None:
        name = re.sub(r"[^a-z0-9_-]+", "_", out.resolve().name.lower())
        name = name if re.match("[a-z]", name) else f"data_{name}"
        name = name[:63]
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name):
        raise UsageError(f"name must be lower case letters, digits, - and _, from a letter on, got {name!r}")
    return name


def write_dataset(
    tables: Sequence[Table],
    layout: Layout,
    out_dir: Path,
    name: str,
    *,
    with_config: bool = True,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    check: Callable[[ImportReport], None] = lambda report: None,
    further_files: Mapping[str, str] | None = None,
) -> ImportReport:
    """Writes the rows of `tables` as a dataset folder, see `import_files`.

    `check` sees the report before anything becomes visible; what it raises leaves nothing behind.
    `further_files` (name -> content) are written beside the shards.
    """
    tally = _Tally()
    with appears_when_complete(out_dir, OWN_FILES if overwrite else ()) as folder:
        spill = Spill(folder / ".spill", layout.label_index)
        for index, table in enumerate(tables):
            _spill_table(spill, index, table, layout, tally, progress)
        shards = _write_splits(spill, folder, tables, layout, tally)
        report = _report(tally, tables, shards, out_dir, name, with_config)
        _refuse_useless(report, layout)
        check(report)
        _write_files(folder, report, layout, further_files or {})
        for config in out_dir.glob("*.yaml"):
            shutil.copy2(config, folder)  # the user's by now
    return report


# --- reading ------------------------------------------------------------------------------------


def _spill_table(
    spill: Spill,
    index: int,
    table: Table,
    layout: Layout,
    tally: _Tally,
    progress: Callable[[int], None] | None,
) -> None:
    texts = layout.label_index
    for row in table.rows:
        tally.rows_read += 1
        if progress and tally.rows_read % _PROGRESS_ROWS == 0:
            progress(tally.rows_read)
        values = _values(row, table, layout)
        if not values[0].strip():
            tally.blank_texts += 1
            continue
        _note_label(values[texts], table, tally)
        encoded = tuple(_encode(value, row, table) for value in values)
        spill.add(text_key(encoded[:texts]), Stored(encoded, (index, row.number)))


def _values(row: Row, table: Table, layout: Layout) -> list[str]:
    values = list(row.values)
    for index in range(layout.label_index):
        values[index] = _text(values[index], layout.features[index], row, table)
    for index in range(layout.label_index, len(values)):
        values[index] = _category(values[index], layout.features[index], row, table)
    required = layout.label_index + (2 if layout.group else 1)
    for index in range(layout.label_index, required):
        if not values[index]:
            what = "label" if index == layout.label_index else f"group {layout.features[index]!r}"
            raise PipelineError(
                f"{_where(table, row.number)}: the {what} is empty; fill it or remove the row "
                f"(text {_short(values[0])})"
            )
    return values


def _text(value: Any, feature: str, row: Row, table: Table) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        kind = type(value).__name__
        raise PipelineError(
            f"{_where(table, row.number)}: the {feature} must be a string, got {_short(value)} ({kind})"
        )
    return value


def _category(value: Any, feature: str, row: Row, table: Table) -> str:
    """`" ham "` -> `"ham"`, `3` -> `"3"`, `True` -> `"true"`, `None` -> `""`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        category = str(value).strip()
        # The label list has one label a line.
        if len(category.splitlines()) <= 1:
            return category
    raise PipelineError(
        f"{_where(table, row.number)}: {feature!r} must be an integer or a string of one line, "
        f"got {_short(value)} ({type(value).__name__})"
    )


def _note_label(label: str, table: Table, tally: _Tally) -> None:
    if label not in tally.labels:
        tally.labels.add(label)
        if len(tally.labels) > MAX_LABELS:
            raise UsageError(
                f"{table.path}: more than {MAX_LABELS:,} different labels: is it the label column?"
            )


def _encode(value: str, row: Row, table: Table) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PipelineError(
            f"{_where(table, row.number)}: not valid Unicode, a lone surrogate {value[error.start]!a} "
            f"at character {error.start}"
        ) from None


def _where(table: Table, number: int | str) -> str:
    return f"{table.path} {table.unit} {number}" if table.unit else f"{table.path}/{number}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


# --- writing ------------------------------------------------------------------------------------


def split_of(identity: bytes) -> str:
    """The split of a group or text, by hash: the same on every machine and in every run."""
    digest = hashlib.blake2b(identity, digest_size=8, person=b"split").digest()
    position = int.from_bytes(digest, "big") / 2**64
    for name, share in SPLITS.items():
        position -= share
        if position < 0:
            return name
    return "test"  # the shares sum to 1 but for rounding


def _identity(values: Sequence[bytes], layout: Layout) -> bytes:
    """What the split depends on: the group, else the texts but for case and white space."""
    if layout.group:
        return values[layout.label_index + 1]
    texts = values[: layout.label_index]
    return "\0".join(" ".join(text.decode().casefold().split()) for text in texts).encode()


def _write_splits(
    spill: Spill, folder: Path, tables: Sequence[Table], layout: Layout, tally: _Tally
) -> dict[str, int]:
    writers = {name: ShardWriter(folder, name, _SHARD_BYTES) for name in SPLITS}
    for _, merged in spill.merged():
        if len(merged.variants) > 1:
            _note_conflict(merged, tables, layout, tally)
            continue
        tally.duplicates += merged.rows - 1
        row = merged.variants[0]
        split = split_of(_identity(row.values, layout))
        writers[split].write(encode_example(dict(zip(layout.features, row.values, strict=True))))
        tally.splits[split][row.values[layout.label_index].decode()] += 1
        if b"\n" in row.values[0]:
            _note_line_breaks(row, tables, tally)
    return {name: len(writer.close()) for name, writer in writers.items()}


def _note_conflict(merged: Merged, tables: Sequence[Table], layout: Layout, tally: _Tally) -> None:
    tally.conflicting_texts += 1
    tally.conflicting_rows += merged.rows
    if len(tally.conflict_samples) < _SAMPLES:
        variants = sorted(merged.variants, key=lambda v: v.values[layout.label_index])
        seen = [
            f"{v.values[layout.label_index].decode()!r} ({_where(tables[v.where[0]], v.where[1])})"
            for v in variants[:3]
        ]
        tally.conflict_samples.append(f"{_short(variants[0].values[0].decode())}: {', '.join(seen)}")


def _note_line_breaks(row: Stored, tables: Sequence[Table], tally: _Tally) -> None:
    """A text with further lines that look like rows has probably swallowed them (stray quotes)."""
    tally.rows_with_line_breaks += 1
    lines = row.values[0].decode().splitlines()[1:]
    if any(_looks_like_a_row(line, tally.labels) for line in lines):
        tally.swallowed_rows += 1
        if len(tally.swallowed) < _SAMPLES:
            tally.swallowed.append(_where(tables[row.where[0]], row.where[1]))


def _looks_like_a_row(line: str, labels: set[str]) -> bool:
    """`spam<TAB>Last chance!` and `"Last chance!",spam` do, prose such as `yes, we can` does not."""
    if _WORD_AND_TAB.match(line):
        return True
    cells = [cell.strip("\"'") for cell in re.split(r"[,;|]", line)]
    return len(cells) > 1 and ((cells[0] in labels and not cells[1].startswith(" ")) or cells[-1] in labels)


def _report(
    tally: _Tally, tables: Sequence[Table], shards: dict[str, int], out: Path, name: str, with_config: bool
) -> ImportReport:
    labels = ordered_labels(label for counts in tally.splits.values() for label in counts)
    splits = {
        split: {label: counts[label] for label in labels if counts[label]}
        for split, counts in tally.splits.items()
    }
    return ImportReport(
        name=name,
        out_dir=str(out),
        config=str(out / f"{name}.yaml") if with_config else None,
        files=[str(table.path) for table in tables],
        rows_read=tally.rows_read,
        rows_written=sum(sum(counts.values()) for counts in splits.values()),
        blank_texts=tally.blank_texts,
        duplicates=tally.duplicates,
        conflicting_texts=tally.conflicting_texts,
        conflicting_rows=tally.conflicting_rows,
        conflict_samples=tally.conflict_samples,
        rows_with_line_breaks=tally.rows_with_line_breaks,
        labels=labels,
        splits=splits,
        shards=shards,
        warnings=_warnings(tally, splits, labels),
    )


def _warnings(tally: _Tally, splits: Mapping[str, Mapping[str, int]], labels: Sequence[str]) -> list[str]:
    found = []
    if tally.swallowed_rows:
        found.append(
            f"{tally.swallowed_rows} texts look as if they had swallowed other rows (a line in them is like "
            f"a row of its own; unbalanced quotes?): {', '.join(tally.swallowed)}"
        )
    if tally.conflicting_texts:
        found.append(
            f"{tally.conflicting_texts} texts have different labels, their {tally.conflicting_rows} rows were "
            f"dropped, such as {tally.conflict_samples[0]}"
        )
    if tally.blank_texts:
        found.append(f"{tally.blank_texts} rows without text were dropped")
    unseen = [label for label in labels if label not in splits["train"]]
    if unseen:
        found.append(f"{len(unseen)} labels have no row in the train split, such as {unseen[0]!r}")
    for split, counts in splits.items():
        if sum(counts.values()) < _FEW_ROWS:
            found.append(
                f"the {split} split has {sum(counts.values())} rows; the data gate wants {_FEW_ROWS} "
                f"(data.gate.min_rows)"
            )
    return found


def _refuse_useless(report: ImportReport, layout: Layout) -> None:
    where = report.files[0] + (f" and {len(report.files) - 1} more" if len(report.files) > 1 else "")
    if report.rows_written == 0:
        raise PipelineError(
            f"{where}: no row left of {report.rows_read} read ({report.blank_texts} without text, "
            f"{report.conflicting_rows} with conflicting labels)"
        )
    if len(report.labels) == 1:
        raise PipelineError(
            f"{where}: all {report.rows_written} rows have the label {report.labels[0]!r}: "
            f"a classifier needs two or more"
        )
    for split, counts in report.splits.items():
        if not counts:
            what = "groups" if layout.group else "rows"
            raise PipelineError(
                f"{where}: the {split} split is empty: too few {what} to split {report.rows_written} rows 80/10/10"
            )


def _write_files(
    folder: Path, report: ImportReport, layout: Layout, further_files: Mapping[str, str]
) -> None:
    texts = {
        **further_files,
        LABELS_FILE: "".join(f"{label}\n" for label in report.labels),
        SCHEMA_FILE: schema_text(layout.features, report.labels),
        REPORT_FILE: json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n",
    }
    if report.config:
        texts[f"{report.name}.yaml"] = config_text(
            report.name, report.files, report.splits["test"], len(report.labels), layout.pair
        )
    for name, text in texts.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
