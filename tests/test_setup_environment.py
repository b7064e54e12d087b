"""The set-up on a machine that lacks something: it names the package to install and exits with a non-zero code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import PROJECT_DIR

TOOLS = ("bash", "dirname", "uname", "grep", "rm", "cat", "mkdir", "tail", "touch")


@pytest.fixture
def machine(tmp_path: Path):
    """Runs the set-up on a PATH that holds only the named programs."""
    shutil.copy(PROJECT_DIR / "setup_environment.sh", tmp_path)
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


PYTHON = """#!/usr/bin/env bash
case "$2" in *sys.executable*) echo "$0" ;; esac
"""
UV = """#!/usr/bin/env bash
echo "$UV_COMPILE_BYTECODE_TIMEOUT $*" >>"$HOME/calls"
[ "$(grep -c . "$HOME/calls")" -gt {failures} ] && exit 0
echo "error: Failed to fetch the package" >&2
echo "  Caused by: connection reset" >&2
exit 2
"""


@pytest.fixture
def set_up(machine, tmp_path):
    """A machine with everything installed, where uv fails the given number of times and waiting takes no time."""

    def run(failures: int) -> subprocess.CompletedProcess[str]:
        scripts = {"python3.11": PYTHON, "uv": UV.format(failures=failures), "sleep": "#!/usr/bin/env bash\n"}
        for name, script in scripts.items():
            (tmp_path / f"{name}.sh").write_text(script)
            (tmp_path / f"{name}.sh").chmod(0o755)
        links = {name: str(tmp_path / f"{name}.sh") for name in scripts}
        return machine(**links, **{"c++": links["sleep"]})

    return run


def test_download_that_fails_twice_is_tried_a_third_time(set_up, tmp_path):
    done = set_up(failures=2)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "setup: .venv is ready"), done.stderr
    assert done.stderr.splitlines()[-1] == "setup: installing the packages of .venv failed; once more in 30 s"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 3
    # On a busy machine, compiling a file's bytecode can take longer than uv's limit of a minute, so there is no limit.
    assert calls[0].startswith("0 sync --quiet --python ")


def test_reason_of_a_download_that_fails_for_good_is_on_the_last_line(set_up):
    done = set_up(failures=9)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "setup: installing the packages of .venv failed three times:   Caused by: connection reset"
    )
