"""Artifact types that Kubeflow's run page displays.

The page recognizes them by type name and reads figures from custom properties and documents from the file at
the URI. On a local disk the URI is a folder, and the file in it has a name that a browser understands.
"""

from __future__ import annotations

from pathlib import Path

from tfx.types import artifact


class ClassificationMetrics(artifact.Artifact):
    """Custom properties `confusionMatrix` and, for two classes, `confidenceMetrics` (the ROC curve)."""

    TYPE_NAME = "system.ClassificationMetrics"


class Metrics(artifact.Artifact):
    """Custom properties are the figures: name -> float."""

    TYPE_NAME = "system.Metrics"


class HtmlPage(artifact.Artifact):
    """One self-contained HTML page."""

    TYPE_NAME = "system.HTML"


class MarkdownPage(artifact.Artifact):
    """One Markdown page."""

    TYPE_NAME = "system.Markdown"


INDEX_FILE, SUMMARY_FILE = "index.html", "summary.md"
_FILE_NAMES = {HtmlPage: INDEX_FILE, MarkdownPage: SUMMARY_FILE}
PAGES = tuple(_FILE_NAMES)


def page_file(page: artifact.Artifact) -> Path:
    """Path of the page: the URI itself, or a file below it if TFX has made the URI a folder."""
    path = Path(page.uri)
    return path / _FILE_NAMES[type(page)] if path.is_dir() else path
