"""Creates a dataset of TFRecords from labelled rows: deduplicated, split by a stable hash, written atomically.

What happens to a row depends only on its content, not on the order of rows or files:

- The split (80/10/10) is a hash of the group if there is one, otherwise of the text (and its pair)
  without regard to case and white space, so near-identical texts are never in two splits.
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
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from models.errors import UsageError
from models.features import LABELS_FILE
from models.tasks.importing import Imported, LabelForm
from models.tasks.task import DEFAULT_TASK, TASKS
from models.tokenizers.word_rules import DEFAULT_RULE, WORD_RULES, WordRule
from pipeline.importing.conll import TAGS, WORDS
from pipeline.importing.import_report import (
    SPLITS,
    ImportReport,
    Tally,
    files_text,
    imported,
    make_report,
    refuse_useless,
)
from pipeline.importing.readers import CONLL, check_options, format_of, read_rows
from pipeline.importing.row_values import TOKEN_LABELS, Layout, OtherTaskError, Table, encoded, values_of
from pipeline.importing.rows import ReadNotes, ReadOptions, Row
from pipeline.importing.spill import Spill, Stored, text_key
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
_TAKE_FORM = tuple(name for name, task in TASKS.items() if task.label_kinds().TAKES_FORM)


def import_files(
    files: Sequence[Path | str],
    *,
    out_dir: Path | str,
    text: str | None = TEXT,
    text_pair: str | None = None,
    label: str | None = LABEL,
    group: str | None = None,
    name: str | None = None,
    extra: Sequence[str] = (),
    options: ReadOptions | None = None,
    merge_labels: bool = False,
    as_classes: bool = False,
    task: str | None = None,
    form: LabelForm | None = None,
    words: str = DEFAULT_RULE,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Imports a user's files of one type: CSV, TSV, JSON Lines, Parquet, CoNLL columns, or folders with one per class.

    Args:
        files: paths; text formats may be compressed (.gz, .bz2).
        text, text_pair, label, group: column names. In the examples the first three are named
            `text`, `text_pair` and `label`; the group keeps its name. Class folders have the columns
            text, label and file; CoNLL columns are words, tags and document, which `text` and `label` need not name.
        out_dir: folder to create, with shards, labels.txt, schema.pbtxt, <name>.yaml and
            import_report.json; it becomes visible when it is complete.
        name: of the pipeline; default: the folder's name.
        extra: names of further columns to keep, for slicing the evaluation.
        options: how to read the files; None: all options are detected.
        merge_labels: merge labels that look the same into the most frequent of them.
        as_classes: treat numbers, dates, ids and combinations of labels as classes.
        task: what a model of the data learns, a key of `TASKS`; None: single labels, or several if the labels are
            lists or contain a separator for certain, or labels of words if the texts are lists, or the labels are spans.
        form: how the files give several labels; its columns of 0 and 1 replace `label`.
        words: the rule for words, `transform.words`, for labels of words.
        overwrite: replace the folder of an earlier import, except for its configs (*.yaml).
        progress: called with the number of rows read, every 10,000 rows.

    Raises:
        UsageError: an argument is invalid, a file or column is missing, or `out_dir` exists.
        PipelineError: the content is invalid (with file, line and value), or too little data remains.
    """
    paths, out = [Path(file) for file in files], Path(out_dir)
    kind = format_of(paths, task is not None and TASKS[task].facts().OF_WORDS)
    _refuse_inside(out, paths)
    if form is not None and form.columns:
        label = ", ".join(form.columns)
    text, label = _text_and_label(kind, text, label)
    columns = [text, *([text_pair] if text_pair else []), label, *([group] if group else []), *extra]
    pipeline_name = _pipeline_name(name, out)
    checked = check_options(kind, options or ReadOptions())

    def write(layout: Layout, said: Sequence[str] = ()) -> ImportReport:
        _check_words(layout, merge_labels)
        notes = ReadNotes(decided=list(said))
        return write_dataset(
            [Table(path, kind, _rows(path, kind, layout, checked, notes)) for path in paths],
            layout,
            out,
            pipeline_name,
            notes=notes,
            merge_labels=merge_labels,
            overwrite=overwrite,
            progress=progress,
        )

    chosen, form = task or _task_of(kind, form), form or LabelForm()
    _check_form(chosen, form, as_classes)
    layout = _layout(columns, bool(text_pair), bool(group), as_classes or task == DEFAULT_TASK)
    layout = layout._replace(task=TASKS[chosen], form=form, words=_rule(words))
    if kind == CONLL and not layout.task.facts().OF_WORDS:
        raise UsageError(
            f"--task {chosen}: {paths[0]} has words and tags, which are for --task {TOKEN_LABELS}; correct --task"
        )
    try:
        return write(
            layout, [f"a tag for each word: imported as {chosen}"] if kind == CONLL and not task else ()
        )
    except OtherTaskError as error:
        # TOKEN_LABELS is a task that this release may not have yet.
        if task is not None or as_classes or error.misfit.task not in TASKS:
            raise
        other = layout._replace(
            task=TASKS[error.misfit.task], form=dataclasses.replace(form, separator=error.misfit.separator)
        )
        # Lists of words cannot be single labels.
        whole = "" if other.task.facts().OF_WORDS else f"; --task {DEFAULT_TASK} keeps them whole"
        return write(other, [f"{error}: imported as {other.task.name}{whole}"])


