"""Checks the metadata store of a pipeline before it is used, and moves it aside if it is broken.

Serving does not depend on the store. If the store is lost, so is the cache: all steps run again, with execution numbers
above those of all existing folders, and the new model is compared with the served one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from models.errors import PipelineError
from pipeline.local.failures import causes

_SCHEMA_VERSION = 10  # of ML Metadata 1.17
_NODE_COLUMNS = "id type_id name external_id create_time_since_epoch last_update_time_since_epoch"
_PROPERTY_COLUMNS = (
    "name is_custom_property int_value double_value string_value byte_value proto_value bool_value"
)
# SQLite's integrity check does not notice a flipped byte in one of these names.
_COLUMNS = {
    "Artifact": f"{_NODE_COLUMNS} uri state",
    "ArtifactProperty": f"{_PROPERTY_COLUMNS} artifact_id",
    "Execution": f"{_NODE_COLUMNS} last_known_state",
    "ExecutionProperty": f"{_PROPERTY_COLUMNS} execution_id",
    "Context": _NODE_COLUMNS,
    "ContextProperty": f"{_PROPERTY_COLUMNS} context_id",
    "Event": "id artifact_id execution_id type milliseconds_since_epoch",
    "EventPath": "event_id is_index_step step_index step_key",
    "Association": "id context_id execution_id",
    "Attribution": "id context_id artifact_id",
    "ParentContext": "context_id parent_context_id",
    "Type": "id name version type_kind description input_type output_type external_id",
    "TypeProperty": "type_id name data_type",
    "ParentType": "type_id parent_type_id",
    "MLMDEnv": "schema_version",
}
# Queries for rows that refer to missing rows.
_ORPHANS = (
    "SELECT 1 FROM Execution WHERE type_id NOT IN (SELECT id FROM Type) LIMIT 1",
    "SELECT 1 FROM Artifact WHERE type_id NOT IN (SELECT id FROM Type) LIMIT 1",
    "SELECT 1 FROM Event WHERE execution_id NOT IN (SELECT id FROM Execution) LIMIT 1",
    "SELECT 1 FROM Event WHERE artifact_id NOT IN (SELECT id FROM Artifact) LIMIT 1",
    "SELECT 1 FROM Association WHERE context_id NOT IN (SELECT id FROM Context) LIMIT 1",
)
_COMPANIONS = ("-journal", "-wal", "-shm")  # suffixes of SQLite's files beside the database
_LOCKED_SECONDS = 30.0
# Words in ML Metadata's errors about its file -> what is wrong with the file.
_STORE_ERRORS = {
    "Concurrent writes aborted": "locked by another process",
    "database is locked": "locked by another process",
    "database or disk is full": "disk full",
    "disk I/O error": "disk I/O error",
    "database disk image is malformed": "damaged",
    "file is not a database": "damaged",
    "readonly database": "not writable",
    "unable to open database file": "cannot be opened",
}
# How such an error begins if it is a RuntimeError, raised when the file is opened.
_OPENING_ERRORS = ("Error when executing query", "Cannot connect sqlite3", "Concurrent writes aborted")


class _Broken(Exception):
    """The store cannot be used and may be replaced; the message says what is wrong with it."""


def prepare(
    path: Path, pipeline_root: Path, aside: str, say: Callable[[str], None], seconds: float = _LOCKED_SECONDS
) -> None:
    """Makes sure that there is a usable store at `path`; the caller holds the pipeline's lock.

    Args:
        path: the SQLite file.
        pipeline_root: folder of the artifacts; new execution numbers will be above all existing ones.
        aside: suffix for the name of a broken store that is moved aside.
        say: called with one line if the store was lost or broken, or is locked.
        seconds: how long to wait for a locked store.

    Raises:
        PipelineError: the store is locked, cannot be read or written, or was made by another version of ML Metadata.
    """
    highest = _highest_number(pipeline_root)
    try:
        _check(path, say, seconds)
        lost = "is empty" if highest and _is_empty(path) else ""
    except FileNotFoundError:
        lost = "is missing" if highest else ""
    except _Broken as error:
        lost = f"{error} and was moved to {_move_aside(path, aside).name}"
    if lost:
        say(
            f"{path}: the metadata store {lost}. A new one is created: all steps run again, the served version stays, "
            f"and the artifacts of earlier runs in {pipeline_root} are no longer used"
        )
    if not path.exists():
        _move_aside(path, aside)  # SQLite must not apply the journal of a missing store to the new one
        _make(path)
    if _last_number(path) < highest:
        _start_above(path, highest)


def explained(error: BaseException, path: Path) -> PipelineError | None:
    """Returns the error for the user if ML Metadata failed because of its file, else None."""
    for cause in causes(error):
        if not (type(cause).__module__ == "ml_metadata.errors" or str(cause).startswith(_OPENING_ERRORS)):
            continue
        for words, meaning in _STORE_ERRORS.items():
            if words in str(cause):
                by = _holders(path) if "locked" in meaning else ""
                return PipelineError(
                    f"{path}: the metadata store is {meaning}{by}; {_advice(meaning)}, and run the same command again"
                )
    return None


def _advice(meaning: str) -> str:
    return {
        "locked by another process": "end that process",
        "disk full": "free some space",
    }.get(meaning, "check the disk and the permissions of the file")


def _check(path: Path, say: Callable[[str], None], seconds: float) -> None:
    """Raises _Broken, FileNotFoundError, or PipelineError for problems that the user has to solve."""
    if not path.is_file():
        if path.exists():
            raise _Broken("is not a file")
        raise FileNotFoundError(path)
    if not path.stat().st_size:
        raise _Broken("is empty (0 bytes)")
    for needed in (path, path.parent):
        if not os.access(needed, os.R_OK | os.W_OK, effective_ids=True):
            raise PipelineError(
                f"{needed}: the metadata store cannot be written by this user; change its permissions, or use another "
                "--root"
            )
    deadline, announced = time.monotonic() + seconds, False
    while True:
        try:
            return _check_content(path)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise PipelineError(
                    f"{path}: the metadata store cannot be opened ({error}); check the disk, or use another --root"
                ) from error
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"{path}: the metadata store is locked by another process{_holders(path)}; end it and run the same "
                    "command again"
                ) from None
        if not announced:
            say(f"{path}: locked by another process{_holders(path)}; waiting up to {seconds:.0f} s")
            announced = True
        time.sleep(0.1)


def _check_content(path: Path) -> None:
    with _opened(path) as database:
        try:
            # Locks the store as a node does; a journal that a killed run left is rolled back.
            database.execute("BEGIN IMMEDIATE")
            result = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if result != "ok":
                raise _Broken(f"is damaged ({result})")
            for table, columns in _COLUMNS.items():
                existing = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
                if not existing >= set(columns.split()):
                    raise _Broken(f"is damaged ({'columns' if existing else 'tables'} are missing)")
            versions = database.execute("SELECT schema_version FROM MLMDEnv").fetchall()
            if not versions or any(database.execute(query).fetchone() for query in _ORPHANS):
                raise _Broken("is damaged (rows are missing)")
            if not all(isinstance(version, int) for (version,) in versions):
                raise _Broken("is damaged (its schema version is not a number)")
        except (
            sqlite3.OperationalError
        ):  # about locks, permissions or the disk, not about the store's content
            raise
        except sqlite3.DatabaseError as error:
            raise _Broken(f"is damaged ({error})") from error
    if versions != [(_SCHEMA_VERSION,)]:
        raise PipelineError(
            f"{path}: the metadata store has schema version {versions[0][0]}, but this ML Metadata supports "
            f"{_SCHEMA_VERSION}; run in the environment that created it, move the file away to run all steps "
            "again (the served version stays), or use another --root"
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(uri, timeout=0, isolation_level=None, uri=True)
    database.text_factory = _text
    try:
        yield database
    finally:
        database.close()  # rolls back


def _text(content: bytes) -> str:
    """Decodes any bytes: names in a damaged store may not be UTF-8."""
    return content.decode(errors="replace")


def _is_empty(path: Path) -> bool:
    with _opened(path) as database:
        return database.execute("SELECT 1 FROM Execution LIMIT 1").fetchone() is None


def _last_number(path: Path) -> int:
    """The highest execution number ever assigned."""
    with _opened(path) as database:
        row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'Execution'").fetchone()
    return row[0] if row else 0


def _start_above(path: Path, number: int) -> None:
    with _opened(path) as database:
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'Execution'")
        database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('Execution', ?)", (number,))


def _highest_number(pipeline_root: Path) -> int:
    """The highest number in `<node>/<output>/<number>` and `<node>/.system/executor_execution/<number>`, or 0."""
    folders = (*pipeline_root.glob("*/*/"), *pipeline_root.glob("*/.system/executor_execution/"))
    names = (path.name for folder in folders if folder.is_dir() for path in folder.iterdir())
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=0)


def _make(path: Path) -> None:
    from ml_metadata import MetadataStore
    from tfx.orchestration.metadata import sqlite_metadata_connection_config

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        MetadataStore(sqlite_metadata_connection_config(str(path)))
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise explained(error, path) or PipelineError(
            f"{path}: the metadata store cannot be created: {line}"
        ) from error


def _move_aside(path: Path, suffix: str) -> Path:
    """Moves the store, if there is one, and SQLite's files beside it; returns the store's new path."""
    target = path.with_name(f"{path.name}.{suffix}")
    for companion in ("", *_COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(f"{target}{companion}")
    return target


def _holders(path: Path) -> str:
    """` (process 4711, sqlite3)` for the processes that lock the file; "" if they are unknown."""
    try:
        inode, locks = path.stat().st_ino, Path("/proc/locks").read_text(encoding="ascii").splitlines()
        fields = [line.split() for line in locks]
        pids = sorted(
            {int(f[-4]) for f in fields if f[-3].rpartition(":")[2] == str(inode) and int(f[-4]) > 0}
        )
        names = [f"process {pid}, {Path(f'/proc/{pid}/comm').read_text().strip()}" for pid in pids]
    except (OSError, ValueError, IndexError):
        return ""
    return f" ({'; '.join(names)})" if names else ""
