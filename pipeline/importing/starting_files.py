"""The files that make an imported dataset runnable: label list, schema and a starting config."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import yaml
from google.protobuf import text_encoding

from models.tasks.importing import LABELS_DOMAIN, StartingTexts
from models.tasks.task import DEFAULT_TASK, Task
from pipeline.importing.token_lengths import STARTING_CHECKPOINT, TokenLengths

# Maximum number of slices by an extra column: a longer table is of no use.
MAX_SLICES = 100
_SLICE_ROWS = 5
_CONFIG = """\
# {name}: a starting config, written by the import of {files}.
# Run it:      python runner_local.py run {name}.yaml
# Every key:   python runner_local.py config --explain
# Paths are relative to this file.
name: {quoted_name}
{task}
data:
  path: .
  splits: {{train: "train-*", eval: "eval-*", test: "test-*"}}
  schema: schema.pbtxt
  label_list: labels.txt  # {label_list}
  text: text
{pair}  label_column: label

model:
  checkpoint:
    recipe: {checkpoint}  # or path: FOLDER, or hub: ID with revision: COMMIT

transform:
{max_length}{tokenization}
train:
  epochs: 3  # fewer for more than 100,000 rows
  batch_size: 32
  learning_rate: 2.0e-4  # small encoders (MiniLM); 2e-5 to 5e-5 for BERT-base and larger
{training}  # early_stopping: {{patience: 2}}

evaluate:
  split: test
  thresholds:
{thresholds}{slices}
push:
  serving_dir: ../serving  # versions are pushed to <serving_dir>/{name}/<version>/
  keep: 5
"""

_MAX_LENGTH = (
    "  max_length: 128  # tokens; longer texts are truncated. Shorter is faster: check your longest texts\n"
)

_FEATURE = """\
feature {{
  name: "{name}"
{rules}}}
"""
_TEXT_RULES = """\
  type: BYTES
  presence { min_fraction: 1.0 min_count: 1 }
  shape { dim { size: 1 } }
"""


def schema_text(features: Sequence[str], labels: Sequence[str], label_rules: str) -> str:
    """Returns a TFMD schema (text proto) of the examples; the label is not in the environment SERVING.

    Args:
        features: all features of an example, including `label`.
        labels: the label list.
        label_rules: lines of the feature `label`; if they name the domain "labels", it has the label list.
    """
    parts = ["# The schema of the raw examples. Curate it: only what it specifies is checked.\n"]
    for name in features:
        rules = label_rules if name == "label" else _TEXT_RULES
        parts.append(_FEATURE.format(name=_quotable(name), rules=rules))
    if LABELS_DOMAIN in label_rules:
        values = "".join(f'  value: "{_quotable(label)}"\n' for label in labels)
        parts.append(f'string_domain {{\n  name: "labels"\n{values}}}\n')
    parts.append('default_environment: "TRAINING"\ndefault_environment: "SERVING"\n')
    return "".join(parts)


def _quotable(text: str) -> str:
    escaped: str = text_encoding.CEscape(text, as_utf8=True)
    return escaped


def config_text(
    name: str,
    files: Sequence[str],
    rows: int,
    pair: bool,
    slices: Mapping[str, int],
    task: Task,
    texts: StartingTexts,
    lengths: TokenLengths | None = None,
) -> str:
    """Returns the starting config (YAML).

    Args:
        name: pipeline name.
        files: the imported files, for the comment.
        rows: those of the test split.
        pair: whether rows have a second text.
        slices: extra column -> number of its values in the test split.
        task: what a model of the data learns.
        texts: the parts that depend on the task.
        lengths: token lengths under STARTING_CHECKPOINT, if they were measured.
    """
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return _CONFIG.format(
        name=name,
        quoted_name=_scalar(name),
        task="" if task.name == DEFAULT_TASK else f"task: {task.name}\n",
        files=_printable(shown)[1:-1],
        label_list=texts.label_list,
        pair="  text_pair: text_pair\n" if pair else "",
        checkpoint=STARTING_CHECKPOINT,
        max_length=_MAX_LENGTH
        if lengths is None
        else lengths.config_lines(windows=not task.facts().OF_WORDS),
        tokenization=texts.tokenization,
        thresholds=texts.thresholds,
        training=texts.training,
        slices=_slices(texts.slicing, slices, rows),
    )


def _slices(by_label: str, slices: Mapping[str, int], rows: int) -> str:
    lines = by_label + "".join(_slice(column, values, rows) for column, values in slices.items())
    has_slices = any(line.strip() and not line.lstrip().startswith("#") for line in lines.splitlines())
    return f"  slices:\n{lines}" if has_slices else lines


def _slice(column: str, values: int, rows: int) -> str:
    """The slicing by an extra column; commented out if there would be too many slices, or too few rows in each."""
    line = f"- columns: [{_scalar(column)}]"
    if values > MAX_SLICES or values * _SLICE_ROWS > rows:
        counted = f"{values} values" if values <= MAX_SLICES else f"more than {MAX_SLICES} values"
        return f"    # {line}  # {counted} in the {rows} rows of the test split, each a slice\n"
    return f"    {line}\n"


def _scalar(text: str) -> str:
    """A text as a YAML scalar, in quotes if YAML would read it as something else: `"no"` -> `'"no"'`."""
    if re.fullmatch(r"[A-Za-z_][\w-]*", text, re.ASCII) and yaml.safe_load(text) == text:
        return text
    return _printable(text)


def _printable(text: str) -> str:
    """A text in double quotes and on one line, valid in both YAML and JSON."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
