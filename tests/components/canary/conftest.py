"""The tiny exported models of the server's tests, made once for all modules in this folder."""

from __future__ import annotations

from tests.support.model_server import exported

__all__ = ["exported"]
