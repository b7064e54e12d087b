from pathlib import Path

import pytest

from components.errors import GateRefused, PipelineError
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
        "components.errors.PipelineError: a.gz: record 3 is cut short [while running 'VerifyAndCopy']\n"
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


def test_errors_outside_of_nodes_are_the_runs():
    assert explain(OSError("disk full"), LOG).reason.startswith("the run failed: OSError: disk full")
