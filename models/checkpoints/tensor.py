"""A tensor of a weights file, whatever the file's format. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# safetensors' name -> how NumPy reads it; bfloat16 is the upper half of a float32.
FLOATS: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: `read` returns its values as float32, whatever float type they are stored as."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Floats]
