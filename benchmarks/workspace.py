"""The inputs that several parts share: Rotten Tomatoes at 1x and more, and one pipeline run on each.

Everything is in one scratch folder:
    <factor>x/rows.jsonl     the recipe's rows, repeated with a number after the text, which keeps them distinct
    <factor>x/dataset/       the same rows, imported
    <factor>x/import.json    measurements of the import
    <factor>x/nodes-<n>.json measurements of each node of the n-th pipeline run, see `benchmarks.nodes`
    serving/                 a served model, and questions for it, see `benchmarks.serving_model`
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
    """Returns the folder of a dataset of `data/`, which is created if necessary."""
    from pipeline.importing.recipes import make_dataset
    from pipeline.paths import CACHE_DIR, DATASETS_DIR, RECIPES_DIR

    folder = DATASETS_DIR / name
    make_dataset(name, RECIPES_DIR, folder, CACHE_DIR)
    return folder


def repeats(quick: bool, factor: int) -> int:
    """How often a node and its peer are measured; with many rows, once is enough."""
    return 1 if quick or factor > 1 else 3


class Workspace:
    """The scratch folder, whose contents are created when a part first uses them.

    Subclasses with other rows replace `config`, `import_options`, `write_rows` and `training`.
    """

    config = CONFIG
    import_options = ("--text", "text", "--label", "label", "--group", "movie_name", "--name", DATASET)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def dataset(self, factor: int) -> tuple[Path, Measured]:
        """Returns the dataset with `factor` times the rows, and the measurements of its import."""
        base = self._base(factor)
        record = base / "import.json"
        if not record.exists():
            rows = self._rows_file(factor)
            command: Command = [PYTHON, "runner_local.py", "import", rows, *self.import_options]
            took = measure([*command, "--out", base / "dataset"])
            _write(record, asdict(took))
        return base / "dataset", Measured(**json.loads(record.read_text()))

    def rows(self, factor: int) -> dict[str, int]:
        """Returns the number of rows of each split."""
        folder, _ = self.dataset(factor)
        counts: dict[str, int] = json.loads((folder / "import_report.json").read_text())["rows"]
        return counts

    def overrides(self, factor: int) -> list[str]:
        """Returns `--set` options for this dataset and its training."""
        folder, _ = self.dataset(factor)
        values = [
            "data.recipe=null",
            f"data.path={folder}",
            f"data.schema={folder}/schema.pbtxt",
            f"data.label_list={folder}/labels.txt",
            f"push.serving_dir={self._base(factor) / 'serving'}",
            *self.training(factor),
        ]
        return [part for value in values for part in ("--set", value)]

    def training(self, factor: int) -> list[str]:
        """Settings of two training steps, and thresholds that any model passes."""
        del factor
        return ["train.epochs=null", "train.max_steps=2", "evaluate.thresholds={accuracy: {min: 0.0}}"]

    def root(self, factor: int, repeat: int = 0) -> Path:
        """Returns the folder of the artifacts of a pipeline run."""
        return self._base(factor) / f"root-{repeat}"

    def nodes(self, factor: int, repeat: int = 0, last: str = LAST_NODE) -> dict[str, Any]:
        """Returns the measurements of each node in a pipeline run up to `last`, see `benchmarks.nodes`."""
        record = self._base(factor) / f"nodes-{repeat}.json"
        if record.exists():
            result: dict[str, Any] = json.loads(record.read_text())
            if last in result["nodes"]:
                return result
        command: Command = [
            PYTHON,
            "-m",
            "benchmarks.nodes",
            self.config,
            "--root",
            self.root(factor, repeat),
        ]
        took = measure([*command, "--last", last, *self.overrides(factor)])
        _write(record, took.result())
        return took.result()

    def node(self, factor: int, node: str, repeats: int) -> dict[str, Any]:
        """Returns seconds, peak and state of one node, from the run with the median time of `repeats` runs."""
        runs = [self.nodes(factor, repeat)["nodes"][node] for repeat in range(repeats)]
        median: dict[str, Any] = sorted(runs, key=lambda run: run["seconds"])[repeats // 2]
        return median

    def served_model(self) -> Path:
        """Returns the folder of the served model, see `benchmarks.serving_model`."""
        folder = self.folder / "serving"
        if not folder.exists():
            measure([PYTHON, "-m", "benchmarks.serving_model", folder])
        return folder

    def _base(self, factor: int) -> Path:
        base = self.folder / f"{factor}x"
        base.mkdir(parents=True, exist_ok=True)
        return base

    def _rows_file(self, factor: int) -> Path:
        path = self._base(factor) / "rows.jsonl"
        self.write_rows(path, factor)
        return path

    def write_rows(self, path: Path, factor: int) -> None:
        """Writes `factor` times the rows as JSON lines."""
        from benchmarks.tfexample import read_texts

        source = real_dataset(DATASET)
        with path.open("w", encoding="utf-8") as out:
            for copy in range(factor):
                for values in read_texts(_shards(source, SPLITS), COLUMNS):
                    row = dict(zip(COLUMNS, values, strict=True))
                    row["text"] += f" {copy}" if copy else ""
                    out.write(json.dumps(row) + "\n")


def _shards(folder: Path, splits: Sequence[str]) -> list[Path]:
    return [path for split in splits for path in sorted(folder.glob(f"{split}-*"))]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))
