import os
import signal
import threading

import pytest

from components import interrupts


class Finalized:
    """Ctrl-C falls into its finalizer, where Python drops the exception."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs between two bytecodes
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("at_once", [True, False])
def test_interrupt_that_falls_into_a_finalizer_is_raised_when_asked_for(at_once: bool) -> None:
    reached = []

    def work() -> None:
        with interrupts.remembered(at_once) as check:
            Finalized()
            reached.append("after the finalizer")
            check()
            reached.append("after the check")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["after the finalizer"]


def test_first_interrupt_waits_for_the_next_question_and_the_second_does_not() -> None:
    reached = []

    def work() -> None:
        with interrupts.remembered(at_once=False):
            signal.raise_signal(signal.SIGINT)
            reached.append("first")
            signal.raise_signal(signal.SIGINT)
            reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["first"]


def test_interrupt_that_nobody_asked_about_is_raised_at_the_end_of_the_block() -> None:
    reached = []

    def work() -> None:
        with interrupts.remembered(at_once=False):
            signal.raise_signal(signal.SIGINT)
            reached.append("end of the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end of the block"]


def test_handler_of_before_is_back_after_the_block() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts.remembered(at_once=True) as check:
        check()
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_stay_as_they_are() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interrupts.remembered(at_once=True) as check:
            check()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
