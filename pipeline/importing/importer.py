"""Makes a dataset of TFRecords from labelled rows: deduplicated, split by a stable hash, atomic.

What happens to a row depends on its content only, never on the order of rows or files:

- The split (80/10/10) is a hash of the group where one is given, else of the text (and its pair)
  without regard to case and white space, so near-identical texts never stand on both sides.
- Exact duplicates (same text, pair and label) are dropped but one.
- A text with different labels is dropped with all its rows. Keeping one of them would be a guess that
  depends on row order, and a wrong guess both teaches and judges falsely. It is reported with samples.
- Blank texts are dropped and counted. An empty label is an error: no one can say what was meant.
- Labels that look the same stay apart, with a warning, or become the most frequent of them where asked for.
- A label column that holds no classes (numbers, dates, ids, several labels of one row) is an error.
- Rows of a split are ordered by a hash of the text, so no shard is sorted by label.

Memory does not grow with the number of rows (see `spill`); disk holds one copy while it runs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from models.errors import UsageError
from models.features import LABELS_FILE
from pipeline.importing.import_report import (
    SPLITS,
    ImportReport,
    Tally,
    make_report,
    refuse_useless,
    told_files,
)
from pipeline.importing.readers import check_options, format_of, read_rows
from pipeline.importing.row_values import Layout, Table, encoded, values_of
from pipeline.importing.rows import ReadNotes, ReadOptions
from pipeline.importing.spill import Spill, Stored, text_key
from pipeline.importing.starting_files import config_text, schema_text
from pipeline.importing.tfrecord import ShardWriter, encode_example
from pipeline.importing.whole_folder import appears_when_complete

TEXT, TEXT_PAIR, LABEL = "text", "text_pair", "label"
SCHEMA_FILE = "schema.pbtxt"
REPORT_FILE = "import_report.json"
# What an import writes, and may therefore replace.
OWN_FILES = ("*.tfrecord.gz", "*.yaml", LABELS_FILE, SCHEMA_FILE, REPORT_FILE, "made_from.sha256")
# Of uncompressed records. Gzip cannot be read from the middle, so a shard is what one worker takes at a time, and
# Beam's reader holds up to all of it.
_SHARD_BYTES = 16 << 20
_PROGRESS_ROWS = 10_000


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
    options: ReadOptions | None = None,
    merge_labels: bool = False,
    as_classes: bool = False,
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
        options: how the files are to be read; None finds out what there is to find out.
        merge_labels: labels that look the same become one, the most frequent of them.
        as_classes: take numbers, dates, ids and combinations of labels for classes.
        overwrite: replace the folder of an earlier import, but for its configs (*.yaml).
        progress: called with the number of rows read, every 10,000.

    Raises:
        UsageError: wrong arguments, a missing file or column, an existing `out_dir`.
        PipelineError: bad content, with file, line and value; or nothing worth training on is left.
    """
    paths, out = [Path(file) for file in files], Path(out_dir)
    kind = format_of(paths)
    _refuse_inside(out, paths)
    columns = [text, *([text_pair] if text_pair else []), label, *([group] if group else []), *extra]
    layout = _layout(columns, bool(text_pair), bool(group), as_classes)
    pipeline_name = _pipeline_name(name, out)
    checked, notes = check_options(kind, options or ReadOptions()), ReadNotes()
    tables = [Table(path, kind, read_rows(path, kind, columns, checked, notes)) for path in paths]
    return write_dataset(
        tables,
        layout,
        out,
        pipeline_name,
        notes=notes,
        merge_labels=merge_labels,
        overwrite=overwrite,
        progress=progress,
    )


def _refuse_inside(out: Path, paths: Sequence[Path]) -> None:
    """What is written into a folder of classes would be a class in the next import of it."""
    for path in paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"--out {out}: inside of {path}, which is imported; name a folder beside it")


