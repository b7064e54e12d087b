"""docs/architectures.md: its rows, and how measurements become rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from transformers.models.auto import modeling_tf_auto

from components.project import PROJECT_DIR
from models.encoders.families import FAMILIES, NOT_TRAINED
from tests.models.encoders.architectures.reasons import NOT_CONVERTED

PAGE: Final = PROJECT_DIR / "docs" / "architectures.md"
COMMAND: Final = "python -m tests.models.encoders.architectures"
COLUMNS: Final = (
    "model_type",
    "class",
    "token classification",
    "tokenizer",
    "forward",
    "trains",
    "reloads",
    "served",
    "resumes",
    "hub",
    "TFLite",
    "ONNX",
)
TOLERANCE: Final = 1e-5
YES, NO, REFUSED, EQUAL, NOTHING = "yes", "no", "refused", "equal", ""
OWN, OF_CLASS = "own", "class"

Row = Mapping[str, str]  # column -> cell

CLASSES: Final[Mapping[str, str]] = modeling_tf_auto.TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
TOKEN_CLASSES: Final[Mapping[str, str]] = modeling_tf_auto.TF_MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES


def read_rows() -> dict[str, Row]:
    """model_type -> the row of the page, as it was last written."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines() if PAGE.is_file() else ():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if len(cells) == len(COLUMNS) and cells[0] in CLASSES:
            rows[cells[0]] = dict(zip(COLUMNS, cells, strict=True))
    return rows


def read_refused_tokenizers() -> dict[str, str]:
    """model_type -> why its own tokenizer is refused, as it was last written."""
    _, _, rest = (PAGE.read_text(encoding="utf-8") if PAGE.is_file() else "").partition(_TOKENIZERS)
    return dict(re.findall(r"^- `(.+?)`: (.+)$", rest.partition("\n## ")[0], re.MULTILINE))


def known(model_type: str) -> dict[str, str]:
    """The cells that nothing has to be measured for; the others of a type that is refused are empty."""
    family = FAMILIES.get(model_type)
    forward = REFUSED if family is None else OWN if family.has_own_forward else OF_CLASS
    token = YES if model_type in TOKEN_CLASSES else NO
    row = dict.fromkeys(COLUMNS, NOTHING)
    return row | {
        "model_type": model_type,
        "class": CLASSES[model_type],
        "token classification": token,
        "forward": forward,
    }


def measured(model_type: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Row:
    """The row of what the two processes saw."""
    tokenizer = f"{first['tokenizer']}{' (pairs)' if first['pairs'] else ''}"
    if first["refused_tokenizer"]:
        tokenizer = f"{REFUSED}; measured with {tokenizer}"
    return known(model_type) | {
        "tokenizer": tokenizer,
        "trains": f"{first['losses'][0]:.3f} → {first['losses'][-1]:.3f}",
        "reloads": difference(second["reloaded"]),
        "served": NO if second["foreign_ops"] else difference(second["served"]),
        "resumes": difference(second["resumed"]) if second["resumed_at"] == [2] else NO,
        "hub": difference(first["hub"]),
        "TFLite": difference(first["tflite"]),
        "ONNX": difference(first["onnx"]),
    }


def difference(value: float | str) -> str:
    """`0.0 -> "equal"`, `3e-8 -> "3e-08"`, a reason -> "no"."""
    if isinstance(value, str):
        return NO
    return EQUAL if value == 0.0 else f"{value:.0e}"


def holds(cell: str) -> bool:
    """Whether a cell says that the answers or weights are the same within TOLERANCE."""
    return cell == EQUAL or bool(re.fullmatch(r"\de-\d\d", cell) and float(cell) <= TOLERANCE)


def falls(cell: str) -> bool:
    """`"1.099 → 0.412" -> True`"""
    first, _, last = cell.partition(" → ")
    return bool(last) and float(last) < float(first)


def claims(row: Row) -> dict[str, str | bool]:
    """A row without its figures, which differ between processors."""
    figures = {name: holds(row[name]) for name in ("reloads", "served", "resumes", "hub", "TFLite", "ONNX")}
    return {**row, **figures, "trains": falls(row["trains"])}


def text(rows: Mapping[str, Row], refused_tokenizers: Mapping[str, str]) -> str:
    """The page. `refused_tokenizers`: model_type -> why its own tokenizer is refused."""
    shown = [
        [f"`{row[name]}`" if name in ("model_type", "class") else row[name] for name in COLUMNS]
        for _, row in sorted(rows.items())
    ]
    lines = [_row(COLUMNS), _row(["---"] * len(COLUMNS)), *map(_row, shown)]
    converted = [
        f"- `{kind}`, {', '.join(formats)}: {reason}"
        for kind, (formats, reason) in sorted(NOT_CONVERTED.items())
    ]
    return _PAGE.format(
        tokenizers_title=_TOKENIZERS,
        command=COMMAND,
        table="\n".join(lines),
        tokenizers="\n".join(f"- `{kind}`: {why}" for kind, why in sorted(refused_tokenizers.items())),
        converted="\n".join(converted),
        refused="\n".join(f"- `{kind}`: {why}" for kind, why in sorted(NOT_TRAINED.items())),
    )


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


_TOKENIZERS = "## Tokenizers that are refused"
_PAGE = """\
# Architectures

The 32 model types of transformers 4.57.6 that have a class for sequence classification in TensorFlow, and what this pipeline
does with each. `{command}` writes this page from what it measures, which takes minutes; names of
model types behind it measure these rows again. `make test-full` repeats every row and compares; `make test` checks that the
page covers the families of `models/encoders/families.py` and agrees with them.

Every row is measured on tiny random weights with the tokenizer that the architecture's own class saves: weights from
safetensors, the checks before a run, Transform's graph, and the Trainer's own loop.

{table}

- **class**, **token classification**: the class of transformers; whether there is also a `TF...ForTokenClassification`.
- **tokenizer**: the family ([docs/tokenization.md](tokenization.md)) of the files that the architecture's tokenizer class saves.
  *pairs*: the rows were pairs, which the encoder tells apart by token types.
- **forward**: a pass of this project (*own*), the class (*class*, [decision 0017](decisions/0017-reference-forward.md)), or refused
  before training.
- **trains**: mean loss of the first and the last of four steps on the same 32 rows, with dropout.
- **reloads**: the exported SavedModel in a new process, after checkpoint and transform graph are gone: largest difference of
  the probabilities of raw texts from those of the forward pass. **served**: the same through the model
  server's loading; *no* if the graph has an op that the canary rejects.
- **resumes**: a new process goes on from the state that was saved after the second step: largest difference of any weight from
  the training that was not stopped.
- **hub**: largest difference of the encoder's weights that `push.hub` writes, when they are read as a checkpoint.
- **TFLite**, **ONNX**: largest difference of the float32 export's probabilities from those of the SavedModel, for three shapes of
  batches; *no*: see below. The config check refuses these exports. TensorFlow.js is limited to own forward passes.

## What does not convert
{converted}

{tokenizers_title}
{tokenizers}

## Model types that are refused
Lines are of transformers 4.57.6. The config check refuses them before anything is started.

{refused}
"""
