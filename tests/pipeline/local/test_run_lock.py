import os
import signal
import subprocess
import sys
import threading

import pytest

from components.project import PROJECT_DIR
from models.errors import PipelineError
from pipeline.local import run_lock

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.local import run_lock
from components.project import PROJECT_DIR
with run_lock.hold(Path(sys.argv[1]), "run-1", False, print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `<tmp_path>/.lock`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path, holder):
    with (
        pytest.raises(PipelineError, match=rf"process {holder.pid} \(run run-1\) is running this pipeline"),
        run_lock.hold(tmp_path / ".lock", "run-2", False, print),
    ):
        pass


def test_a_killed_run_leaves_no_lock(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with run_lock.hold(tmp_path / ".lock", "run-2", False, print):
        assert '"run_id": "run-2"' in (tmp_path / ".lock").read_text()


def test_lock_of_a_killed_run_that_the_kernel_has_not_opened_yet_is_waited_for(tmp_path, holder):
    gone = subprocess.Popen(["true"])
    gone.wait()
    # What a large process holds for a moment after it was killed.
    (tmp_path / ".lock").write_text(f'{{"pid": {gone.pid}, "run_id": "run-1"}}')
    threading.Timer(0.3, holder.kill).start()
    with run_lock.hold(tmp_path / ".lock", "run-2", False, print):
        assert '"run_id": "run-2"' in (tmp_path / ".lock").read_text()


def test_waiting_goes_on_when_the_holder_ends(tmp_path, holder):
    told = []

    def end_the_holder(line: str) -> None:
        told.append(line)
        threading.Timer(0.2, holder.kill).start()

    with run_lock.hold(tmp_path / ".lock", "run-2", True, end_the_holder):
        assert told == [f"process {holder.pid} (run run-1)"]


def test_one_process_can_hold_it_again_after_its_end(tmp_path):
    for run_id in ("a", "b"):
        with run_lock.hold(tmp_path / "new" / ".lock", run_id, False, print):
            pass
