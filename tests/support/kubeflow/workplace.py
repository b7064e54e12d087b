"""The smallest files with which the compiler works."""

from __future__ import annotations

from pathlib import Path


def write_workplace(folder: Path, config: str) -> Path:
    """Writes my.yaml, schema.pbtxt, labels.txt and encoder/, of which compiling reads the model_type; returns `folder`."""
    (folder / "encoder").mkdir()
    (folder / "encoder" / "vocab.txt").write_text("[PAD]\n")
    (folder / "encoder" / "config.json").write_text('{"model_type": "bert"}')
    features = 'feature { name: "text" type: BYTES }\nfeature { name: "label" type: BYTES }\n'
    (folder / "schema.pbtxt").write_text(features)
    (folder / "labels.txt").write_text("no\nyes\n")
    (folder / "my.yaml").write_text(config)
    return folder
