"""The command line of `runner_local.py`. Only `run`, `serve` and `tokenize` import TensorFlow, when they need it."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.errors import UsageError
from models.tasks.task import TASKS
from pipeline.local import run as run_command
from pipeline.local import version_commands
from pipeline.paths import CACHE_DIR, CHECKPOINTS_DIR, DATASETS_DIR, RECIPES_DIR
from pipeline.process.command_line import EXIT_CODES, call
from pipeline.process.options import ConfigPath, Overrides

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.importing.import_report import ImportReport

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    help="Train, evaluate and push a text classifier.",
)


def main() -> None:
    """Runs the sub-command and exits with its exit code, or with that of the error that it raised."""
    call(app)


@app.command()
def run(
    config: ConfigPath,
    set_: Overrides = None,
    root: Annotated[
        Path,
        typer.Option(help="Folder for the artifacts, metadata, logs and training state of all pipelines."),
    ] = Path("runs"),
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every step, even if nothing changed.")
    ] = False,
    json_: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object as the last line of stdout; all else goes to stderr."
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print everything that goes to the log.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until another run of this pipeline ends, instead of failing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Push even if a newer run's model or a rollback is being served."),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Check all cached and served files in full, and recreate the damaged ones."
        ),
    ] = False,
) -> None:
    """Run the whole pipeline; unchanged steps are cached.

    Exit code: 0 pushed (or pushed by an earlier run and cached), 3 rejected by a gate, 2 invalid command line or
    config, 130 Ctrl-C, 1 any other failure.
    """
    request = run_command.RunRequest(
        config, tuple(set_ or ()), root, not no_cache, json_, verbose, wait, force, verify
    )
    run_command.leave(run_command.run(request))


@app.command(name="import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, JSON Lines, Parquet or CoNLL files, or folders that contain one folder per class."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder to create, with shards, label list, schema and a starting config.")
    ],
    text: Annotated[
        str | None, typer.Option(help="Column with the text, or with its words; CoNLL files need none.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column with the label, several labels, the tags of words, or spans."),
    ] = None,
    label_column: Annotated[
        list[str] | None,
        typer.Option(help="Instead of --label: a column of 0 and 1, one for each label. Repeatable."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help=f"What the model learns: {', '.join(TASKS)}; default: decided from the labels."),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="Between the labels of a row, for --task multi_label.")
    ] = None,
    allow_unlabelled: Annotated[
        bool, typer.Option("--allow-unlabelled", help="Keep rows without labels: none applies to them.")
    ] = False,
    words: Annotated[
        str,
        typer.Option(help="Rule for words, for --task token_labels: whitespace_punctuation or whitespace."),
    ] = "whitespace_punctuation",
    text_pair: Annotated[str | None, typer.Option(help="Column with the second text of a pair task.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose values stay together in one split.")] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(help="Another column to keep, for slicing the evaluation. Repeatable."),
    ] = None,
    eval_: Annotated[
        list[Path] | None,
        typer.Option("--eval", help="A file of the published eval split, kept as it is. Repeatable."),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(help="A file of the published test split, kept as it is. Repeatable."),
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(help="Column that says whether a row is published as train, eval or test.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the pipeline; default: the folder's name.")
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Column separator of CSV and TSV, a character or `tab`; default: detected."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of text files, such as cp1252; default: UTF-8 or UTF-16, detected."),
    ] = None,
    replace_undecodable: Annotated[
        bool,
        typer.Option("--replace-undecodable", help="Replace bytes that cannot be decoded with U+FFFD."),
    ] = False,
    merge_labels: Annotated[
        bool, typer.Option("--merge-labels", help="Merge labels that look the same.")
    ] = False,
    as_classes: Annotated[
        bool,
        typer.Option("--as-classes", help="Treat numbers, dates, ids and lists of labels as classes."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Import your own labelled text and write a config for `run`.

    Exit code: 0 imported, 2 invalid path, column or option, 1 files whose content cannot be used.
    """
    from models.tasks.importing import LabelForm
    from pipeline.importing.importer import import_files
    from pipeline.importing.rows import ReadOptions

    if label is not None and label_column:
        raise UsageError("give either --label COLUMN or --label-column COLUMN for each label")
    if task is not None and task not in TASKS:
        raise UsageError(f"--task must be one of {', '.join(TASKS)}, got {task!r}")
    flags = tuple(label_column or ())

    with _counting() as progress:
        report = import_files(
            files,
            out_dir=out,
            text=text,
            text_pair=text_pair,
            label=label,
            task=task,
            words=words,
            eval_files=eval_ or (),
            test_files=test or (),
            split_column=split_column,
            form=LabelForm(separator or "", flags, allow_unlabelled or bool(flags)),
            group=group,
            name=name,
            extra=extra or (),
            options=ReadOptions(delimiter, encoding, replace_undecodable),
            merge_labels=merge_labels,
            as_classes=as_classes,
            overwrite=overwrite,
            progress=progress,
        )
    console = Console()
    _print_import(console, report)
    if report.config:
        console.print(
            Text(f"\nNext: python runner_local.py run {shlex.quote(report.config)}"), soft_wrap=True
        )


