"""The output of `versions`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from components.versions.listing import ServedVersion
from components.versions.record import DataFacts, PushRecord

_SHORT = 12  # digits of a digest that are shown
_BULKY = ("files", "config")  # keys of push.json that are left out: the hash and the path stand for them


def as_lines(served: Sequence[ServedVersion]) -> Iterator[Text]:
    """Yields a block of lines for each version, the newest last."""
    for version in served:
        record = version.record
        head = (str(version.number), record.pushed_at or "copied by hand", record.run_id or "")
        yield Text("  ".join(head).rstrip(), "bold") + Text(
            "  newest" if version is served[-1] else "", "green"
        )
        for what, value in _details(version):
            yield Text(f"     {what:<12}", "dim") + Text(value)


def as_json(served: Sequence[ServedVersion]) -> list[dict[str, Any]]:
    """The content of each version's push.json, with the version's folder and damage (null if undamaged)."""
    return [
        {
            **{key: value for key, value in version.record.as_json().items() if key not in _BULKY},
            "version": version.number,
            "path": str(version.path),
            "damage": version.damage() or None,
        }
        for version in served
    ]


def _details(version: ServedVersion) -> Iterator[tuple[str, str]]:
    record = version.record
    broken = version.damage()
    if broken:
        yield "damaged", broken
    if record.by:
        yield "by", record.by
    source = _source(record)
    if source:
        yield "content of", source
    if record.metrics:
        yield "metrics", _metrics(record.metrics, record.baseline_metrics or {})
    if record.data:
        yield "data", _data(record.data)
    if record.checkpoint:
        known = record.checkpoint
        yield "checkpoint", f"{known.get('name', '')} {known.get('fingerprint', '')}"
    hashes = {"code": record.code, "config": record.config_sha256, "model": record.model_sha256}
    shown = [f"{what} {value[:_SHORT]}" for what, value in hashes.items() if value]
    if shown:
        yield "hashes", ", ".join(shown)
    yield "folder", str(version.path)


def _source(record: PushRecord) -> str:
    if record.restored_from is not None:
        return f"version {record.restored_from}, by a rollback"
    promoted = record.promoted_from
    if promoted is None:
        return ""
    where = f" of {promoted.serving_dir}" if promoted.serving_dir else ""
    return f"version {promoted.version}{where}, promoted"


def _metrics(metrics: Mapping[str, float | None], baseline: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" + _before(baseline.get(name))
        for name, value in metrics.items()
        if value is not None
    )


def _before(value: float | None) -> str:
    return "" if value is None else f" (before: {value:.4g})"


def _data(data: DataFacts) -> str:
    span = f"span {data['span']}" if data.get("span") is not None else ""
    version = f"version {data['version']}" if data.get("version") is not None else ""
    return ", ".join(filter(None, [span, version, str(data.get("path") or "")]))
