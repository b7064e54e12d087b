"""Decodes request bodies, only a few at a time, and keeps nothing of a rejected one.

A body of 4 MB can become 50 MB of Python objects, and Python decodes one at a time regardless of the number of
threads. Without a limit, as many bodies could be half decoded as requests may wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from components.serving.errors import RequestError

T = TypeVar("T")

_SLOTS = threading.BoundedSemaphore(2)


def decoded(decode: Callable[[], T]) -> T:
    """Runs `decode` when it is its turn.

    Raises:
        RequestError: raised by `decode`, without its traceback.
    """
    with _SLOTS:
        try:
            return decode()
        except RequestError as error:
            raise forgetful(error) from None


def forgetful(error: RequestError) -> RequestError:
    """The same error without its traceback, whose frames keep the request and all its values alive.

    They would live until the next garbage collection, whose schedule counts objects, not bytes.
    """
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)
