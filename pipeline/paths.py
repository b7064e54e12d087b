"""The folders and files of a pipeline on the local disk. TensorFlow is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.project import PROJECT_DIR

# The recipes, the datasets that they create, and the downloads.
RECIPES_DIR = PROJECT_DIR / "data"
DATASETS_DIR = PROJECT_DIR / "datasets"
CACHE_DIR = PROJECT_DIR / ".cache"
CHECKPOINTS_DIR = PROJECT_DIR / "checkpoints"


@dataclass(frozen=True)
class PipelinePaths:
    """The folders and files of one pipeline, as absolute paths.

    `local_paths(Path("/data/runs"), "trec").metadata_path -> Path("/data/runs/trec/metadata.sqlite")`
    """

    root: Path  # contains all others: <root of all pipelines>/<name>
    pipeline_root: Path  # artifacts, one folder per node
    metadata_path: Path  # ML Metadata, SQLite
    state_dir: Path  # training state, kept when a run is killed
    logs_dir: Path  # one log file per run
    lock_path: Path  # held by the process that runs this pipeline
    checkpoint_dir: Path  # the pretrained encoder and its tokenizer files
    project_dir: Path = PROJECT_DIR  # where nodes find this project's sources
    refusal_dir: str = ""  # where the data gate writes all its findings; "": to the log only
    # Path as nodes see it -> the same file on this machine, if the pipeline is built for other machines.
    local_copies: Mapping[Path, Path] = field(default_factory=dict)

    @property
    def temp_dir(self) -> Path:
        """Contains a folder for the temporary files of each run; the next run removes that of a killed run."""
        return self.root / "tmp"

    def readable(self, path: Path) -> Path:
        """The path on this machine of the file that nodes see at `path`."""
        return self.local_copies.get(path, path)


def local_paths(root: Path, name: str, checkpoint_dir: Path | None = None) -> PipelinePaths:
    """Returns the layout below `<root>/<name>`; nothing is created.

    Args:
        root: folder of all pipelines, from `--root` (relative to the current directory).
        name: the pipeline's name.
        checkpoint_dir: folder of the pretrained encoder; default: `<root>/<name>/checkpoint`.
    """
    base = (root / name).absolute()
    return PipelinePaths(
        root=base,
        pipeline_root=base / "artifacts",
        metadata_path=base / "metadata.sqlite",
        state_dir=base / "training_state",
        logs_dir=base / "logs",
        lock_path=base / ".lock",
        checkpoint_dir=(checkpoint_dir or base / "checkpoint").absolute(),
        refusal_dir=str(base / "logs"),
    )