@app.command()
def data(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recipes in data/ and data/checkpoints/; default: all datasets, usual checkpoints."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the datasets; default: the project's datasets/.")
    ] = None,
) -> None:
    """Create the datasets of data/ and download the usual checkpoints, all verified by sha256."""
    from models.checkpoints.settings import CheckpointSettings
    from models.checkpoints.source import checkpoint_folder, default_recipes
    from pipeline.importing.recipes import RECIPE_FILE, make_dataset

    console = Console()
    recipes, folder = RECIPES_DIR, out or DATASETS_DIR
    of_checkpoints = recipes / "checkpoints"
    datasets = sorted(recipe.parent.name for recipe in recipes.glob(f"*/{RECIPE_FILE}"))
    for name in names or [*datasets, *default_recipes(of_checkpoints)]:
        if (of_checkpoints / f"{name}.yaml").is_file():
            settings = CheckpointSettings.model_validate({"recipe": name})
            path = checkpoint_folder(settings, of_checkpoints, CHECKPOINTS_DIR)
            console.print(Text(f"{name}: {path}"), soft_wrap=True)
            continue
        with _counting() as progress:
            report = make_dataset(name, recipes, folder / name, CACHE_DIR, progress)
        _print_import(console, report)


@app.command()
def config(
    config_path: Annotated[str | None, typer.Argument(metavar="[CONFIG]", help="Config to check.")] = None,
    set_: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a config.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="List every key with its type, default and meaning.")
    ] = False,
) -> None:
    """Check a config against its schema, labels, data and checkpoint, or document the config keys.

    Exit code: 0 `run` would start, 2 invalid config, 3 the data gate would reject the data, 1 any other failure.
    """
    from pipeline.config import Config, load_config

    if (config_path is not None) + schema + explain != 1:
        raise UsageError("config: give either a CONFIG to check, --schema or --explain")
    if schema:
        print(json.dumps(Config.model_json_schema(by_alias=True), indent=2))
    elif explain:
        _print_explained(Console())
    elif config_path is not None:
        _check_config(config_path, load_config(config_path, set_ or ()))


def _check_config(path: str, loaded: Config) -> None:
    from pipeline.inputs import check_inputs

    findings = check_inputs(loaded)
    console = Console()
    console.print(Text(f"{path}: valid config of {loaded.name!r}"), soft_wrap=True)
    for line in (*(f"not checked: {what}" for what in findings.unchecked), *findings.notes):
        console.print(Text(f"  {line}"), soft_wrap=True)


@app.command()
def tokenize(
    config: ConfigPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from stdin.")],
    pair: Annotated[
        str | None,
        typer.Option(help="The second text, where the config has data.text_pair; - reads it from stdin."),
    ] = None,
    set_: Overrides = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Tokenize a text in the graph and by transformers' own tokenizer, side by side.

    Special tokens are included, and the text is cut to transform.max_length. Exit code: 0 both give the same token
    ids and token types, 1 they differ, 2 bad usage or config.
    """
    from pipeline.config import load_config
    from pipeline.local.tokenize_command import as_json, compare, given_texts, print_compared

    loaded = load_config(config, set_ or ())
    found = compare(loaded, given_texts(loaded, text, pair))
    if json_:
        print(json.dumps(as_json(found), ensure_ascii=False))
    else:
        print_compared(Console(), found)
    if not found.equal:
        raise typer.Exit(1)


app.command()(version_commands.versions)
app.command()(version_commands.rollback)
app.command()(version_commands.promote)
app.command()(version_commands.prune)


@app.command()
def serve(
    config: ConfigPath,
    set_: Overrides = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: serve.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of REST; default: serve.port.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Port of gRPC; default: serve.grpc_port.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of server processes; default: serve.workers.")
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show the logs of TensorFlow and of the server's libraries."),
    ] = False,
) -> None:
    """Serve the newest pushed version with the protocols of TF Serving and KServe, REST and gRPC.

    When a newer version is pushed, the server switches to it. After Ctrl-C or SIGTERM, the server answers the requests
    that it has accepted, then exits.
    """
    from pipeline.config import load_config
    from pipeline.local.serve import serve_config

    options = {"host": host, "port": port, "grpc_port": grpc_port, "workers": workers}
    overrides = [f"serve.{key}={value}" for key, value in options.items() if value is not None]
    serve_config(load_config(config, [*(set_ or ()), *overrides]), config, verbose)


def _print_explained(console: Console) -> None:
    from pipeline.config import explain

    if not console.is_terminal:
        for key in explain():
            console.print(Text(f"{key.key} ({key.type}; {key.default}): {key.description}"), soft_wrap=True)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("key", "type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for key in explain():
        table.add_row(Text(key.key, "bold"), Text(key.type), Text(key.default), Text(key.description))
    console.print(table)


def _print_import(console: Console, report: ImportReport) -> None:
    """Prints what was read, dropped and written."""
    splits = ", ".join(f"{split} {count:,}" for split, count in report.rows.items())
    console.print(
        Text(f"{report.name}: {report.rows_written:,} rows ({splits}) in {report.out_dir}"), soft_wrap=True
    )
    dropped = {
        "blank texts": report.blank_texts,
        "exact duplicates": report.duplicates,
        "rows with conflicting labels": report.conflicting_rows,
        "rows whose text is in another, published split": report.in_other_split,
    }
    left_out = ", ".join(f"{count:,} {what}" for what, count in dropped.items() if count)
    if left_out:
        console.print(Text(f"  of {report.rows_read:,} rows read, left out: {left_out}"), soft_wrap=True)
    for note in report.notes:
        console.print(Text(f"  {note}"), soft_wrap=True)
    if report.token_lengths is not None:
        console.print(Text(f"  {report.token_lengths.summary}"), soft_wrap=True)
    for sample in report.conflict_samples:
        console.print(Text(f"  conflicting labels: {sample}", "yellow"), soft_wrap=True)
    for warning in report.warnings:
        console.print(Text(f"  warning: {warning}", "yellow"), soft_wrap=True)


@contextlib.contextmanager
def _counting() -> Iterator[Callable[[int], None] | None]:
    """Yields a callback that shows the number of rows read on a terminal; None if there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("reading") as status:
        yield lambda rows: status.update(f"{rows:,} rows read")
