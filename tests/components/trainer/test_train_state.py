"""States of several runs in one folder: complete, separate, and removed when they expire."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from components.project import PROJECT_DIR
from components.trainer.state_files import STATE_FILE, clear_state, remove_files_aside, state_path
from components.trainer.train_state import fingerprint, load_state, save_state
from models.errors import PipelineError

ONE, OTHER = fingerprint({"seed": 1}), fingerprint({"seed": 2})


def arrays(value: float) -> dict[str, np.ndarray]:
    return {"weight/0": np.full((300, 1000), value, np.float32), "optimizer/0": np.array(7, np.int64)}


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save_state(tmp_path, ONE, {"step": 3}, arrays(0.5))
    found = load_state(tmp_path, ONE)
    assert found is not None
    assert found[0] == {"step": 3}
    assert found[1].keys() == {"weight/0", "optimizer/0"}
    assert np.array_equal(found[1]["weight/0"], arrays(0.5)["weight/0"])
    assert load_state(tmp_path, OTHER) is None


# Two pods: the same folder, the same process id, other settings.
WRITER = """
import os, sys
os.getpid = lambda: 7
from pathlib import Path
from components.trainer.train_state import load_state, save_state
from tests.components.trainer.test_train_state import arrays
folder, mark, value = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
own = 0
for step in range(40):
    save_state(folder, mark, {"step": step, "value": value}, arrays(value + step))
    progress, found = load_state(folder, mark)  # raises for an incomplete state
    own += progress == {"step": step, "value": value} and bool((found["weight/0"] == value + step).all())
print(own)
"""


def two_writers(folder: Path, marks: tuple[str, str]) -> list[str]:
    """Runs both at the same time; returns how many of their 40 states each found again as it had saved it."""
    writers = []
    for mark, value in zip(marks, ("0", "1000"), strict=True):
        command = [sys.executable, "-c", WRITER, str(folder), mark, value]
        writers.append(subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True))
    return [writer.communicate()[0].strip() for writer in writers]


def test_two_processes_of_equal_names_keep_states_of_their_own(tmp_path: Path) -> None:
    assert two_writers(tmp_path, (ONE, OTHER)) == ["40", "40"]
    for mark, value in ((ONE, 0.0), (OTHER, 1000.0)):
        found = load_state(tmp_path, mark)
        assert found is not None
        assert found[0] == {"step": 39, "value": value}
    assert len(list(tmp_path.rglob("*.safetensors*"))) == 2


def test_two_processes_that_train_the_very_same_leave_one_whole_state(tmp_path: Path) -> None:
    assert all(found.isdigit() for found in two_writers(tmp_path, (ONE, ONE)))
    found = load_state(tmp_path, ONE)
    assert found is not None
    assert found[0]["step"] == 39
    assert len(list(tmp_path.rglob("*.safetensors*"))) == 1


def test_finished_training_takes_away_its_own_state_and_those_that_were_given_up(tmp_path: Path) -> None:
    marks = [fingerprint({"seed": seed}) for seed in range(4)]
    for mark, days in zip(marks, (0.0, 0.0, 6.9, 7.1), strict=True):
        save_state(tmp_path, mark, {}, arrays(1.0))
        written = time.time() - days * 86_400
        os.utime(state_path(tmp_path, mark), (written, written))
    clear_state(tmp_path, marks[0])
    left = sorted(path.parent.name for path in tmp_path.rglob(STATE_FILE))
    assert left == sorted(mark[:16] for mark in marks[1:3])


def test_finished_training_leaves_the_file_that_another_run_of_it_is_writing(tmp_path: Path) -> None:
    save_state(tmp_path, ONE, {"step": 1}, arrays(1.0))
    aside = state_path(tmp_path, ONE).with_name(f".{STATE_FILE}.of_the_other_run")
    aside.write_bytes(b"half")
    clear_state(tmp_path, ONE)
    assert [path.name for path in tmp_path.rglob(".*")] == [aside.name]
    assert not state_path(tmp_path, ONE).exists()


def test_files_of_killed_writers_go_when_they_are_old_and_at_once_when_nobody_else_writes(
    tmp_path: Path,
) -> None:
    save_state(tmp_path, ONE, {}, arrays(1.0))
    of_a_writer, abandoned = (state_path(tmp_path, ONE).with_name(f".{STATE_FILE}.{n}") for n in "ab")
    for aside, hours in ((of_a_writer, 0.5), (abandoned, 1.5)):
        aside.write_bytes(b"half")
        os.utime(aside, (time.time() - hours * 3600,) * 2)
    save_state(tmp_path, OTHER, {}, arrays(1.0))
    assert (of_a_writer.exists(), abandoned.exists()) == (True, False)
    remove_files_aside(tmp_path)
    assert not of_a_writer.exists()
    assert state_path(tmp_path, ONE).exists()


def test_state_that_cannot_be_saved_is_one_line_and_leaves_the_one_before(tmp_path: Path) -> None:
    save_state(tmp_path, ONE, {"step": 1}, arrays(1.0))
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        "from pathlib import Path; from components.trainer.train_state import save_state;"
        "from models.errors import PipelineError;"
        "from tests.components.trainer.test_train_state import ONE, arrays\n"
        "try: save_state(Path(sys.argv[1]), ONE, {'step': 2}, arrays(2.0))\n"
        "except PipelineError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(tmp_path)],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"{state_path(tmp_path, ONE)}: the training state cannot be saved ("), (
        done.stderr
    )
    assert "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    found = load_state(tmp_path, ONE)
    assert found is not None
    assert found[0] == {"step": 1}
    assert [path.name for path in state_path(tmp_path, ONE).parent.iterdir()] == [STATE_FILE]


def test_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    save_state(tmp_path, ONE, {"step": 1}, arrays(1.0))
    path = state_path(tmp_path, ONE)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"^{path} cannot be read \\("):
        load_state(tmp_path, ONE)


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder is expected")
    with pytest.raises(PipelineError, match=r"the training state cannot be saved \(.*Not a directory"):
        save_state(tmp_path / "state", ONE, {}, arrays(1.0))
