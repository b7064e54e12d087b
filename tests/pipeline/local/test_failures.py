import errno
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from models.errors import GateRefused, PipelineError
from pipeline.local.failures import NodeFailed, explain

LOG = Path("runs/trec/logs/1.log")


def failed(cause: BaseException) -> NodeFailed:
    error = NodeFailed("Transform")
    error.__cause__ = cause
    return error


def test_our_own_errors_are_the_message_as_it_stands():
    failure = explain(failed(PipelineError("labels.txt: line 3 is empty")), LOG)
    assert (failure.reason, failure.exit_code, failure.expected) == ("labels.txt: line 3 is empty", 1, True)


def test_a_gates_refusal_exits_with_3_also_when_wrapped():
    wrapped = RuntimeError("the runner failed")
    wrapped.__cause__ = GateRefused("too few rows")
    assert explain(failed(wrapped), LOG).exit_code == 3


def test_an_error_that_beam_hands_over_as_text_is_found_again():
    text = (
        "Traceback (most recent call last):\n"
        '  File "executor.py", line 3, in process\n'
        "models.errors.PipelineError: a.gz: record 3 is cut short [while running 'VerifyAndCopy']\n"
    )
    assert explain(failed(RuntimeError(text)), LOG).reason == "a.gz: record 3 is cut short"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ValueError("bad shape\nin line 2"),
            "node Transform failed: ValueError: bad shape (details: runs/trec/logs/1.log)",
        ),
        (KeyError(), "node Transform failed: KeyError: no message (details: runs/trec/logs/1.log)"),
    ],
)
def test_other_errors_are_told_in_one_line_with_the_log(error, reason):
    failure = explain(failed(error), LOG)
    assert (failure.reason, failure.exit_code, failure.expected) == (reason, 1, False)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            MemoryError(),
            "not enough memory; lower train.batch_size or transform.max_length, or provide more memory, and run again (MemoryError: no message)",
        ),
        (
            RuntimeError("can't start new thread [while running 'Write']"),
            "not enough memory; lower train.batch_size or transform.max_length, or provide more memory, and run again "
            "(RuntimeError: can't start new thread [while running 'Write'])",
        ),
        (
            ImportError("libx.so: failed to map segment from shared object"),
            "not enough memory; lower train.batch_size or transform.max_length, or provide more memory, and run again "
            "(ImportError: libx.so: failed to map segment from shared object)",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x.gz"),
            "/data/x.gz: disk full; free some space and run again, finished steps are kept "
            "([Errno 28] No space left on device: '/data/x.gz')",
        ),
        (
            RuntimeError("Failed to write; No space left on device\nat 0x7f"),
            "disk full; free some space and run again, finished steps are kept (Failed to write; No space left on device)",
        ),
    ],
)
def test_what_the_machine_ran_out_of_is_said_with_what_to_do(error, told):
    wrapped = ValueError("the writer failed")
    wrapped.__cause__ = error
    assert (
        explain(failed(wrapped), LOG).reason
        == f"node Transform failed: {told} (details: runs/trec/logs/1.log)"
    )


def test_limit_of_the_memory_is_named_where_there_is_one():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4_096_000_000, 4_096_000_000));"
        "from pipeline.local.failures import explain; from pathlib import Path;"
        "print(explain(MemoryError(), Path('1.log')).reason)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT_DIR)
    assert done.stdout.startswith(
        "the run failed: not enough memory, `ulimit -v` is 4000000; lower train.batch_size"
    )


def test_errors_outside_of_nodes_are_the_runs():
    assert explain(OSError("disk full"), LOG).reason.startswith("the run failed: OSError: disk full")
