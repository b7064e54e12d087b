"""The file that tells what the canary found. Imports nothing, so that a summary can read it cheaply."""

from __future__ import annotations

# In the blessing's folder: {"blessed": true, "reasons": [], "figures": {"p99_ms": 11.2, ...}}
REPORT_FILE = "canary.json"
