"""Decoding of what clients send: few bodies at once, and nothing of a refused one is kept.

A body of 4 MB can become 50 MB of Python objects, and Python decodes one at a time whatever the number of
threads: without a bound, as many would be half decoded as requests may wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from components.serving.errors import RequestError

T = TypeVar("T")

_SLOTS = threading.BoundedSemaphore(2)


def decoded(decode: Callable[[], T]) -> T:
    """Runs `decode`, in turn.

    Raises:
        RequestError: as `decode` does, without its traceback.
    """
    with _SLOTS:
        try:
            return decode()
        except RequestError as error:
            raise forgetful(error) from None


def forgetful(error: RequestError) -> RequestError:
    """The same error without what led to it: the frames of a traceback hold the request and all its values.

    They would live until the garbage collector comes by, which counts objects and not their bytes.
    """
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)
