"""The output of `versions`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from components.versions.store import ServedVersion

_SHORT = 12  # digits of a digest that are shown
_BULKY = ("files", "config")  # keys of push.json that are left out: the hash and the path stand for them


def as_lines(served: Sequence[ServedVersion]) -> Iterator[Text]:
    """Yields a block of lines for each version, the newest last."""
    for version in served:
        info = version.info
        head = (
            str(version.number),
            info.get("pushed_at") or "copied by hand",
            info.get("run_id") or "",
        )
        yield Text("  ".join(head).rstrip(), "bold") + Text(
            "  newest" if version is served[-1] else "", "green"
        )
        for what, value in _details(version):
            yield Text(f"     {what:<12}", "dim") + Text(value)


def as_json(served: Sequence[ServedVersion]) -> list[dict[str, Any]]:
    """The content of each version's push.json, with the version's folder and damage (null if undamaged)."""
    return [
        {
            **{key: value for key, value in version.info.items() if key not in _BULKY},
            "version": version.number,
            "path": str(version.path),
            "damage": version.damage() or None,
        }
        for version in served
    ]


def _details(version: ServedVersion) -> Iterator[tuple[str, str]]:
    info = version.info
    broken = version.damage()
    if broken:
        yield "damaged", broken
    if info.get("by"):
        yield "by", info["by"]
    source = _source(info)
    if source:
        yield "content of", source
    if info.get("metrics"):
        yield "metrics", _metrics(info["metrics"], info.get("baseline_metrics") or {})
    if info.get("data"):
        yield "data", _data(info["data"])
    if info.get("checkpoint"):
        yield "checkpoint", " ".join(str(info["checkpoint"].get(key, "")) for key in ("name", "fingerprint"))
    hashes = {
        "code": info.get("code"),
        "config": info.get("config_sha256"),
        "model": info.get("model_sha256"),
    }
    shown = [f"{what} {str(value)[:_SHORT]}" for what, value in hashes.items() if value]
    if shown:
        yield "hashes", ", ".join(shown)
    yield "folder", str(version.path)


def _source(info: Mapping[str, Any]) -> str:
    if info.get("restored_from"):
        return f"version {info['restored_from']}, by a rollback"
    promoted = info.get("promoted_from")
    if not promoted:
        return ""
    where = f" of {promoted['serving_dir']}" if promoted.get("serving_dir") else ""
    return f"version {promoted['version']}{where}, promoted"


def _metrics(metrics: Mapping[str, float | None], baseline: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" + _before(baseline.get(name))
        for name, value in metrics.items()
        if value is not None
    )


def _before(value: float | None) -> str:
    return "" if value is None else f" (before: {value:.4g})"


def _data(data: Mapping[str, Any]) -> str:
    span = f"span {data['span']}" if data.get("span") is not None else ""
    version = f"version {data['version']}" if data.get("version") is not None else ""
    return ", ".join(filter(None, [span, version, str(data.get("path") or "")]))
