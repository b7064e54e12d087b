"""Makes sure that Ctrl-C is never lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a finalizer or a weak reference
callback, many of which run while a `tf.function` is traced, the exception is printed and dropped. So the
interrupt is also recorded here, and long work checks for it between its steps.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def remembered(at_once: bool) -> Iterator[Callable[[], None]]:
    """Yields a function that raises KeyboardInterrupt if Ctrl-C was pressed inside the block.

    The end of the block checks too. Outside the main thread, the only one that gets signals, nothing changes.

    Args:
        at_once: also raise immediately, as Python does. Otherwise only a second Ctrl-C does, for work that
            has to stop between two steps.

    Raises:
        KeyboardInterrupt: see above.
    """
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        again = pressed.is_set()
        pressed.set()
        if at_once or again:
            raise KeyboardInterrupt

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
    check()
