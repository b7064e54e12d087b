"""Compares fine-tuning by seconds per epoch and test accuracy: ours, the Hugging Face Trainer (PyTorch), plain Keras.

All use the same rows, checkpoint, batch size, learning rate, schedule and threads; each run has its own process.
The time is that of the training call, including tracing, without evaluation and loading. Keras' `fit` computes
`max_length` tokens for every row; if that takes too long, it gets fewer batches, and its time is extrapolated from
the first batch (which includes tracing) and the mean of the others.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.matrix_products import product_rate, training_operations
from benchmarks.processes import PEER_PYTHON, PYTHON, measure, peak_mib, print_result
from benchmarks.training_rows import read_rows, tokenized, write_rows, write_transformed
from benchmarks.workspace import real_dataset
from components.project import PROJECT_DIR
from models import features
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from models.tasks.label_list import read_labels

SYSTEMS = ("ours", "hf_trainer", "hf_trainer_grouped", "keras_fit")


def run(quick: bool, datasets: tuple[str, ...] = ("trec", "rotten_tomatoes")) -> list[dict[str, Any]]:
    """Returns one dict per dataset and system, with times also relative to the peers.

    Quick: the first dataset, 1,280 training rows, one epoch, one seed. Full: the first dataset with all
    rows, two epochs and three seeds, to compare accuracies; the others with 4,000 rows, one epoch and one seed.
    Keras always has one seed, and at most 20 batches in quick and 40 in full mode.
    """
    first, *others = datasets
    if quick:
        return _dataset(first, 1280, epochs=1, seeds=[0], keras_batches=20)
    rows = _dataset(first, None, epochs=2, seeds=[0, 1, 2], keras_batches=40)
    return rows + [
        row for name in others for row in _dataset(name, 4000, epochs=1, seeds=[0], keras_batches=40)
    ]


def _dataset(
    name: str, most_rows: int | None, epochs: int, seeds: list[int], keras_batches: int
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        job = prepare_job(name, Path(scratch), most_rows, epochs)
        job["most_batches"] = keras_batches
        results, rows = {}, len(read_rows(job["train"]))
        for system in SYSTEMS:
            runs = [
                run_system(system, {**job, "seed": seed})
                for seed in seeds[: 1 if "keras" in system else None]
            ]
            results[system] = runs
    return [_summary(name, system, rows, runs, results) for system, runs in results.items()]


def _summary(
    name: str,
    system: str,
    rows: int,
    runs: list[dict[str, Any]],
    results: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    seconds = min(run["seconds_per_epoch"] for run in runs)
    ours = min(run["seconds_per_epoch"] for run in results["ours"])
    accuracies = [run["accuracy"] for run in runs]
    spread = statistics.stdev(accuracies) / len(accuracies) ** 0.5 if len(accuracies) > 1 else None
    return {
        "benchmark": "training",
        "dataset": name,
        "system": system,
        "seconds_per_epoch": round(seconds, 2),
        "ours_relative": round(ours / seconds, 3),
        "accuracy": None if None in accuracies else round(statistics.mean(accuracies), 4),
        "accuracy_standard_error": None if spread is None else round(spread, 4),
        "accuracies": accuracies,
        "seeds": len(runs),
        "rows": rows,
        "peak_mib": round(max(run["peak_mib"] for run in runs)),
        "product_share": max((run["product_share"] for run in runs if "product_share" in run), default=None),
    }


def minilm() -> Path:
    """Returns the folder of all-MiniLM-L6-v2, which is trained here and served in other parts."""
    return checkpoint_folder(
        CheckpointSettings(recipe="all-MiniLM-L6-v2"),
        PROJECT_DIR / "data" / "checkpoints",
        PROJECT_DIR / "checkpoints",
    )


def prepare_job(name: str, scratch: Path, rows: int | None, epochs: int) -> dict[str, Any]:
    """Tokenizes the dataset's splits into `scratch` and describes the run."""
    checkpoint = minilm()
    labels = read_labels(PROJECT_DIR / "data" / name / "labels.txt")
    job: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "labels": labels,
        "batch_size": 32,
        "epochs": epochs,
    }
    job |= {"learning_rate": 1e-4, "max_length": 128, "threads": os.cpu_count(), "scratch": str(scratch)}
    folder = real_dataset(name)
    for split in ("train", "eval", "test"):
        split_rows = tokenized(str(folder / f"{split}-*"), checkpoint, labels, job["max_length"])
        split_rows = split_rows[:rows] if split == "train" else split_rows
        job[split] = str(scratch / f"{split}.jsonl")
        write_rows(Path(job[split]), split_rows)
        write_transformed(scratch / f"{split}.gz", split_rows)
    return job


def run_system(system: str, job: dict[str, Any]) -> dict[str, Any]:
    """Runs one training in its own process; returns seconds_per_epoch, accuracy and peak_mib."""
    job = {**job, "group_by_length": system == "hf_trainer_grouped"}
    path = Path(job["scratch"]) / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return measure([*_command(system), path]).result()


def _command(system: str) -> list[str]:
    if system.startswith("hf_trainer"):
        return [str(PEER_PYTHON), "-m", "benchmarks.peers.hf_trainer"]
    module = "benchmarks.training" if system == "ours" else "benchmarks.peers.keras_fit"
    return [PYTHON, "-m", module]


def train_ours(job: dict[str, Any]) -> dict[str, float]:
    """Runs the Trainer node's training loop on the job's rows; the child process of "ours"."""
    import tensorflow as tf

    from components.trainer.dataset import list_shards
    from components.trainer.distribution import make_strategy
    from components.trainer.settings import TrainSettings
    from components.trainer.train_loop import read_data, split_scores, train
    from models.checkpoints.classifier import load_classifier
    from models.tasks.task import TASKS

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    scratch, strategy = Path(job["scratch"]), make_strategy("none")
    settings = TrainSettings(
        batch_size=job["batch_size"],
        epochs=job["epochs"],
        learning_rate=job["learning_rate"],
        seed=job["seed"],
        tensorboard=False,
    )
    checkpoint = Path(job["checkpoint"])
    model = load_classifier(checkpoint, job["labels"], seed=job["seed"])
    inputs = (features.INPUT_IDS, features.ATTENTION_MASK)
    train_shards, eval_shards = ([str(scratch / f"{split}.gz")] for split in ("train", "eval"))
    data = read_data(
        train_shards, eval_shards, job["labels"], model.config.vocab_size, inputs, TASKS["single_label"]
    )
    with tempfile.TemporaryDirectory() as state:
        history = train(model, data, settings, strategy, Path(state))
    test = list_shards([str(scratch / "test.gz")])
    scores = split_scores(model, test, settings, strategy, inputs, TASKS["single_label"])
    seconds = history.seconds - history.evaluation_seconds
    return {
        "seconds_per_epoch": seconds / job["epochs"],
        "accuracy": scores["accuracy"],
        "product_share": _product_share(model.config, job, history.rows_per_second),
    }


def _product_share(config: Any, job: dict[str, Any], rows_per_second: float) -> float:
    """The training's useful matrix products per second (tracing not counted), as a share of what the machine can do."""
    lengths = [len(row["input_ids"]) for row in read_rows(job["train"])]
    tokens = round(statistics.mean(lengths) * job["batch_size"])
    per_row = training_operations(config, lengths) / len(lengths)
    return per_row * rows_per_second / product_rate(config, tokens)


def main() -> None:
    result = train_ours(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