def _text_and_label(kind: str, text: str | None, label: str | None) -> tuple[str, str]:
    """The names of two columns; those of CoNLL files are known."""
    if kind == CONLL:
        return (WORDS if text in (None, TEXT) else text, TAGS if label in (None, LABEL) else label)
    if text is None:
        raise UsageError("give --text COLUMN, the column with the text")
    if label is None:
        raise UsageError("give either --label COLUMN or --label-column COLUMN for each label")
    return text, label


def _task_of(kind: str, form: LabelForm | None) -> str:
    """The task that is taken, until the rows say another one, if the user names none."""
    if kind == CONLL:
        if TOKEN_LABELS not in TASKS:
            raise UsageError("CoNLL columns are labels of words, for which this release has no task")
        return TOKEN_LABELS
    return _TAKE_FORM[0] if form and form.columns else DEFAULT_TASK


def _rule(name: str) -> WordRule:
    for rule in WORD_RULES:
        if name == rule:
            return rule
    raise UsageError(f"--words must be one of {', '.join(WORD_RULES)}, got {name!r}")


def _check_words(layout: Layout, merge_labels: bool) -> None:
    """Raises UsageError for options that labels of words do not have, or only they have."""
    if not layout.task.facts().OF_WORDS:
        if layout.words != DEFAULT_RULE:
            raise UsageError(f"--words: only for --task {TOKEN_LABELS}; add it, or remove --words")
        return
    if layout.pair:
        raise UsageError(
            f"--text-pair: not for --task {layout.task.name}, which labels the words of one text; remove it"
        )
    if merge_labels:
        raise UsageError(f"--merge-labels: not for --task {layout.task.name}; correct the tags in the data")


def _check_form(task: str, form: LabelForm, as_classes: bool) -> None:
    """Raises UsageError for options that the task does not have."""
    if as_classes and task != DEFAULT_TASK:
        raise UsageError(f"--as-classes: only for --task {DEFAULT_TASK}, not for {task}; remove one of them")
    options = {
        "--separator": form.separator,
        "--label-column": form.columns,
        "--allow-unlabelled": form.may_be_empty,
    }
    given = [option for option, value in options.items() if value]
    if given and task not in _TAKE_FORM:
        raise UsageError(f"{given[0]}: only for --task {_TAKE_FORM[0]}; add it, or remove {given[0]}")
    if form.separator and form.columns:
        raise UsageError("give either --separator or --label-column: columns of 0 and 1 have no separator")
    twice = [column for column, count in Counter(form.columns).items() if count > 1]
    if twice:
        raise UsageError(f"--label-column {twice[0]}: given twice; give each column once")


def _rows(path: Path, kind: str, layout: Layout, options: ReadOptions, notes: ReadNotes) -> Iterator[Row]:
    """The rows of a file, with columns of 0 and 1 as one value, a mapping."""
    flags = layout.form.columns
    if not flags:
        yield from read_rows(path, kind, layout.columns, options, notes)
        return
    at = layout.label_index
    columns = [*layout.columns[:at], *flags, *layout.columns[at + 1 :]]
    for row in read_rows(path, kind, columns, options, notes):
        labels = dict(zip(flags, row.values[at : at + len(flags)], strict=True))
        yield Row(row.number, [*row.values[:at], labels, *row.values[at + len(flags) :]])


def _refuse_inside(out: Path, paths: Sequence[Path]) -> None:
    """Refuses an output folder inside an imported folder: the next import would read it as a class."""
    for path in paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UsageError(
                f"--out {out}: is inside of {path}, which is being imported; use a folder outside of it"
            )


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
        raise UsageError(
            f"name must begin with a letter and contain lower case letters, digits, - and _ only, got {name!r}"
        )
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
    """Writes the rows of `tables` as a dataset folder; see `import_files`.

    The readers of the tables write to `notes`. `check` gets the report before the folder becomes visible; if it raises,
    nothing is written. `further_files` (name -> content) are written beside the shards.
    """
    tally, notes = Tally(), notes or ReadNotes()
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
        values = values_of(row, table, layout, tally.whole_floats)
        if not values[0].strip():
            tally.blank_texts += 1
            continue
        tally.add_label(values[texts], table, layout)
        stored = encoded(values, row, table)
        spill.add(text_key(stored[:texts]), Stored(stored, (index, row.number)))


def split_of(identity: bytes) -> str:
    """The split of a group or text, by a hash that is the same on every machine and in every run."""
    digest = hashlib.blake2b(identity, digest_size=8, person=b"split").digest()
    position = int.from_bytes(digest, "big") / 2**64
    for name, share in SPLITS.items():
        position -= share
        if position < 0:
            return name
    return "test"  # because of rounding, the shares may sum to less than 1


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
        if len(merged.variants) > 1:
            tally.add_conflict(merged, tables, layout)
            continue
        tally.duplicates += merged.rows - 1
        row = merged.variants[0]
        split = split_of(_identity(row.values, layout))
        values: dict[str, bytes | Sequence[bytes | float]]
        values = dict(zip(layout.features, row.values, strict=True))
        label = layout.features[layout.label_index]
        values[label] = stored(row.values[layout.label_index].decode())
        writers[split].write(encode_example(values))
        tally.add_written(row, split, tables, layout)
    return {name: len(writer.close()) for name, writer in writers.items()}


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
