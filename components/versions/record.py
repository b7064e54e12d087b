"""push.json: who pushed a version, when, and what it was made from. Plain Python."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictFloat, TypeAdapter, ValidationError

from components.model_files import RECORD_FILE, FileFacts, damage

if TYPE_CHECKING:
    from typing import TypedDict

    class DataFacts(TypedDict, total=False):
        """The examples: their folder, and the ExampleGen's properties of them."""

        path: str | None
        span: int | float | str
        version: int | float | str
        fingerprint: str

    class CheckpointFacts(TypedDict, total=False):
        """The pretrained encoder: its recipe, path or `hub id@revision`, and a hash of its files."""

        name: str
        fingerprint: str
else:
    # They are only shown, so a value of another type does not count as damage.
    DataFacts = CheckpointFacts = dict[str, Any]

Number = Annotated[int, Field(strict=True, gt=0)]


@dataclass(frozen=True)
class Promotion:
    """The version that a person promoted; `serving_dir` is its folder, None if it is this one."""

    version: Number
    serving_dir: str | None = None


@dataclass(frozen=True)
class PushRecord:
    """The content of a version's push.json. All values are optional; a model that was copied there by hand has none.

    `PushRecord(run_id="20261122-183204-123", metrics={"accuracy": 0.95}, data={"path": "/data/trec"})`

    Attributes:
        restored_from: the version whose content a rollback put back.
        promoted_from: the version that a promotion copied.
        metrics: metrics of the evaluated split; None for NaN.
        config: the resolved config, as JSON values.
        files: the facts that `damage` compares with.
        other: further keys of the file, such as those of another release, and keys that are null. Rollbacks and
            promotions keep them.
    """

    version: Number | None = None
    by: str | None = None
    pushed_at: str | None = None
    run_id: str | None = None
    run_started_at: str | None = None
    restored_from: Number | None = None
    promoted_from: Promotion | None = None
    metrics: Mapping[str, StrictFloat | None] | None = None
    baseline_metrics: Mapping[str, StrictFloat | None] | None = None
    data: DataFacts | None = None
    checkpoint: CheckpointFacts | None = None
    code: str | None = None
    config: Mapping[str, Any] | None = None
    config_sha256: str | None = None
    model_uri: str | None = None
    model_artifact_id: int | None = None
    model_sha256: str | None = None
    files: Mapping[str, FileFacts] | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The content of push.json, sorted by key. Unknown values are null if `other` has the key, or left out."""
        known = {key: value for key, value in asdict(self).items() if key in _KEYS and value is not None}
        return dict(sorted({**self.other, **known}.items()))

    def with_nulls(self, *keys: str) -> PushRecord:
        """The record with these keys, null if unknown."""
        return replace(self, other={**dict.fromkeys(keys), **self.other})


_KEYS = {each.name for each in fields(PushRecord)} - {"other"}
_CHECKED: TypeAdapter[PushRecord] = TypeAdapter(PushRecord)


def record_of(values: Mapping[str, Any]) -> PushRecord:
    """The record with the content `values` of a push.json.

    Raises:
        ValidationError: a value has another type; pydantic's, with the key in `loc`.
    """
    known = {key: value for key, value in values.items() if key in _KEYS and value is not None}
    other = {key: value for key, value in values.items() if key not in known}
    return _CHECKED.validate_python({**known, "other": other})


def read_record(version_dir: Path) -> PushRecord:
    """Returns the version's push.json without keys whose values are invalid; an empty record if it cannot be read."""
    return _read(version_dir)[0]


def record_text(record: PushRecord) -> str:
    """The text of push.json, which `staging` writes atomically."""
    return json.dumps(record.as_json(), indent=2, sort_keys=True) + "\n"


def version_damage(version_dir: Path, thorough: bool = False) -> str:
    """Returns how a version, including its push.json, differs from what was pushed; "" if it does not.

    Args:
        version_dir: folder of the version.
        thorough: read every file, see `damage`.
    """
    record, problem = _read(version_dir)
    return problem or damage(version_dir, record.files or {}, thorough)


def who() -> str:
    """`user@host` of this process. A container's user may have no name: `1000@trainer-7f9c`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the user has no entry in passwd; OSError since Python 3.13
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _read(version_dir: Path) -> tuple[PushRecord, str]:
    """Returns the usable part of push.json, and what is wrong with it."""
    try:
        values = json.loads((version_dir / RECORD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:  # a model that was copied there by hand
        return PushRecord(), ""
    except (OSError, ValueError) as error:
        return PushRecord(), f"{RECORD_FILE} cannot be read ({' '.join(str(error).split())})"
    if not isinstance(values, dict):
        return PushRecord(), f"{RECORD_FILE} is not a JSON object"
    try:
        return record_of(values), ""
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        key = ".".join(map(str, wrong[0]["loc"]))
        usable = {name: value for name, value in values.items() if name not in {e["loc"][0] for e in wrong}}
        problem = "is missing" if wrong[0]["type"] == "missing" else f"cannot be {wrong[0]['input']!r}"
        return record_of(usable), f"{RECORD_FILE}: {key} {problem}"
