"""Compares exported models with the same weights in PyTorch: size, labels, latency from text to label.

Models are converted by the functions of the Exporter node and run through the classify.py that ships with them, each in
its own process, one at a time. Their labels are compared with those of the served SavedModel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.answers import LARGE
from benchmarks.encoders import minilm
from benchmarks.processes import PEER_PYTHON, PYTHON, Command, measure
from benchmarks.rows import make_row
from benchmarks.serving_model import MAX_LENGTH, NAME
from benchmarks.workspace import Workspace

NAMES = {"tflite": "TFLite", "onnx": "ONNX"}
VARIANTS = {"tflite": ("float32", "float16", "int8"), "onnx": ("float32", "int8")}
QUICK_VARIANTS = {"tflite": ("int8",)}
ALONE, QUICK_ALONE = 512, 128  # number of questions that are asked one at a time
PYTORCH = "PyTorch (transformers)"


def run(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    """Returns four rows for each variant. Quick: the smallest variant, and fewer questions one at a time."""
    folder, alone = workspace.served_model(), QUICK_ALONE if quick else ALONE
    saved_model, questions = folder / "serving" / NAME / "1", folder / "questions.json"
    asked: Command = [questions, str(alone)]
    torch: Command = [PEER_PYTHON, "-m", "benchmarks.peers.torch_batches", folder / "transformers", *asked]
    served: Command = [PYTHON, "-m", "benchmarks.peers.savedmodel_batches", saved_model, *asked]
    peers = measure(torch).result(), measure(served).result() | {"bytes": _bytes(saved_model)}
    rows = []
    for kind, variants in (QUICK_VARIANTS if quick else VARIANTS).items():
        for variant, made in _converted(kind, variants, saved_model, workspace.folder).items():
            ours = measure([PYTHON, "-m", "benchmarks.export_classify", made["file"], *asked]).result()
            rows += variant_rows(f"{NAMES[kind]} {variant}", made, ours, *peers)
    return rows


def _converted(kind: str, variants: tuple[str, ...], saved_model: Path, scratch: Path) -> dict[str, Any]:
    command: Command = [PYTHON, "-m", "benchmarks.export_convert", kind, saved_model, minilm()]
    return measure([*command, str(MAX_LENGTH), scratch / kind, *variants]).result()


def variant_rows(
    name: str,
    made: Mapping[str, Any],
    ours: Mapping[str, Any],
    torch: Mapping[str, Any],
    served: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Returns the rows of one variant.

    Args:
        name: such as "TFLite int8".
        made: from `benchmarks.export_convert`.
        ours, torch, served: from `measured_answers`; `served` with the "bytes" of the SavedModel.
    """
    size = make_row(
        f"{name}, size",
        made["bytes"] / 2**20,
        "MiB",
        peer_name="served SavedModel",
        peer=served["bytes"] / 2**20,
        note=f"converted in {made['seconds']:.0f} s with a peak of {made['peak_mib']:,.0f} MiB",
    )
    labels, difference = _differences(ours, served)
    torch_labels, torch_difference = _differences(torch, served)
    other = make_row(
        f"{name}, other labels than the served model",
        labels,
        "questions",
        target="== 0" if name.endswith("float32") else "",
        rows=len(ours["labels"]),
        note=f"largest difference of a probability: {difference:.2g}; "
        f"{PYTORCH}: {torch_labels} and {torch_difference:.2g}",
    )
    return [size, other, *_latency_rows(name, ours, torch, served)]


def _latency_rows(
    name: str, ours: Mapping[str, Any], torch: Mapping[str, Any], served: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    bare = " / ".join(f"{milliseconds:.1f}" for milliseconds in served["milliseconds"].values())
    for rows in (1, LARGE):
        yield make_row(
            f"{name}, batch of {rows}",
            ours["milliseconds"][str(rows)],
            "ms",
            peer_name=PYTORCH,
            peer=torch["milliseconds"][str(rows)],
            ours_peak_mib=ours["peak_mib"],
            peer_peak_mib=torch["peak_mib"],
            rows=len(ours["labels"]),
            note="median, from text to label, padded to the longest row, as many threads as cores; "
            f"the served SavedModel itself: {bare} ms in batches of 1 / {LARGE}",
        )


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[int, float]:
    """Returns (number of questions with another label, largest absolute difference of a probability)."""
    labels = sum(a != b for a, b in zip(one["labels"], other["labels"], strict=True))
    pairs = zip(one["probabilities"], other["probabilities"], strict=True)
    return labels, max(abs(a - b) for row, its in pairs for a, b in zip(row, its, strict=True))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
