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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.encoders import RANDOM, minilm, random_encoder
from benchmarks.matrix_products import product_rate, training_operations
from benchmarks.processes import PEER_PYTHON, PYTHON, measure, peak_mib, print_result
from benchmarks.training_rows import labelled_texts, read_rows, tokenized, write_rows, write_transformed
from benchmarks.workspace import real_dataset
from components.processor import computes_in_bfloat16
from components.project import PROJECT_DIR
from models import features
from models.tasks.label_list import read_labels

# What is trained beside what. "_bf16": matrix products in bfloat16.
_TRAINERS = ("ours", "hf_trainer", "hf_trainer_grouped")
_BF16 = ("ours_bf16", "hf_trainer_bf16")
# Another task beside the Hugging Face Trainer with that task, and beside itself with one label for each of the same rows.
_TASK = ("ours", "ours_single_label", "hf_trainer", "hf_trainer_grouped")
_SINGLE = "single_label"
# Task -> the score that all systems are compared by. Sample F1 is at the threshold 0.5 in all of them.
METRICS = {"single_label": "accuracy", "multi_label": "sample_f1", "token_labels": "span_f1"}


@dataclass(frozen=True)
class Case:
    """`rows`: at most so many training rows; None: all. `encoder`: a key of `encoders.RANDOM`, or None for MiniLM."""

    dataset: str
    rows: int | None
    epochs: int = 1
    seeds: tuple[int, ...] = (0,)
    systems: tuple[str, ...] = (*_TRAINERS, "keras_fit")
    keras_batches: int = 40
    encoder: str | None = None
    task: str = _SINGLE

    @property
    def name(self) -> str:
        """As the table calls it: `trec`, `trec, distilbert-base with random weights`, `trec_fine (multi_label)`."""
        task = f" ({self.task})" if self.task != _SINGLE else ""
        return (
            self.dataset
            + task
            + (f", {RANDOM[self.encoder].size} with random weights" if self.encoder else "")
        )


def run(quick: bool) -> list[dict[str, Any]]:
    """Returns one dict per case and system, with times also relative to the peers.

    Quick: TREC with 1,280 rows, one epoch, one seed; bfloat16 only on a processor that computes in it. Full: TREC with all
    rows, two epochs and three seeds, to compare accuracies; Rotten Tomatoes with 4,000 rows, one epoch and one seed.
    Keras always has one seed, and at most 20 batches in quick and 40 in full mode.
    """
    if quick:
        systems = (*_TRAINERS, "keras_fit", *(_BF16 if computes_in_bfloat16() else ()))
        return _measured(Case("trec", 1280, systems=systems, keras_batches=20))
    systems = (*_TRAINERS, "keras_fit", *_BF16)
    trec = Case("trec", None, epochs=2, seeds=(0, 1, 2), systems=systems)
    return [*_measured(trec), *_measured(Case("rotten_tomatoes", 4000))]


def run_encoders(quick: bool) -> list[dict[str, Any]]:
    """The same for TREC with the encoders of RANDOM: 640 rows in quick, 2,560 in full mode, one epoch, one seed."""
    rows = 640 if quick else 2560
    cases = [Case("trec", rows, encoder=encoder, systems=_TRAINERS) for encoder in RANDOM]
    return [row for case in cases for row in _measured(case)]


def run_tasks(quick: bool) -> list[dict[str, Any]]:
    """Tasks other than single-label classification, with MiniLM. 1,280 rows, one epoch and one seed in quick mode; all rows,
    four epochs and three seeds in full mode."""
    few: dict[str, Any] = {"rows": 1280} if quick else {"rows": None, "epochs": 4, "seeds": (0, 1, 2)}
    sets = {"trec_fine": "multi_label", "trec_names": "token_labels"}
    cases = [Case(name, systems=_TASK, task=task, **few) for name, task in sets.items()]
    return [row for case in cases for row in _measured(case)]


def _measured(case: Case) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        jobs = {task: _job(case, task, Path(scratch) / task) for task in {case.task, _SINGLE}}
        results, rows = {}, len(read_rows(jobs[case.task]["train"]))
        for system in case.systems:
            job = jobs[_SINGLE if system.endswith(_SINGLE) else case.task]
            seeds = case.seeds[: 1 if "keras" in system else None]
            results[system] = [run_system(system, {**job, "seed": seed}) for seed in seeds]
    return [_summary(case, system, rows, runs) for system, runs in results.items()]


def _job(case: Case, task: str, scratch: Path) -> dict[str, Any]:
    scratch.mkdir()
    job = prepare_job(case.dataset, scratch, case.rows, case.epochs, case.encoder, task)
    return job | {"most_batches": case.keras_batches}