def _layout(columns: Sequence[str], pair: bool, group: bool, as_classes: bool) -> Layout:
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise UsageError(
            f"column {twice[0]!r} is named twice: text, pair, label, group and extra must differ"
        )
    unwritable = [column for column in columns if any("\ud800" <= c <= "\udfff" for c in column)]
    if unwritable:
        raise UsageError(f"column {unwritable[0]!a} is not valid Unicode: rename it")
    features = [TEXT, *([TEXT_PAIR] if pair else []), LABEL]
    further = columns[len(features) :]
    taken = [column for column in further if column in features]
    if taken:
        raise UsageError(
            f"column {taken[0]!r} must be renamed: the examples use that name for another column"
        )
    return Layout((*features, *further), pair, group, tuple(columns), as_classes)


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
    notes: ReadNotes | None = None,
    with_config: bool = True,
    merge_labels: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    check: Callable[[ImportReport], None] = lambda report: None,
    further_files: Mapping[str, str] | None = None,
) -> ImportReport:
    """Writes the rows of `tables` as a dataset folder, see `import_files`.

    `notes` are what the readers of the tables note. `check` sees the report before anything becomes visible; what it
    raises leaves nothing behind. `further_files` (name -> content) are written beside the shards.
    """
    tally = Tally()
    with appears_when_complete(out_dir, OWN_FILES if overwrite else ()) as folder:
        spill = Spill(folder / ".spill", layout.label_index)
        for index, table in enumerate(tables):
            _spill_table(spill, index, table, layout, tally, progress)
        tally.refuse_other_columns(told_files([str(table.path) for table in tables]), layout)
        if merge_labels:
            tally.merge_labels()
        shards = _write_splits(spill, folder, tables, layout, tally)
        report = make_report(tally, notes or ReadNotes(), tables, shards, out_dir, name)
        refuse_useless(report, layout)
        check(report)
        if with_config:
            report = _with_config(report, out_dir / f"{name}.yaml")
        _write_files(folder, report, layout, further_files or {})
        for config in out_dir.glob("*.yaml"):
            shutil.copy2(config, folder)  # the user's by now
    return report


def _with_config(report: ImportReport, path: Path) -> ImportReport:
    kept = [f"{path} is kept as it was; import to another --out to see what it would be now"]
    return dataclasses.replace(
        report, config=str(path), notes=[*report.notes, *(kept if path.exists() else [])]
    )


def _spill_table(
    spill: Spill,
    index: int,
    table: Table,
    layout: Layout,
    tally: Tally,
    progress: Callable[[int], None] | None,
) -> None:
    texts = layout.label_index
    for row in table.rows:
        tally.rows_read += 1
        if progress and tally.rows_read % _PROGRESS_ROWS == 0:
            progress(tally.rows_read)
        values = values_of(row, table, layout, tally.whole_floats)
        if not values[0].strip():
            tally.blank_texts += 1
            continue
        tally.add_label(values[texts], table, layout)
        stored = encoded(values, row, table)
        spill.add(text_key(stored[:texts]), Stored(stored, (index, row.number)))


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
    spill: Spill, folder: Path, tables: Sequence[Table], layout: Layout, tally: Tally
) -> dict[str, int]:
    writers = {name: ShardWriter(folder, name, _SHARD_BYTES) for name in SPLITS}
    renamed = {label.encode(): kept.encode() for label, kept in tally.merged_labels.items()}
    for _, merged in spill.merged(renamed):
        if len(merged.variants) > 1:
            tally.add_conflict(merged, tables, layout)
            continue
        tally.duplicates += merged.rows - 1
        row = merged.variants[0]
        split = split_of(_identity(row.values, layout))
        writers[split].write(encode_example(dict(zip(layout.features, row.values, strict=True))))
        tally.add_written(row, split, tables, layout)
    return {name: len(writer.close()) for name, writer in writers.items()}


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
            report.name, report.files, report.splits, len(report.labels), layout.pair, report.slices
        )
    for name, text in texts.items():
        # File names may hold lone surrogates, which JSON writes as the same escape.
        with (folder / name).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
