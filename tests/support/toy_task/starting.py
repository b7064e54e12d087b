"""The parts of a first config."""

from __future__ import annotations

from models.tasks.importing import ONE_VALUE, Imported, StartingTexts, present


def starting_texts(imported: Imported) -> StartingTexts:
    del imported
    return StartingTexts(present("FLOAT", ONE_VALUE), "the score", "    squared_error: {max: 1.0}\n")