def _summary(case: Case, system: str, rows: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = min(run["seconds_per_epoch"] for run in runs)
    scores = [run["score"] for run in runs]
    spread = statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else None
    return {
        "benchmark": "training",
        "case": case.name,
        "task": case.task,
        "system": system,
        "seconds_per_epoch": round(seconds, 2),
        "metric": METRICS[_SINGLE if system.endswith(_SINGLE) else case.task],
        "score": None if None in scores else round(statistics.mean(scores), 4),
        "score_standard_error": None if spread is None else round(spread, 4),
        "scores": scores,
        "seeds": len(runs),
        "rows": rows,
        "peak_mib": round(max(run["peak_mib"] for run in runs)),
        "product_share": max((run["product_share"] for run in runs if "product_share" in run), default=None),
    }


def prepare_job(
    name: str,
    scratch: Path,
    rows: int | None,
    epochs: int,
    encoder: str | None = None,
    task: str = _SINGLE,
) -> dict[str, Any]:
    """Tokenizes the dataset's splits into `scratch` and describes the run. `encoder`, `task`: as in `Case`."""
    folder = real_dataset(name)
    splits = {split: labelled_texts(str(folder / f"{split}-*")) for split in ("train", "eval", "test")}
    checkpoint = (
        random_encoder(encoder, [text for text, _ in splits["train"]], scratch) if encoder else minilm()
    )
    labels = read_labels(PROJECT_DIR / "data" / name / "labels.txt")
    job: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "labels": labels,
        "task": task,
        "batch_size": 32,
        "epochs": epochs,
    }
    job |= {"learning_rate": 1e-4, "max_length": 128, "threads": os.cpu_count(), "scratch": str(scratch)}
    for split, texts in splits.items():
        split_rows = tokenized(texts, checkpoint, labels, job["max_length"], task)
        split_rows = split_rows[:rows] if split == "train" else split_rows
        job[split] = str(scratch / f"{split}.jsonl")
        write_rows(Path(job[split]), split_rows)
        write_transformed(scratch / f"{split}.gz", split_rows, task)
    return job


def run_system(system: str, job: dict[str, Any]) -> dict[str, Any]:
    """Runs one training in its own process; returns seconds_per_epoch, score and peak_mib."""
    job = {**job, "group_by_length": system == "hf_trainer_grouped", "bf16": system.endswith("_bf16")}
    path = Path(job["scratch"]) / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return measure([*_command(system), path]).result()


def _command(system: str) -> list[str]:
    if system.startswith("hf_trainer"):
        return [str(PEER_PYTHON), "-m", "benchmarks.peers.hf_trainer"]
    module = "benchmarks.training" if system.startswith("ours") else "benchmarks.peers.keras_fit"
    return [PYTHON, "-m", module]


def train_ours(job: dict[str, Any]) -> dict[str, float]:
    """Runs the Trainer node's training loop on the job's rows; the child process of "ours"."""
    import tensorflow as tf

    from components.trainer.dataset import list_shards
    from components.trainer.distribution import make_strategy
    from components.trainer.settings import TrainSettings
    from components.trainer.train_loop import objective_of, read_data, split_scores, train
    from models.checkpoints.classifier import load_classifier
    from models.tasks.task import TASKS

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    scratch, strategy, task = Path(job["scratch"]), make_strategy("none"), TASKS[job["task"]]
    settings = TrainSettings(
        batch_size=job["batch_size"],
        epochs=job["epochs"],
        learning_rate=job["learning_rate"],
        seed=job["seed"],
        bf16=job["bf16"],
        tensorboard=False,
    )
    checkpoint = Path(job["checkpoint"])
    of_words = task.facts().OF_WORDS
    model = load_classifier(checkpoint, job["labels"], seed=job["seed"], labels_tokens=of_words)
    inputs = (features.INPUT_IDS, features.ATTENTION_MASK)
    train_shards, eval_shards = ([str(scratch / f"{split}.gz")] for split in ("train", "eval"))
    data = read_data(train_shards, eval_shards, job["labels"], model.config.vocab_size, inputs, task)
    with tempfile.TemporaryDirectory() as state:
        history = train(model, data, settings, strategy, Path(state))
    test = list_shards([str(scratch / "test.gz")])
    scores = split_scores(model, test, settings, strategy, inputs, task, objective_of(settings, data))
    seconds = history.seconds - history.evaluation_seconds
    result = {"seconds_per_epoch": seconds / job["epochs"], "score": scores[METRICS[job["task"]]]}
    if of_words:  # whose last layer is of all tokens, which the share does not know
        return result
    return result | {"product_share": _product_share(model.config, job, history.rows_per_second)}


def _product_share(config: Any, job: dict[str, Any], rows_per_second: float) -> float:
    """The training's useful matrix products per second (tracing not counted), as a share of what the machine can do."""
    lengths = [len(row["input_ids"]) for row in read_rows(job["train"])]
    tokens = round(statistics.mean(lengths) * job["batch_size"])
    per_row = training_operations(config, lengths) / len(lengths)
    return per_row * rows_per_second / product_rate(config, tokens, "bfloat16" if job["bf16"] else "float32")


def main() -> None:
    result = train_ours(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print_result(result | {"peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
