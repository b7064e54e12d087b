"""The tiny exported models of the server's tests, made once for all modules here."""

from __future__ import annotations

from tests.components.serving.conftest import exported

__all__ = ["exported"]
