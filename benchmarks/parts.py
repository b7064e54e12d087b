"""The parts of the benchmark, and the conversion of the results of two of them into table rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.rows import make_row
from benchmarks.workspace import Workspace

Part = Callable[[bool, Workspace], list[dict[str, Any]]]


def _imports(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import imports

    return imports.run(quick, workspace)


def _tokenization(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import tokenization

    del workspace
    return tokenization_rows(tokenization.run(quick))


def _transform(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import transform

    return transform.run(quick, workspace)


def _training(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import training

    del workspace
    return training_rows(training.run(quick))


def _training_encoders(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import training

    del workspace
    return training_rows(training.run_encoders(quick))


def _training_tasks(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import training

    del workspace
    return training_rows(training.run_tasks(quick))


def _evaluate(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import evaluate

    return evaluate.run(quick, workspace)


def _scale(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import scale

    return scale.run(quick, workspace)


def _many_labels(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import many_labels

    return many_labels.run(quick, workspace)


def _serving(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import serving

    return serving.run(quick, workspace)


def _exports(quick: bool, workspace: Workspace) -> list[dict[str, Any]]:
    from benchmarks import exports

    return exports.run(quick, workspace)


# In the order of the table; each imports only its own module.
PARTS: Mapping[str, Part] = {
    "imports": _imports,
    "tokenization": _tokenization,
    "transform": _transform,
    "training": _training,
    "training_encoders": _training_encoders,
    "training_tasks": _training_tasks,
    "evaluate": _evaluate,
    "serving": _serving,
    "exports": _exports,
    "scale": _scale,
    "many_labels": _many_labels,
}

# System of `benchmarks.tokenization` -> its name in the table.
TOKENIZERS = {
    "hf_fast": "HF fast",
    "hf_fast_backend": "HF fast, encode_batch_fast",
    "tf_text_fast_bert": "tf-text FastBertTokenizer",
}
# The same of `benchmarks.training`: ours, the peer, its name, and our target; the ratio is of seconds per epoch.
TRAINERS = (
    ("ours", "hf_trainer", "HF Trainer (PyTorch)", "<= 0.5"),
    ("ours", "hf_trainer_grouped", "HF Trainer, group_by_length", "<= 0.8"),
    ("ours", "keras_fit", "Keras fit, padded to max_length", "<= 0.3"),
    ("ours", "ours_single_label", "ours, one label for each row", "<= 1.15"),
    ("ours_bf16", "ours", "ours in float32", "<= 0.6"),
    ("ours_bf16", "hf_trainer_bf16", "HF Trainer, bf16=True", ""),
)
_TASK_TARGETS = {"hf_trainer": "<= 0.6"}  # of other tasks than single_label
# Ours -> the target for its share of the rate of products of that type.
SHARES = {"ours": ("float32", ">= 0.8"), "ours_bf16": ("bfloat16", ">= 0.65")}


def tokenization_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns one row per dataset, size and peer: rows/s of both, mismatches in the note."""
    ours = {(r["tokenizer"], r["dataset"], r["rows"]): r for r in results if r["system"] == "ours"}
    rows = []
    for peer in results:
        if peer["system"] == "ours":
            continue
        name = TOKENIZERS[peer["system"]]
        mine = ours[peer["tokenizer"], peer["dataset"], peer["rows"]]
        least = 4 if peer["tokenizer"] == "wordpiece" else 1
        rows.append(
            make_row(
                f"tokenization, {peer['tokenizer']}, {peer['dataset']}",
                mine["rows_per_second"],
                "rows/s",
                peer_name=name,
                peer=peer["rows_per_second"],
                target=f">= {least}" if peer["system"] == "hf_fast" else "",
                ours_peak_mib=mine["peak_mib"],
                peer_peak_mib=peer["peak_mib"],
                rows=peer["rows"],
                note=f"rows that differ from HF fast: ours {mine['mismatches']}, {name} {peer['mismatches']}",
            )
        )
    return rows


def training_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns one row per case and peer: seconds per epoch of both, test scores in the note; then the shares."""
    by_case: dict[str, dict[str, Mapping[str, Any]]] = {}
    for result in results:
        by_case.setdefault(result["case"], {})[result["system"]] = result
    rows = [
        _training_row(systems[ours], systems[peer], name, target)
        for systems in by_case.values()
        for ours, peer, name, target in TRAINERS
        if ours in systems and peer in systems
    ]
    return [*rows, *(_product_row(result) for result in results if _has_share(result))]


def _has_share(result: Mapping[str, Any]) -> bool:
    return result["system"] in SHARES and result["product_share"] is not None


def _training_row(mine: Mapping[str, Any], peer: Mapping[str, Any], name: str, target: str) -> dict[str, Any]:
    return make_row(
        _training_name(mine),
        mine["seconds_per_epoch"],
        "s/epoch",
        peer_name=name,
        peer=peer["seconds_per_epoch"],
        target=target if mine["task"] == "single_label" else _TASK_TARGETS.get(peer["system"], target),
        ours_peak_mib=mine["peak_mib"],
        peer_peak_mib=peer["peak_mib"],
        rows=peer.get("rows"),
        note=f"on the test split: ours {_score(mine)}; {name} {_score(peer)}",
    )


def _training_name(result: Mapping[str, Any]) -> str:
    return f"training, {result['case']}" + (", bf16" if result["system"] == "ours_bf16" else "")


def _product_row(result: Mapping[str, Any]) -> dict[str, Any]:
    dtype, target = SHARES[result["system"]]
    return make_row(
        f"{_training_name(result)}: share of the matrix-product rate",
        result["product_share"],
        "of 1",
        target=target,
        rows=result["rows"],
        note="products of true lengths per second, relative to the machine's rate at products of these shapes in "
        f"{dtype}",
    )


def _score(result: Mapping[str, Any]) -> str:
    if result["score"] is None:
        return "not measured (part of an epoch)"
    error = result["score_standard_error"]
    spread = "" if error is None else f" ± {error:.4f} (standard error, {result['seeds']} seeds)"
    return f"{result['metric']} {result['score']:.4f}{spread}"
