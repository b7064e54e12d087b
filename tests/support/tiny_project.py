"""A config with all files that it names: shards, schema, label list and the tiny checkpoint."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.importing.importer import import_files
from pipeline.importing.tfrecord import frame
from tests.support.tiny_model import rows, write_checkpoint

CONFIG = """\
name: tiny
data:
  path: data
  schema: data/schema.pbtxt
  label_list: data/labels.txt
model:
  checkpoint:
    path: encoder
transform:
  max_length: 32
train:
  epochs: null
  max_steps: 8
  batch_size: 16
  learning_rate: 0.003
evaluate:
  thresholds:
    accuracy: {min: 0.2, max_drop: 0.0}
  slices:
    - columns: [label]
push:
  serving_dir: serving
"""


def write_project(folder: Path) -> Path:
    """Writes data/ (400 rows), encoder/ and tiny.yaml into a folder that exists; returns the config."""
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows(400)]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    import_files([folder / "rows.jsonl"], out_dir=folder / "data", text="text", label="label", name="data")
    write_checkpoint(folder / "encoder")
    config = folder / "tiny.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return config


def shard(folder: Path, split: str = "train") -> Path:
    """The one shard of a split."""
    return next((folder / "data").glob(f"{split}-*"))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Replaces a gzip shard."""
    with gzip.open(path, "wb") as file:
        for record in records:
            file.write(frame(record))
