"""A good project, and what runs it once something in it is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.local.run import RunRequest, run
from tests.support.tiny_project import write_project


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    write_project(folder)
    served = folder / "serving" / "tiny" / "1"
    served.mkdir(parents=True)
    (served / "saved_model.pb").write_bytes(b"the version being served")
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "work"))


@pytest.fixture
def refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the pipeline, checks that it ended with `exit_code` and pushed nothing; returns the reason."""

    def _refused(exit_code: int, *overrides: str) -> str:
        request = RunRequest(str(folder / "tiny.yaml"), overrides, folder / "runs", json=True)
        code = run(request)
        captured = capfd.readouterr()
        result = json.loads(captured.out.splitlines()[-1])
        assert code == exit_code, captured.err
        assert "Traceback" not in captured.err + captured.out
        assert not result["pushed"]
        assert [p.name for p in (folder / "serving" / "tiny").iterdir()] == ["1"]
        assert (folder / "serving/tiny/1/saved_model.pb").read_bytes() == b"the version being served"
        assert len(result["reason"].splitlines()) == 1
        return result["reason"]

    return _refused
