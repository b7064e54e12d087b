"""The sub-commands for versions, used while a server is running."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from components.project import PROJECT_DIR
from tests.components.serving.test_life import CLIENTS, Load
from tests.e2e.test_pipeline import CONFIG
from tests.support.model_server import Exported, push, running


def call(folder: Path, *arguments: str) -> str:
    """Stdout of a sub-command, which must succeed."""
    command = [
        sys.executable,
        str(PROJECT_DIR / "runner_local.py"),
        arguments[0],
        "tiny.yaml",
        *arguments[1:],
    ]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120).stdout


def test_rollback_and_prune_fail_no_request_and_the_version_that_answers_stays(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    home = tmp_path / "serving" / "tiny"
    for model in exported:
        push(model.path, home.parent)
    with running(home.parent, 2) as server, Load(server, exported) as load:
        while not load.answers:
            time.sleep(0.05)
        assert call(tmp_path, "rollback") == f"version 3 has the content of version 1: {home}/3\n"
        server.wait_for(3)
        assert call(tmp_path, "prune", "--keep", "1") == "removed: 1, 2\n"
        before = load.answers.total()
        while load.answers.total() < before + 2 * CLIENTS:
            time.sleep(0.05)
        assert call(tmp_path, "prune", "--keep", "1") == "removed: none\n"
        assert server.version() == 3
    assert set(load.answers) == {"right"}, load.answers.most_common(3)
    assert load.versions == {2, 3}
