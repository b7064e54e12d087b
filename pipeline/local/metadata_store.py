"""The metadata store of one pipeline: looked at before it is used, set aside when it is broken.

What is served does not depend on it. A lost store costs the cache: all steps run again, under numbers above those of
all folders that earlier runs left, and the served model is the baseline that the new one is held against.
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
# A byte that flips in a name of these leaves a database that SQLite finds in order.
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
# Rows that refer to rows which are not there.
_ORPHANS = (
    "SELECT 1 FROM Execution WHERE type_id NOT IN (SELECT id FROM Type) LIMIT 1",
    "SELECT 1 FROM Artifact WHERE type_id NOT IN (SELECT id FROM Type) LIMIT 1",
    "SELECT 1 FROM Event WHERE execution_id NOT IN (SELECT id FROM Execution) LIMIT 1",
    "SELECT 1 FROM Event WHERE artifact_id NOT IN (SELECT id FROM Artifact) LIMIT 1",
    "SELECT 1 FROM Association WHERE context_id NOT IN (SELECT id FROM Context) LIMIT 1",
)
_COMPANIONS = ("-journal", "-wal", "-shm")  # SQLite's, beside the database
_LOCKED_SECONDS = 30.0
# Words in what ML Metadata raises over its file -> what is wrong with it.
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
# How it begins when it is a RuntimeError, raised over the opening of the file.
_OPENING_ERRORS = ("Error when executing query", "Cannot connect sqlite3", "Concurrent writes aborted")


class _Broken(Exception):
    """The store can be given up; the message says what it is."""


def prepare(
    path: Path, pipeline_root: Path, aside: str, say: Callable[[str], None], seconds: float = _LOCKED_SECONDS
) -> None:
    """Leaves a store at `path` that can be used; the caller holds the pipeline's lock.

    Args:
        path: the SQLite file.
        pipeline_root: folder of the artifacts; numbers of new ones will be above all that are there.
        aside: what the name of a broken store ends in when it is moved aside.
        say: told in one line when the store was lost or broken, or is locked.
        seconds: how long a locked store is waited for.

    Raises:
        PipelineError: the store is locked, cannot be read or written, or is of another version of ML Metadata.
    """
    highest = _highest_number(pipeline_root)
    try:
        _check(path, say, seconds)
        lost = "is empty" if highest and _is_empty(path) else ""
    except FileNotFoundError:
        lost = "is gone" if highest else ""
    except _Broken as error:
        lost = f"{error} and was moved to {_move_aside(path, aside).name}"
    if lost:
        say(
            f"{path}: the metadata store {lost}. It starts anew: all steps run again, what is served stays, and what "
            f"earlier runs left in {pipeline_root} is no longer used"
        )
    if not path.exists():
        _move_aside(path, aside)  # a journal of a store that is gone belongs to no other
        _make(path)
    if _last_number(path) < highest:
        _start_above(path, highest)


def explained(error: BaseException, path: Path) -> PipelineError | None:
    """The line for the user when ML Metadata raised over its file, else None."""
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
        "locked by another process": "end what uses it",
        "disk full": "free some space",
    }.get(meaning, "check the disk and the rights of the file")


def _check(path: Path, say: Callable[[str], None], seconds: float) -> None:
    """Raises _Broken, FileNotFoundError, or PipelineError for what the user has to change."""
    if not path.is_file():
        if path.exists():
            raise _Broken("is no file")
        raise FileNotFoundError(path)
    if not path.stat().st_size:
        raise _Broken("is empty (0 bytes)")
    for needed in (path, path.parent):
        if not os.access(needed, os.R_OK | os.W_OK, effective_ids=True):
            raise PipelineError(
                f"{needed}: the metadata store cannot be written by this user; give it the right to, or use another "
                "--root"
            )
    deadline, told = time.monotonic() + seconds, False
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
        if not told:
            say(f"{path}: locked by another process{_holders(path)}; waiting up to {seconds:.0f} s")
            told = True
        time.sleep(0.1)


def _check_content(path: Path) -> None:
    with _opened(path) as database:
        try:
            # As a node will; a journal that a killed run left is rolled back.
            database.execute("BEGIN IMMEDIATE")
            found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise _Broken(f"is damaged ({found})")
            for table, columns in _COLUMNS.items():
                there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
                if not there >= set(columns.split()):
                    raise _Broken(f"is damaged ({'columns' if there else 'tables'} are missing)")
            versions = database.execute("SELECT schema_version FROM MLMDEnv").fetchall()
            if not versions or any(database.execute(query).fetchone() for query in _ORPHANS):
                raise _Broken("is damaged (rows are missing)")
            if not all(isinstance(version, int) for (version,) in versions):
                raise _Broken("is damaged (its schema version is no number)")
        except sqlite3.OperationalError:  # locks, rights and disks: nothing that the store says of itself
            raise
        except sqlite3.DatabaseError as error:
            raise _Broken(f"is damaged ({error})") from error
    if versions != [(_SCHEMA_VERSION,)]:
        raise PipelineError(
            f"{path}: the metadata store has schema version {versions[0][0]}, and this ML Metadata knows "
            f"{_SCHEMA_VERSION}; run with the environment that made it, move the file away to run all steps "
            "again (what is served stays), or use another --root"
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
    """Names in a damaged store can be anything."""
    return content.decode(errors="replace")


def _is_empty(path: Path) -> bool:
    with _opened(path) as database:
        return database.execute("SELECT 1 FROM Execution LIMIT 1").fetchone() is None


def _last_number(path: Path) -> int:
    """The highest number an execution ever had."""
    with _opened(path) as database:
        row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'Execution'").fetchone()
    return row[0] if row else 0


def _start_above(path: Path, number: int) -> None:
    with _opened(path) as database:
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'Execution'")
        database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('Execution', ?)", (number,))


def _highest_number(pipeline_root: Path) -> int:
    """Of the folders `<node>/<output>/<number>` and `<node>/.system/executor_execution/<number>`; 0 without any."""
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
            f"{path}: no metadata store can be made: {line}"
        ) from error


def _move_aside(path: Path, suffix: str) -> Path:
    """Moves the store, if there is one, and what SQLite left beside it; returns the new path of the store."""
    target = path.with_name(f"{path.name}.{suffix}")
    for companion in ("", *_COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(f"{target}{companion}")
    return target


def _holders(path: Path) -> str:
    """` (process 4711, sqlite3)` of those that hold a lock on the file; "" when the kernel does not tell."""
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
