"""Why an own part cannot be used."""

from __future__ import annotations


class UnfitError(Exception):
    """A part breaks its contract; the message says how, as the end of a line that begins with its key and path."""
