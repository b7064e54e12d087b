"""The parts of a model, read once when the pipeline is built and passed to the nodes that need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.fingerprints import content_fingerprint
from models.checkpoints.config import read_model_type
from models.encoders import families as encoders
from models.tasks.task import Task
from models.tokenizers import family as tokenizers


@dataclass(frozen=True)
class ModelParts:
    """The member of each axis, and the files that nodes read by path.

    A node that loads modules of the members by name includes them in its code fingerprint. `checkpoint_dir` and
    `label_list` are the paths that nodes see; the fingerprints are hashes of the content.
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
    task: Task,
    checkpoint_dir: Path,
    label_list: Path,
    readable: Callable[[Path], Path] = Path,
    forward: str = encoders.AUTO,
) -> ModelParts:
    """Reads the label list, and which tokenizer and encoder the checkpoint's files name.

    Args:
        task: what the model learns.
        checkpoint_dir: folder of the pretrained encoder.
        label_list: one label a line.
        readable: maps a path that nodes see to the same file on this machine.
        forward: the config's model.forward.

    Raises:
        UsageError: the label list cannot be used.
        CheckpointError: a tokenizer file of the checkpoint is malformed, or its config.json names an unknown
            encoder.
    """
    labels, checkpoint = task.read_labels(readable(label_list)), readable(checkpoint_dir)
    return ModelParts(
        task=task,
        tokenizer=tokenizers.family_of(checkpoint),
        encoder=encoders.FAMILIES[read_model_type(checkpoint)].by(forward),
        checkpoint_dir=checkpoint_dir,
        checkpoint_fingerprint=content_fingerprint(checkpoint),
        label_list=label_list,
        labels=tuple(labels),
        labels_fingerprint=content_fingerprint(readable(label_list)),
    )
