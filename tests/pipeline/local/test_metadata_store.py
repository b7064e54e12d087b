"""A metadata store that is lost, damaged or in use: a one-line message, a remedy, and numbers that do not collide."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from models.errors import PipelineError
from pipeline.local import metadata_store


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store with an execution in it."""
    path = tmp_path_factory.mktemp("store") / "metadata.sqlite"
    add_execution(path)
    return path.read_bytes()


def add_execution(path: Path) -> int:
    store = MetadataStore(sqlite_metadata_connection_config(str(path)))
    kind = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    [number] = store.put_executions([mlmd.Execution(type_id=kind)])
    return int(number)


@pytest.fixture
def path(tmp_path: Path, whole: bytes) -> Path:
    (tmp_path / "artifacts/Trainer/model/41").mkdir(parents=True)
    (tmp_path / "artifacts/Report/.system/executor_execution/44").mkdir(parents=True)
    (tmp_path / "metadata.sqlite").write_bytes(whole)
    return tmp_path / "metadata.sqlite"


def prepare(path: Path, seconds: float = 5.0) -> list[str]:
    told: list[str] = []
    metadata_store.prepare(path, path.parent / "artifacts", "broken-now", told.append, seconds)
    return told


def sql(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def flip(path: Path, words: bytes) -> None:
    """A bit of the fourth of these bytes, everywhere: SQLite keeps old copies of its schema."""
    changed = words[:3] + bytes([words[3] ^ 1]) + words[4:]
    content = path.read_bytes()
    assert words in content
    path.write_bytes(content.replace(words, changed))


def test_whole_store_is_left_as_it_is_but_for_numbers_that_folders_have(path: Path) -> None:
    assert prepare(path) == []
    assert add_execution(path) == 45
    assert prepare(path) == []
    assert add_execution(path) == 46


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda p: p.write_text("hello\n"), "is damaged (file is not a database)"),
    "truncated to a page": (lambda p: os.truncate(p, 4096), "is damaged (database disk image is malformed)"),
    "truncated in a page": (
        lambda p: os.truncate(p, 60_000),
        "is damaged (database disk image is malformed)",
    ),
    "header gone": (
        lambda p: p.write_bytes(b"\0" * 100 + p.read_bytes()[100:]),
        "is damaged (file is not a database)",
    ),
    "table gone": (lambda p: sql(p, "DROP TABLE Event"), "is damaged (tables are missing)"),
    "rows of the types gone": (lambda p: sql(p, "DELETE FROM Type"), "is damaged (rows are missing)"),
    "version gone": (lambda p: sql(p, "DELETE FROM MLMDEnv"), "is damaged (rows are missing)"),
    "name of a column that no index has": (
        lambda p: flip(p, b"`last_known_state`"),
        "is damaged (columns are missing)",
    ),
    "name of the version's column": (
        lambda p: flip(p, b"`schema_version`"),
        "is damaged (columns are missing)",
    ),
    "key of the version": (
        lambda p: flip(p, b"PRIMARY KEY  )"),
        "is damaged (its schema version is not a number)",
    ),
    "a folder": (lambda p: (p.unlink(), p.mkdir(), (p / "x").touch()), "is not a file"),
}


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_broken_store_is_moved_aside_and_a_new_one_counts_above_all_folders(
    path: Path, damage: Callable[[Path], object], told: str
) -> None:
    damage(path)
    path.with_name("metadata.sqlite-journal").write_bytes(b"of the broken one")
    [line] = prepare(path)
    assert line == (
        f"{path}: the metadata store {told} and was moved to metadata.sqlite.broken-now. A new one is created: all steps "
        f"run again, the served version stays, and the artifacts of earlier runs in {path.parent}/artifacts are no longer "
        "used"
    )
    assert path.with_name("metadata.sqlite.broken-now").exists()
    assert not path.with_name("metadata.sqlite-journal").exists()
    assert add_execution(path) == 45
    assert prepare(path) == []


