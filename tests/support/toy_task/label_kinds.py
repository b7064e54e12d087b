"""What `import` takes for a label: a number."""

from __future__ import annotations

from models.tasks.regression.label_kinds import (  # noqa: F401
    FEWEST_LABELS,
    TAKES_FORM,
    counted,
    not_labels,
    number,
    ordered,
    parse,
    stored,
    suspicions,
)
