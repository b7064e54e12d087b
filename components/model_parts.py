"""What a model is made of: read once, when the pipeline is built, and handed to the nodes that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.fingerprints import content_fingerprint
from models.checkpoints.config import read_model_type
from models.encoders import families as encoders
from models.tasks.label_list import read_labels
from models.tasks.task import Task
from models.tokenizers import family as tokenizers


@dataclass(frozen=True)
class ModelParts:
    """The member of each axis, and the files that nodes read by path.

    Nodes load modules of the members by name: such a node names them in its code fingerprint. `checkpoint_dir` and
    `label_list` are where nodes find them; a fingerprint is a hash of the content.
    """

    task: Task
    tokenizer: tokenizers.Family
    encoder: encoders.Family
    checkpoint_dir: Path
    checkpoint_fingerprint: str
    label_list: Path
    labels: tuple[str, ...]
    labels_fingerprint: str


def read_parts(
    task: Task, checkpoint_dir: Path, label_list: Path, readable: Callable[[Path], Path] = Path
) -> ModelParts:
    """Reads the label list and what the checkpoint's files say that it is.

    Args:
        task: what the model learns.
        checkpoint_dir: folder of the pretrained encoder.
        label_list: one label a line.
        readable: path that nodes will see -> the same file here.

    Raises:
        UsageError: the label list cannot be used.
        CheckpointError: a tokenizer file of the checkpoint is malformed, or its config.json names no encoder
            that is known.
    """
    labels, checkpoint = read_labels(readable(label_list)), readable(checkpoint_dir)
    return ModelParts(
        task=task,
        tokenizer=tokenizers.family_of(checkpoint),
        encoder=encoders.FAMILIES[read_model_type(checkpoint)],
        checkpoint_dir=checkpoint_dir,
        checkpoint_fingerprint=content_fingerprint(checkpoint),
        label_list=label_list,
        labels=tuple(labels),
        labels_fingerprint=content_fingerprint(readable(label_list)),
    )
