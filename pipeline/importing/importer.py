"""`import`: a user's files and options become a dataset (`dataset.py`), for the task that is named or decided from the rows."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from models.errors import UsageError
from models.tasks.importing import LabelForm
from models.tasks.task import DEFAULT_TASK, TASKS
from models.tokenizers.word_rules import DEFAULT_RULE, WORD_RULES, WordRule
from pipeline.importing.conll import TAGS, WORDS
from pipeline.importing.dataset import LABEL, TEXT, TEXT_PAIR, write_dataset
from pipeline.importing.import_report import (
    ImportReport,
)
from pipeline.importing.readers import CONLL, check_options, format_of, read_rows
from pipeline.importing.row_values import TOKEN_LABELS, Layout, OtherTaskError, Table
from pipeline.importing.rows import ReadNotes, ReadOptions, Row

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
    eval_files: Sequence[Path | str] = (),
    test_files: Sequence[Path | str] = (),
    split_column: str | None = None,
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
        eval_files, test_files: files of splits that are published with the data; the others are taken from `files`.
        split_column: name of a column that says train, eval or test instead.
        overwrite: replace the folder of an earlier import, except for its configs (*.yaml).
        progress: called with the number of rows read, every 10,000 rows.

    Raises:
        UsageError: an argument is invalid, a file or column is missing, or `out_dir` exists.
        PipelineError: the content is invalid (with file, line and value), or too little data remains.
    """
    split_files = _split_files(files, eval_files, test_files, split_column)
    paths, out = [path for path, _ in split_files], Path(out_dir)
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
            [
                Table(path, kind, _rows(path, kind, layout, checked, notes), split)
                for path, split in split_files
            ],
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
    layout = layout._replace(
        task=TASKS[chosen], form=form, words=_rule(words), split_column=split_column or ""
    )
    if kind == CONLL and not layout.task.facts().OF_WORDS:
        raise UsageError(
            f"--task {chosen}: {paths[0]} has words and tags, which are for --task {TOKEN_LABELS}; correct --task"
        )
    try:
        return write(
            layout, [f"a tag for each word: imported as {chosen}"] if kind == CONLL and not task else ()
        )
    except OtherTaskError as error:
        if task is not None or as_classes:
            raise
        other = layout._replace(
            task=TASKS[error.misfit.task], form=dataclasses.replace(form, separator=error.misfit.separator)
        )
        # Lists of words cannot be single labels.
        whole = "" if other.task.facts().OF_WORDS else f"; --task {DEFAULT_TASK} keeps them whole"
        return write(other, [f"{error}: imported as {other.task.name}{whole}"])


def _split_files(
    files: Sequence[Path | str],
    eval_files: Sequence[Path | str],
    test_files: Sequence[Path | str],
    split_column: str | None,
) -> list[tuple[Path, str]]:
    """Every file with its split, "" if the rows decide."""
    if split_column and (eval_files or test_files):
        option = "--eval" if eval_files else "--test"
        raise UsageError(f"give either --split-column or {option}: both say which split a row is in")
    found = [(Path(file), "") for file in files]
    if not found:
        raise UsageError("there is no file to import")
    found += [(Path(file), "eval") for file in eval_files] + [(Path(file), "test") for file in test_files]
    seen: dict[Path, str] = {}
    for path, split in found:
        if seen.setdefault(path.resolve(), split) != split:
            raise UsageError(
                f"{path}: is given for two splits; a row that is trained on must not be evaluated on"
            )
    return found


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
    flags, read = layout.form.columns, [*layout.columns, *filter(None, [layout.split_column])]
    if not flags:
        yield from read_rows(path, kind, read, options, notes)
        return
    at = layout.label_index
    columns = [*read[:at], *flags, *read[at + 1 :]]
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
