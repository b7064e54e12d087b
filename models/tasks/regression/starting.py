"""The parts of a first config that depend on the targets of an imported dataset."""

from __future__ import annotations

from models.tasks.importing import ONE_VALUE, Imported, StartingTexts, present

_THRESHOLDS = """\
    # Answering every text with the mean gives RMSE {deviation:.4g} and R² 0 on the test split ({rows} rows). The bounds below
    # refuse a model that learned nothing. Tighten them to just above (R²: below) what your first runs reach.
    rmse: {{max: {rmse:.4g}, max_rise: {rise:.4g}}}  # max_rise: against the last blessed model
    r2: {{min: 0.1}}
"""


def starting_texts(imported: Imported) -> StartingTexts:
    """Bounds that a model which learned nothing does not meet, as YAML with the reasons."""
    spread = imported.targets["test"]
    lowest = min(target.lowest for target in imported.targets.values())
    highest = max(target.highest for target in imported.targets.values())
    domain = f"float_domain {{ min: {lowest!r} max: {highest!r} disallow_nan: true disallow_inf: true }}"
    thresholds = _THRESHOLDS.format(
        deviation=spread.deviation,
        rows=spread.rows,
        rmse=0.95 * spread.deviation,
        rise=0.05 * spread.deviation,
    )
    return StartingTexts(
        label_rules=present("FLOAT", ONE_VALUE, domain),
        label_list="the name of the predicted number",
        thresholds=thresholds,
        training="  # loss: huber  # mse (default), mae or huber, which outliers disturb less\n",
    )
