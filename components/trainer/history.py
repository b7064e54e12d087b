"""The file that tells how training went. Imports nothing, so that a report can read it cheaply."""

from __future__ import annotations

# In the model run's folder: `components.trainer.train_loop.History` as JSON.
HISTORY_FILE = "history.json"
