"""What the set-up says on a machine that lacks something: the package to install, exit code not 0."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "dirname", "uname", "grep", "rm", "cat")


@pytest.fixture
def machine(tmp_path: Path):
    """Runs the set-up on a PATH that holds only the named programs."""
    shutil.copy(ROOT / "setup_environment.sh", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)

    def run(**links: str) -> subprocess.CompletedProcess[str]:
        for name, target in links.items():
            (programs / name).symlink_to(target)
        return subprocess.run(
            [str(tmp_path / "setup_environment.sh"), "0", ".venv", "--frozen"],
            env={"PATH": str(programs), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_missing_python_names_the_package(machine):
    done = machine()
    assert done.returncode == 1
    assert "Python 3.11 is missing" in done.stderr
    assert "Install python3.11 and python3.11-venv (Debian, Ubuntu)" in done.stderr


def test_another_python_is_not_taken_for_3_11(machine, tmp_path):
    other = tmp_path / "other"
    other.write_text("#!/usr/bin/env bash\nexit 1\n")
    other.chmod(0o755)
    assert "Python 3.11 is missing" in machine(python3=str(other)).stderr


def test_missing_compiler_names_the_package(machine):
    base = os.path.realpath(sys.executable)
    done = machine(**{"python3.11": base})
    assert done.returncode == 1
    assert "a C++ compiler is missing (pyfarmhash has no wheel): install g++" in done.stderr


def test_missing_headers_name_the_package(machine, tmp_path):
    bare = tmp_path / "bare"
    bare.write_text(
        '#!/usr/bin/env bash\ncase "$2" in *sys.executable*) echo "$0" ;; *Python.h*) exit 1 ;; esac\n'
    )
    bare.chmod(0o755)
    done = machine(**{"python3.11": str(bare), "c++": str(bare)})
    assert done.returncode == 1
    assert "the headers of " in done.stderr
    assert "install python3.11-dev (Debian, Ubuntu) or python3.11-devel (Fedora, RHEL)." in done.stderr
