"""The two tiny models and the server of tests/support, made once for all modules here."""

from __future__ import annotations

from tests.support.model_server import exported, server

__all__ = ["exported", "server"]
