"""What several parts measure on, made once: Rotten Tomatoes at 1x and more, and one pipeline run on each.

Everything lies in one scratch folder:
    <factor>x/rows.jsonl     the recipe's rows, repeated with a number behind the text that keeps them distinct
    <factor>x/dataset/       the same, imported
    <factor>x/import.json    what the import took
    <factor>x/nodes-<n>.json what each node of the n-th pipeline run took, see `benchmarks.nodes`
    serving/                 a model that is served, and questions for it, see `benchmarks.serving_model`
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.processes import PYTHON, Command, Measured, measure
from components.project import PROJECT_DIR

DATASET = "rotten_tomatoes"
CONFIG = PROJECT_DIR / "configs" / f"{DATASET}.yaml"
COLUMNS = ("text", "label", "movie_name")
SPLITS = ("train", "eval", "test")
LAST_NODE = "Report"


def real_dataset(name: str) -> Path:
    """Folder of a dataset of `data/`; made when it is not there."""
    from pipeline.importing.recipes import make_dataset
    from pipeline.paths import CACHE_DIR, DATASETS_DIR, RECIPES_DIR

    folder = DATASETS_DIR / name
    make_dataset(name, RECIPES_DIR, folder, CACHE_DIR)
    return folder


def repeats(quick: bool, factor: int) -> int:
    """How often a node and its peer are measured: many rows need no repeats."""
    return 1 if quick or factor > 1 else 3


class Workspace:
    """The scratch folder; each thing is made when it is first asked for, by whichever part asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def dataset(self, factor: int) -> tuple[Path, Measured]:
        """The dataset with `factor` times the rows, and what its import took."""
        base = self._base(factor)
        told = base / "import.json"
        if not told.exists():
            rows = self._rows_file(factor)
            options = ["--text", "text", "--label", "label", "--group", "movie_name", "--name", DATASET]
            took = measure([PYTHON, "runner_local.py", "import", rows, *options, "--out", base / "dataset"])
            _write(told, asdict(took))
        return base / "dataset", Measured(**json.loads(told.read_text()))

    def rows(self, factor: int) -> dict[str, int]:
        """Rows of each split."""
        folder, _ = self.dataset(factor)
        report = json.loads((folder / "import_report.json").read_text())
        return {split: sum(report["splits"][split].values()) for split in SPLITS}

    def overrides(self, factor: int) -> list[str]:
        """`--set` options: this dataset, a training of two steps, any model is pushed."""
        folder, _ = self.dataset(factor)
        values = [
            "data.recipe=null",
            f"data.path={folder}",
            f"data.schema={folder}/schema.pbtxt",
            f"data.label_list={folder}/labels.txt",
            "train.epochs=null",
            "train.max_steps=2",
            "evaluate.thresholds={accuracy: {min: 0.0}}",
            f"push.serving_dir={self._base(factor) / 'serving'}",
        ]
        return [part for value in values for part in ("--set", value)]

    def root(self, factor: int, repeat: int = 0) -> Path:
        """Folder of the artifacts of a pipeline run."""
        return self._base(factor) / f"root-{repeat}"

    def nodes(self, factor: int, repeat: int = 0, last: str = LAST_NODE) -> dict[str, Any]:
        """What each node took in a run of the pipeline up to `last`, see `benchmarks.nodes`."""
        told = self._base(factor) / f"nodes-{repeat}.json"
        if told.exists():
            found: dict[str, Any] = json.loads(told.read_text())
            if last in found["nodes"]:
                return found
        command: Command = [PYTHON, "-m", "benchmarks.nodes", CONFIG, "--root", self.root(factor, repeat)]
        took = measure([*command, "--last", last, *self.overrides(factor)])
        _write(told, took.result())
        return took.result()

    def node(self, factor: int, node: str, repeats: int) -> dict[str, Any]:
        """Seconds, peak and state of one node: the run with the median time of `repeats` pipeline runs."""
        runs = [self.nodes(factor, repeat)["nodes"][node] for repeat in range(repeats)]
        found: dict[str, Any] = sorted(runs, key=lambda run: run["seconds"])[repeats // 2]
        return found

    def served_model(self) -> Path:
        """Folder of the model that is served, see `benchmarks.serving_model`."""
        folder = self.folder / "serving"
        if not folder.exists():
            measure([PYTHON, "-m", "benchmarks.serving_model", folder])
        return folder

    def _base(self, factor: int) -> Path:
        base = self.folder / f"{factor}x"
        base.mkdir(parents=True, exist_ok=True)
        return base

    def _rows_file(self, factor: int) -> Path:
        from benchmarks.tfexample import read_texts

        source = real_dataset(DATASET)
        path = self._base(factor) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for copy in range(factor):
                for values in read_texts(_shards(source, SPLITS), COLUMNS):
                    row = dict(zip(COLUMNS, values, strict=True))
                    row["text"] += f" {copy}" if copy else ""
                    out.write(json.dumps(row) + "\n")
        return path


def _shards(folder: Path, splits: Sequence[str]) -> list[Path]:
    return [path for split in splits for path in sorted(folder.glob(f"{split}-*"))]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))
