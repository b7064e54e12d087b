"""What a server tells the one who started it."""

from __future__ import annotations

from collections.abc import Callable

Listening = Callable[[int, int], None]  # once, when it listens: the REST and the gRPC port
Ready = Callable[[], None]  # once, when a version is loaded
