"""The two tiny models and the server of tests/support, made once for all modules in this folder."""

from __future__ import annotations

from tests.support.model_server import exported, server

__all__ = ["exported", "server"]
