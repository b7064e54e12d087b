"""The callbacks by which a server reports to its caller."""

from __future__ import annotations

from collections.abc import Callable

Listening = Callable[[int, int], None]  # called once with the REST and the gRPC port when the server listens
Ready = Callable[[], None]  # called once when a version is loaded
