"""Reads JSON Lines: one object per line, without duplicate keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models import strict_json
from models.errors import PipelineError
from pipeline.importing.rows import ReadNotes, ReadOptions, Row, no_column, short
from pipeline.importing.text_files import decoded_lines


def read_json_lines(
    path: Path, columns: Sequence[str], options: ReadOptions, notes: ReadNotes
) -> Iterator[Row]:
    """Yields the JSON values of the columns. The first object determines which columns exist."""
    first = True
    for number, line in enumerate(decoded_lines(path, options, notes), 1):
        if not line.strip():
            continue
        record = _object(path, number, line, first)
        for name in columns:
            if name not in record:
                missing = no_column(f"{path} line {number}", name, list(record))
                raise missing if first else PipelineError(str(missing))
        first = False
        yield Row(number, [record[name] for name in columns])


def _object(path: Path, number: int, line: str, first: bool) -> dict[str, Any]:
    where = f"{path} line {number}"
    try:
        record = strict_json.loads(line)
    except strict_json.DuplicateKeyError as error:
        raise PipelineError(f"{where}: {error}; remove one of them: {short(line.strip())}") from None
    except (ValueError, RecursionError) as error:
        hint = _hint(line) if first else ""
        raise PipelineError(
            f"{where}: not JSON ({_why_not_json(error)}): {short(line.strip())}{hint}"
        ) from None
    if not isinstance(record, dict):
        raise PipelineError(f"{where}: not a JSON object: {short(record)}{_hint(line) if first else ''}")
    return record


def _hint(line: str) -> str:
    if line.lstrip()[:1] not in ("[", "{"):
        return ""
    return "; the file looks like a single JSON document: write each row as one object on its own line"


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # The only other error of json: Python limits the number of digits that it converts.
    return f"an integer of more than {sys.get_int_max_str_digits():,} digits"
