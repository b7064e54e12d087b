"""The encoders that training is measured with.

MiniLM is a real checkpoint, so that accuracies can be compared. The others have published sizes and random weights, on which
the time does not depend, and a tokenizer trained on the dataset's texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import PEER_PYTHON, measure
from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder


@dataclass(frozen=True)
class RandomEncoder:
    """`size`: the published checkpoint whose sizes `config` has. `tokenizer`: a key of `random_checkpoint.TRAINERS`."""

    size: str
    tokenizer: str
    config: dict[str, Any]


# model_type -> its encoder. The two smaller relatives of RoBERTa and XLM-R keep the vocabularies of their families.
RANDOM = {
    "distilbert": RandomEncoder("distilbert-base", "wordpiece", {"vocab_size": 30_522}),
    "roberta": RandomEncoder(
        "distilroberta-base",
        "byte_bpe",
        {"vocab_size": 50_265, "num_hidden_layers": 6, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "xlm-roberta": RandomEncoder(
        "mMiniLMv2-L12-H384",
        "unigram",
        {
            "vocab_size": 250_002,
            "hidden_size": 384,
            "intermediate_size": 1536,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
    ),
}


def minilm() -> Path:
    """Returns the folder of all-MiniLM-L6-v2, which is trained here and served in other parts."""
    return checkpoint_folder(
        CheckpointSettings(recipe="all-MiniLM-L6-v2"),
        PROJECT_DIR / "data" / "checkpoints",
        PROJECT_DIR / "checkpoints",
    )


def random_encoder(model_type: str, texts: Sequence[str], scratch: Path) -> Path:
    """Writes a checkpoint of RANDOM into `scratch`, in the form that PyTorch saves, and returns its folder."""
    encoder, folder = RANDOM[model_type], scratch / model_type
    write_random_encoder(folder, {"model_type": model_type, **encoder.config}, encoder.tokenizer, texts)
    return folder


def write_random_encoder(
    folder: Path, config: Mapping[str, Any], tokenizer: str, texts: Sequence[str]
) -> None:
    """Writes a checkpoint with random weights. `tokenizer`: a key of `random_checkpoint.TRAINERS`, trained on `texts`."""
    texts_file, job_file = folder.with_suffix(".txt"), folder.with_suffix(".json")
    texts_file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    job = {
        "folder": str(folder),
        "config": dict(config),
        "tokenizer": tokenizer,
        "texts": str(texts_file),
    }
    job_file.write_text(json.dumps(job), encoding="utf-8")
    measure([PEER_PYTHON, "-m", "benchmarks.peers.random_checkpoint", job_file])
