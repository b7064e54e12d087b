"""How long imported texts are in tokens, and the maximum length that covers them at an affordable cost.

Imports no TensorFlow: the Rust tokenizer reads the checkpoint's tokenizer.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR

STARTING_CHECKPOINT = "all-MiniLM-L6-v2"  # the recipe that a starting config names
SAMPLE = 5_000  # texts; of more, those that come first in the order of the hashes of the texts
AFFORDABLE = 256  # longest maximum that a starting config has: a step costs more than in proportion to it
_TOKENIZER = "tokenizer.json"
_COVERED = 99  # per cent of the texts that should not be cut
_MULTIPLE = 8
_BATCH = 100
_SHORTEST = 16
_WORTH_WINDOWS = 0.01  # share of cut texts from which on windows are suggested


@dataclass(frozen=True)
class TokenLengths:
    """Token lengths of a sample, special tokens included; `p50` etc. are percentiles, `cut` is a share of the sample."""

    checkpoint: str
    texts: int
    p50: int
    p90: int
    p99: int
    longest: int
    max_length: int
    cut: float

    @property
    def summary(self) -> str:
        """`"token lengths (all-MiniLM-L6-v2, 5,000 texts): half have at most 11, 99% at most 27, the longest 63; ..."`."""
        return (
            f"token lengths ({self.checkpoint}, {self.texts:,} texts): half have at most {self.p50:,}, 90% at most "
            f"{self.p90:,}, 99% at most {self.p99:,}, the longest {self.longest:,}; max_length {self.max_length} "
            f"{self.cut_texts}"
        )

    @property
    def cut_texts(self) -> str:
        """`"cuts none"` or `"cuts 0.4%"`."""
        if not self.cut:
            return "cuts none"
        return f"cuts {self.cut:.1%}" if self.cut >= 0.001 else "cuts less than 0.1%"

    def config_lines(self, windows: bool) -> str:
        """The lines below `transform` of a starting config; `windows`: whether long texts can be read in windows."""
        lines = f"  max_length: {self.max_length}  # tokens: {self.cut_texts} of {self.texts:,} texts; 99% have at most {self.p99:,}\n"
        if windows and self.cut >= _WORTH_WINDOWS:
            lines += (
                "  # window: {stride: 32}  # reads whole texts, in overlapping windows: docs/long_texts.md\n"
            )
        return lines


def under_starting_checkpoint(rows: Sequence[Sequence[bytes]]) -> TokenLengths | None:
    """Measures a sample of rows; None if STARTING_CHECKPOINT has not been downloaded, which an import does not do."""
    # They import NumPy, and importing this module should stay cheap.
    from models.checkpoints.config import read_encoder
    from models.checkpoints.settings import CheckpointSettings
    from models.checkpoints.source import cached_folder

    settings = CheckpointSettings(recipe=STARTING_CHECKPOINT)
    folder = cached_folder(settings, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    if folder is None:
        return None
    encoder = read_encoder(folder)
    return measure(rows, STARTING_CHECKPOINT, folder, encoder.facts.sizes(encoder.config).positions)


def measure(
    rows: Sequence[Sequence[bytes]], checkpoint: str, folder: Path, positions: int
) -> TokenLengths | None:
    """Measures a sample of rows.

    Args:
        rows: the text of each row, or both texts of a pair; UTF-8.
        checkpoint: its name, for the user.
        folder: its files.
        positions: maximum length of the encoder.

    Returns:
        None if there is no row, or the checkpoint has no tokenizer.json.
    """
    if not rows or not (folder / _TOKENIZER).is_file():
        return None
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lengths = sorted(_lengths(rows, tokenizer))
    p50, p90, p99 = (lengths[math.ceil(share * len(lengths) / 100) - 1] for share in (50, 90, _COVERED))
    wanted = -(-p99 // _MULTIPLE) * _MULTIPLE
    max_length = max(_SHORTEST, min(wanted, AFFORDABLE, positions))
    cut = sum(length > max_length for length in lengths) / len(lengths)
    return TokenLengths(checkpoint, len(lengths), p50, p90, p99, lengths[-1], max_length, cut)


def _lengths(rows: Sequence[Sequence[bytes]], tokenizer: Tokenizer) -> Iterator[int]:
    """The tokens of each row, a few rows at a time, because what the tokenizer returns is large."""
    for start in range(0, len(rows), _BATCH):
        texts = [[text.decode(errors="replace") for text in row] for row in rows[start : start + _BATCH]]
        inputs = [row[0] if len(row) == 1 else tuple(row) for row in texts]
        yield from (len(encoding.ids) for encoding in tokenizer.encode_batch(inputs))
