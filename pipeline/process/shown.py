"""Formats node states and durations for the terminal."""

from __future__ import annotations

SYMBOLS = {
    "done": ("✓", "green"),
    "cached": ("≡", "cyan"),
    "failed": ("✗", "red"),
    "interrupted": ("✗", "yellow"),
    "waiting": ("·", "dim"),
}


def duration(seconds: float) -> str:
    """Formats seconds: `0.42 -> "0.4 s"`, `75 -> "1 min 15 s"`, `3700 -> "1 h 1 min"`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
