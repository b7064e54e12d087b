"""Creates a dataset of TFRecords from labelled rows: deduplicated, split by a stable hash, written atomically.

What happens to a row depends only on its content, not on the order of rows or files:

- The split (80/10/10) is a hash of the group if there is one, otherwise of the text (and its pair)
  without regard to case and white space, so near-identical texts are never in two splits.
- Splits that are published with the data are kept row for row, with their duplicates and conflicts. A row whose text is in a
  published split is left out of the others: out of train and eval if it is in test, out of train if it is in eval.
- Of exact duplicates (same text, pair and label), one is kept.
- A text with conflicting labels is dropped with all its rows. Keeping one of them would be a guess that
  depends on row order, and a wrong label harms both training and evaluation. Samples are reported.
- Blank texts are dropped and counted. An empty label is an error, because its meaning is unknown.
- Labels that look the same are kept, with a warning, or merged into the most frequent one on request.
- A label column that does not contain classes (numbers, dates, ids, several labels per row) is an error.
- Rows of a split are ordered by a hash of the text, so no shard is sorted by label.

Memory does not grow with the number of rows (see `spill`); the disk needs space for one temporary copy.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from models.features import LABELS_FILE
from models.tasks.importing import Imported
from pipeline.importing.import_report import (
    ImportReport,
    Tally,
    files_text,
    imported,
    make_report,
    refuse_useless,
)
from pipeline.importing.row_values import Layout, Table, encoded, values_of
from pipeline.importing.rows import ReadNotes
from pipeline.importing.spill import Merged, Spill, Stored, text_key
from pipeline.importing.splits import SPLITS, TRAIN, named_split, split_of
from pipeline.importing.starting_files import config_text, schema_text
from pipeline.importing.tfrecord import ShardWriter, encode_example
from pipeline.importing.token_lengths import under_starting_checkpoint
from pipeline.importing.whole_folder import appears_when_complete
from pipeline.importing.word_rows import tagged_rows

TEXT, TEXT_PAIR, LABEL = "text", "text_pair", "label"
SCHEMA_FILE = "schema.pbtxt"
REPORT_FILE = "import_report.json"
# What an import writes, and may therefore replace.
OWN_FILES = ("*.tfrecord.gz", "*.yaml", LABELS_FILE, SCHEMA_FILE, REPORT_FILE, "made_from.sha256")
# Of uncompressed records. Gzip files cannot be split, so one worker reads a whole shard, and Beam's reader keeps up to
# all of it in memory.
_SHARD_BYTES = 16 << 20
_PROGRESS_ROWS = 10_000


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
    """Writes the rows of `tables` as a dataset folder; see `import_files`.

    The readers of the tables write to `notes`. `check` gets the report before the folder becomes visible; if it raises,
    nothing is written. `further_files` (name -> content) are written beside the shards.
    """
    tally, notes = Tally(published={table.split for table in tables if table.split}), notes or ReadNotes()
    with appears_when_complete(out_dir, OWN_FILES if overwrite else ()) as folder:
        spill = Spill(folder / ".spill", layout.label_index)
        for index, table in enumerate(tables):
            rows = tagged_rows(table, layout, notes) if layout.task.facts().OF_WORDS else table.rows
            _spill_table(spill, index, table._replace(rows=rows), layout, tally, progress)
        tally.refuse_other_columns(files_text([str(table.path) for table in tables]), layout)
        if merge_labels:
            tally.merge_labels()
        shards = _write_splits(spill, folder, tables, layout, tally)
        report = make_report(tally, notes, tables, layout, shards, out_dir, name)
        refuse_useless(report, layout)
        check(report)
        if with_config:
            report = dataclasses.replace(
                _with_config(report, out_dir / f"{name}.yaml"),
                token_lengths=under_starting_checkpoint(tally.sample),
            )
        _write_files(folder, report, layout, imported(tally, layout), further_files or {})
        for config in out_dir.glob("*.yaml"):
            shutil.copy2(config, folder)  # the user may have edited it
    return report


def _with_config(report: ImportReport, path: Path) -> ImportReport:
    kept = [f"{path} is not changed; import to another --out to see the config that would be written now"]
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
        split = table.split
        if layout.split_column:
            split = named_split(row.values[-1], table.where(row.number), layout.split_column)
            row = row._replace(values=row.values[:-1])
        if split == TRAIN:
            split = ""
        elif split:
            tally.published.add(split)
        values = values_of(row, table, layout, tally.whole_floats)
        if not values[0].strip():
            tally.blank_texts += 1
            continue
        tally.add_label(values[texts], table, layout)
        stored = encoded(values, row, table)
        spill.add(text_key(stored[:texts]), Stored(stored, (index, row.number), split))


def _identity(values: Sequence[bytes], layout: Layout) -> bytes:
    """What the split depends on: the group, otherwise the texts without regard to case and white space."""
    if layout.group:
        return values[layout.label_index + 1]
    texts = values[: layout.label_index]
    return "\0".join(" ".join(text.decode().casefold().split()) for text in texts).encode()


def _write_splits(
    spill: Spill, folder: Path, tables: Sequence[Table], layout: Layout, tally: Tally
) -> dict[str, int]:
    writers = {name: ShardWriter(folder, name, _SHARD_BYTES) for name in SPLITS}
    stored = layout.task.label_kinds().stored
    renamed = {label.encode(): kept.encode() for label, kept in tally.merged_labels.items()}
    for _, merged in spill.merged(renamed):
        for row, split in _placed(merged, tables, layout, tally):
            values: dict[str, bytes | Sequence[bytes | float]]
            values = dict(zip(layout.features, row.values, strict=True))
            label = layout.features[layout.label_index]
            values[label] = stored(row.values[layout.label_index].decode())
            writers[split].write(encode_example(values))
            tally.add_written(row, split, tables, layout)
    return {name: len(writer.close()) for name, writer in writers.items()}


def _placed(
    merged: Merged, tables: Sequence[Table], layout: Layout, tally: Tally
) -> Iterator[tuple[Stored, str]]:
    """The rows of one text that are written, with their splits."""
    if merged.published:
        last = max((row.split for row in merged.published), key=list(SPLITS).index)
        kept = sorted(row for row in merged.published if row.split == last)
        tally.in_other_split += merged.rows + len(merged.published) - len(kept)
        yield from ((row, last) for row in kept)
    elif len(merged.variants) > 1:
        tally.add_conflict(merged, tables, layout)
    else:
        tally.duplicates += merged.rows - 1
        row = merged.variants[0]
        yield row, split_of(_identity(row.values, layout), tally.published)


def _write_files(
    folder: Path,
    report: ImportReport,
    layout: Layout,
    written: Imported,
    further_files: Mapping[str, str],
) -> None:
    starting = layout.task.starting().starting_texts(written)
    texts = {
        **further_files,
        LABELS_FILE: "".join(f"{label}\n" for label in report.labels),
        SCHEMA_FILE: schema_text(layout.features, report.labels, starting.label_rules),
        REPORT_FILE: json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n",
    }
    if report.config:
        texts[f"{report.name}.yaml"] = config_text(
            report.name,
            report.files,
            report.rows["test"],
            layout.pair,
            report.slices,
            layout.task,
            starting,
            report.token_lengths,
        )
    for name, text in texts.items():
        # File names may contain lone surrogates, which JSON escapes in the same way.
        with (folder / name).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