def test_store_that_was_deleted_is_told_where_earlier_runs_left_folders(path: Path) -> None:
    path.unlink()
    path.with_name("metadata.sqlite-journal").write_bytes(b"of the lost one")
    [line] = prepare(path)
    assert line.startswith(f"{path}: the metadata store is missing. A new one is created")
    assert add_execution(path) == 45


def test_store_that_was_emptied_is_told(path: Path) -> None:
    sql(path, *(f"DELETE FROM {table}" for table in ("Execution", "Type", "sqlite_sequence")))
    [line] = prepare(path)
    assert line.startswith(f"{path}: the metadata store is empty. A new one is created")
    assert add_execution(path) == 45


def test_first_run_has_nothing_to_tell(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metadata.sqlite"
    assert prepare(path) == []
    assert add_execution(path) == 1


def test_store_of_another_version_of_ml_metadata_stays_where_it_is(path: Path) -> None:
    sql(path, "UPDATE MLMDEnv SET schema_version = 11")
    before = path.read_bytes()
    with pytest.raises(PipelineError) as caught:
        prepare(path)
    assert str(caught.value) == (
        f"{path}: the metadata store has schema version 11, but this ML Metadata supports 10; run in the environment "
        "that created it, move the file away to run all steps again (the served version stays), or use another --root"
    )
    assert path.read_bytes() == before


def test_journal_of_a_killed_writer_is_rolled_back(path: Path) -> None:
    writer = (
        "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "d.execute('PRAGMA cache_size = 1'); d.execute('PRAGMA cache_spill = 1'); d.execute('BEGIN IMMEDIATE');"
        "d.execute('DELETE FROM Execution'); "
        "d.executemany('INSERT INTO Type (name, type_kind) VALUES (?, 1)', [(str(i) * 50,) for i in range(3000)]);"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", writer, str(path)], check=False)
    assert path.with_name("metadata.sqlite-journal").exists()
    assert prepare(path) == []
    assert add_execution(path) == 45


LOCK = (
    "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); d.execute('BEGIN EXCLUSIVE');"
    "print('locked', flush=True); sys.stdin.read()"
)


@pytest.fixture
def locker(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the store locked until its stdin is closed."""
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_locked_store_is_named_at_once_with_who_holds_it(path: Path, locker: subprocess.Popen[bytes]) -> None:
    told: list[str] = []
    with pytest.raises(PipelineError) as caught:
        metadata_store.prepare(path, path.parent / "artifacts", "broken", told.append, 0.2)
    by = f"locked by another process (process {locker.pid}, python"
    assert [line.startswith(f"{path}: {by}") for line in told] == [True]
    assert str(caught.value).startswith(f"{path}: the metadata store is {by}")
    assert str(caught.value).endswith("end it and run the same command again")


def test_store_that_is_unlocked_in_time_is_used(path: Path, locker: subprocess.Popen[bytes]) -> None:
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        locker.kill()

    metadata_store.prepare(path, path.parent / "artifacts", "broken", say, 60.0)
    assert len(told) == 1
    assert add_execution(path) == 45


def test_lock_that_another_process_takes_during_the_run_is_named(
    path: Path, locker: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(Exception, match="Concurrent writes aborted") as caught:
        add_execution(path)
    found = metadata_store.explained(caught.value, path)
    assert str(found).startswith(
        f"{path}: the metadata store is locked by another process (process {locker.pid}, "
    )
    assert metadata_store.explained(ValueError("database is locked"), path) is None


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder, and this process without root's right to write anywhere."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_store_that_cannot_be_written_stays_and_is_named(whole: bytes, as_nobody: Path) -> None:
    path = as_nobody / "metadata.sqlite"
    user = os.geteuid()
    os.seteuid(os.getuid())
    path.write_bytes(whole)
    path.chmod(0o444)
    os.seteuid(user)
    with pytest.raises(PipelineError) as caught:
        prepare(path)
    assert str(caught.value) == (
        f"{path}: the metadata store cannot be written by this user; change its permissions, or use another --root"
    )
    assert path.read_bytes() == whole
