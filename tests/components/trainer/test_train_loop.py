"""The loop on a tiny model: it learns, is reproducible, keeps the best weights, resumes, and uses replicas."""

from __future__ import annotations

import json
import operator
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.project import PROJECT_DIR
from components.trainer import progress, train_loop
from components.trainer.distribution import make_strategy
from components.trainer.history import History, write_history
from components.trainer.settings import EarlyStoppingSettings, TrainSettings
from components.trainer.state_files import clear_state, state_path
from components.trainer.train_loop import (
    TrainingData,
    class_weights,
    read_data,
    split_scores,
    train,
)
from models.checkpoints.classifier import load_classifier
from models.errors import PipelineError
from models.tasks.logit_bins import BINS
from tests.components.trainer.conftest import INPUTS, LABELS, TASK, learnable_rows
from tests.support.own_package import write_own_parts

STRATEGY = tf.distribute.get_strategy()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_rows: Callable[..., Path]) -> TrainingData:
    folder = tmp_path_factory.mktemp("splits")
    write_rows(folder / "train.gz", learnable_rows(192, seed=1))
    write_rows(folder / "eval.gz", learnable_rows(60, seed=2))
    return read_data([str(folder / "train*")], [str(folder / "eval*")], LABELS, 110, INPUTS, TASK)


@pytest.fixture(autouse=True)
def silent() -> Any:
    progress.set_sink(lambda report: None)
    yield
    progress.set_sink(None)


def load(folder: Path) -> Any:
    return load_classifier(folder, LABELS)


def settings(**values: Any) -> TrainSettings:
    defaults = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "tensorboard": False}
    return TrainSettings(**{**defaults, **values})


def weights(model: Any) -> list[np.ndarray]:
    return [v.numpy() for v in model.trainable_variables]


def largest_difference(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def test_learns_a_learnable_task_and_tells_how_it_went(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    reports: list[progress.TrainProgress] = []
    progress.set_sink(reports.append)
    model = load(checkpoint)
    history = train(model, data, settings(epochs=6), STRATEGY, tmp_path / "state", tmp_path / "logs")
    assert history.step == history.total_steps == 72
    assert [e["step"] for e in history.evaluations] == [12, 24, 36, 48, 60, 72]
    assert history.best["accuracy"] >= 0.95
    assert history.rows_per_second > 0
    assert 0 <= history.padding_share < 0.1
    scored = [r for r in reports if r.eval_metrics]
    assert [r.epoch for r in scored] == [1, 2, 3, 4, 5, 6]
    assert scored[-1].loss < 0.5 * scored[0].loss
    write_history(history, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "history.json").read_text())
    assert written["best"]["accuracy"] == history.best["accuracy"]
    tags = {
        value.tag
        for path in (tmp_path / "logs").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"train/loss", "train/learning_rate", "eval/accuracy"} <= tags


def test_same_seed_gives_the_same_weights_and_another_seed_others(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    results = []
    for i, seed in enumerate((1, 1, 2)):
        model = load(checkpoint)
        train(model, data, settings(epochs=1, seed=seed), STRATEGY, tmp_path / str(i))
        results.append(weights(model))
    assert largest_difference(results[0], results[1]) == 0.0
    assert largest_difference(results[0], results[2]) > 1e-4


def test_interrupted_run_goes_on_at_its_step_and_ends_where_it_would_have(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    chosen = settings(epochs=2, evaluations_per_epoch=2, layer_lr_decay=0.8)
    straight = load(checkpoint)
    expected = train(straight, data, chosen, STRATEGY, tmp_path / "straight")

    def interrupt(report: progress.TrainProgress) -> None:
        if report.eval_metrics and report.step == 18:
            raise KeyboardInterrupt

    progress.set_sink(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(load(checkpoint), data, chosen, STRATEGY, tmp_path / "state")
    progress.set_sink(lambda report: None)
    resumed = load(checkpoint)
    history = train(resumed, data, chosen, STRATEGY, tmp_path / "state")
    assert history.resumed_at == [18]
    assert [e["step"] for e in history.evaluations] == [e["step"] for e in expected.evaluations]
    assert history.best == expected.best
    assert largest_difference(weights(resumed), weights(straight)) == 0.0


@pytest.mark.parametrize("place", ["dataset.evaluation_batches", "replace"])
@pytest.mark.parametrize("which", [1, 2, 3])
def test_interrupt_during_an_evaluation_loses_neither_it_nor_the_best_weights(
    checkpoint: Path,
    data: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    which: int,
) -> None:
    chosen = settings(max_steps=12, epochs=None, evaluations_per_epoch=3)
    straight = load(checkpoint)
    expected = train(straight, data, chosen, STRATEGY, tmp_path / "straight")
    original, calls = operator.attrgetter(place)(train_loop), []

    def interrupted(*args: Any, **values: Any) -> Any:
        if place == "replace" and "evaluations" not in values:  # another note on the history
            return original(*args, **values)
        calls.append(place)
        if len(calls) == which:
            raise KeyboardInterrupt
        return original(*args, **values)

    monkeypatch.setattr(f"components.trainer.train_loop.{place}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(load(checkpoint), data, chosen, STRATEGY, tmp_path / "state")
    resumed = load(checkpoint)
    history = train(resumed, data, chosen, STRATEGY, tmp_path / "state")
    assert history.resumed_at == [4 * which]
    assert [e["step"] for e in history.evaluations] == [4, 8, 12]
    assert history.evaluations == expected.evaluations
    assert history.unevaluated_losses == []
    assert history.best == expected.best
    assert largest_difference(weights(resumed), weights(straight)) == 0.0


def test_split_without_rows_is_refused_by_name(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    write_rows(tmp_path / "train.gz", learnable_rows(8))
    write_rows(tmp_path / "eval.gz", [])
    rows, empty = [str(tmp_path / "train*")], [str(tmp_path / "eval*")]
    with pytest.raises(PipelineError, match=r"^split 'eval' has 0 rows in .*/eval[*]; see data.path"):
        read_data(rows, empty, LABELS, 110, INPUTS, TASK)
    with pytest.raises(PipelineError, match=r"^split 'train' has 0 rows in .*/eval[*]; see data.path"):
        read_data(empty, rows, LABELS, 110, INPUTS, TASK)


def test_state_of_other_settings_is_not_resumed_and_left_alone(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    first = train(load(checkpoint), data, settings(max_steps=2, epochs=None), STRATEGY, tmp_path)
    history = train(load(checkpoint), data, settings(max_steps=3, epochs=None), STRATEGY, tmp_path)
    assert history.resumed_at == []
    assert len(history.evaluations) == 1
    clear_state(tmp_path, history.fingerprint)
    assert list(tmp_path.rglob("*.safetensors")) == [state_path(tmp_path, first.fingerprint)]
    clear_state(tmp_path, first.fingerprint)
    assert list(tmp_path.iterdir()) == []


def test_state_is_resumed_when_only_its_saving_or_the_logs_are_set_otherwise(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    train(load(checkpoint), data, settings(max_steps=2, epochs=None), STRATEGY, tmp_path)
    chosen = settings(max_steps=2, epochs=None, save_steps=7, save_minutes=None, tensorboard=True)
    assert train(load(checkpoint), data, chosen, STRATEGY, tmp_path).resumed_at == [2]


def test_state_that_is_damaged_is_told_and_started_over(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    chosen = settings(max_steps=2, epochs=None)
    state = state_path(tmp_path, train(load(checkpoint), data, chosen, STRATEGY, tmp_path).fingerprint)
    content = bytearray(state.read_bytes())
    content[-8] ^= 1
    state.write_bytes(content)
    told: list[str] = []
    progress.set_sink(lambda report: None, told.append)
    history = train(load(checkpoint), data, chosen, STRATEGY, tmp_path)
    assert (history.step, history.resumed_at) == (2, [])
    [line] = told
    assert (
        line == f"The training state {state} is damaged (sha256 differs): training starts from the beginning"
    )


class Killed(BaseException):
    """What no handler of the loop sees, as SIGKILL."""


@pytest.fixture(scope="module")
def straight(
    checkpoint: Path, data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[History, list[np.ndarray]]:
    """Two epochs of 12 steps without an end in between: what happened, and the weights."""
    model = load(checkpoint)
    history = train(model, data, settings(), STRATEGY, tmp_path_factory.mktemp("straight"))
    return history, weights(model)


@pytest.mark.parametrize(
    ("saving", "killed_at", "resumed_at"),
    [
        ({"save_steps": 5, "save_minutes": None}, 9, 5),  # in the middle of the first epoch
        ({"save_steps": 5, "save_minutes": None}, 19, 15),  # of the second one
        ({"save_minutes": 1e-9}, 9, 8),  # after every step
    ],
)
def test_killed_training_goes_on_where_its_state_was_saved_and_ends_where_it_would_have(
    checkpoint: Path,
    data: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    straight: tuple[History, list[np.ndarray]],
    saving: dict[str, Any],
    killed_at: int,
    resumed_at: int,
) -> None:
    original = train_loop._Loop._one_step

    def one_step(loop: Any, batches: Any) -> Any:
        if loop.history.step + 1 == killed_at:
            raise Killed
        return original(loop, batches)

    with monkeypatch.context() as patched:
        patched.setattr(train_loop._Loop, "_one_step", one_step)
        with pytest.raises(Killed):
            train(load(checkpoint), data, settings(**saving), STRATEGY, tmp_path)
    resumed = load(checkpoint)
    history = train(resumed, data, settings(**saving), STRATEGY, tmp_path)
    expected, expected_weights = straight
    assert history.resumed_at == [resumed_at]
    assert history.evaluations == expected.evaluations  # the mean training losses too
    assert history.best == expected.best
    assert largest_difference(weights(resumed), expected_weights) == 0.0


def test_kill_during_a_late_evaluation_does_not_cost_the_steps_before_it(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_loop, "_UNSAVED_SECONDS", 0.0)

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(train_loop, "_score_sums", killed)
        with pytest.raises(Killed):
            train(load(checkpoint), data, settings(epochs=1), STRATEGY, tmp_path)
    history = train(load(checkpoint), data, settings(epochs=1), STRATEGY, tmp_path)
    assert history.resumed_at == [12]
    assert [e["step"] for e in history.evaluations] == [12]


def test_default_bounds_what_a_kill_costs_to_less_than_five_minutes() -> None:
    assert TrainSettings().save_minutes == 4.0


def test_early_stopping_ends_the_run_and_keeps_the_best_weights(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    # A rate that destroys: after the first evaluations nothing gets better.
    chosen = settings(
        epochs=40,
        learning_rate=0.2,
        lr_scheduler_type="constant_with_warmup",
        warmup_ratio=0,
        metric_for_best_model="loss",
        early_stopping=EarlyStoppingSettings(patience=3),
    )
    model = load(checkpoint)
    history = train(model, data, chosen, STRATEGY, tmp_path)
    losses = [e["loss"] for e in history.evaluations]
    assert history.stopped_early
    assert len(losses) == losses.index(min(losses)) + 1 + 3
    assert history.best["loss"] == min(losses)
    scores = split_scores(model, data.evaluation, chosen, STRATEGY, INPUTS, TASK)
    assert scores["loss"] == pytest.approx(min(losses), abs=1e-5)


def of_one_row(loss: float, correct: float) -> np.ndarray:
    """Score sums of a row of the first class: no hits, no counts of other classes."""
    by_logit = np.zeros(2 * 3 * BINS)
    return np.array([loss, correct, 1.0, loss, 1.0, 1.0, *[1.0, 0.0, 0.0] * 3, *by_logit])


def test_of_equal_accuracies_the_weights_with_the_lowest_loss_are_kept(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([(1.0, 0.84), (1.0, 0.25), (1.0, 0.36)])
    seen: list[list[np.ndarray]] = []
    model = load(checkpoint)

    def next_sums(*_: Any) -> np.ndarray:
        seen.append(weights(model))
        accuracy, loss = next(told)
        return of_one_row(loss, accuracy)

    monkeypatch.setattr(train_loop, "_score_sums", next_sums)
    history = train(model, data, settings(epochs=3), STRATEGY, tmp_path)
    assert history.best["epoch"] == 2
    assert largest_difference(weights(model), seen[1]) == 0.0
    assert min(largest_difference(weights(model), seen[other]) for other in (0, 2)) > 0.0


def test_a_lower_loss_among_equal_accuracies_is_kept_but_does_not_prolong_the_patience(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.84, 0.36, 0.25, 0.2])
    monkeypatch.setattr(train_loop, "_score_sums", lambda *_: of_one_row(next(losses), 1.0))
    chosen = settings(epochs=4, early_stopping=EarlyStoppingSettings(patience=2))
    history = train(load(checkpoint), data, chosen, STRATEGY, tmp_path)
    assert (history.step, history.stopped_early, history.best["epoch"]) == (36, True, 3)


OWN_METRICS = """
import numpy as np

class Wrong:
    title, lower_is_better = "wrong answers", True
    def __init__(self, labels):
        self._labels = np.array([label.encode() for label in labels])
    def sums(self, targets, outputs):
        return np.array([(self._labels[targets] != outputs["label"]).sum(), len(targets)])
    def value(self, sums):
        return sums[0] / sums[1]

class Nothing(Wrong):
    title = "nothing"
    def value(self, sums):
        return 0.0
"""


def test_the_users_metric_is_scored_on_the_eval_split_and_chooses_the_weights(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own_parts(tmp_path, {"mine": OWN_METRICS}, monkeypatch)
    wrong, nothing = "own_parts.mine.Wrong", "own_parts.mine.Nothing"
    chosen = settings(epochs=4, metrics=[nothing], metric_for_best_model=wrong)
    history = train(load(checkpoint), data, chosen, STRATEGY, tmp_path / "state")
    values = [e[wrong] for e in history.evaluations]
    assert values == pytest.approx([1.0 - e["accuracy"] for e in history.evaluations])
    assert len(set(values)) > 1
    assert history.best[wrong] == min(values)
    assert [e[nothing] for e in history.evaluations] == [0.0] * 4


def test_of_equal_values_of_the_users_metric_the_weights_with_the_lowest_loss_are_kept(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own_parts(tmp_path, {"mine": OWN_METRICS}, monkeypatch)
    told = iter([0.84, 0.25, 0.36])
    monkeypatch.setattr(train_loop, "_score_sums", lambda *_: of_one_row(next(told), 1.0))
    chosen = settings(epochs=3, metric_for_best_model="own_parts.mine.Nothing")
    history = train(load(checkpoint), data, chosen, STRATEGY, tmp_path / "state")
    assert history.best["epoch"] == 2


def test_the_users_loss_is_trained_with_and_scored(
    checkpoint: Path, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import tensorflow as tf\n\ndef doubled(logits, targets):\n"
        "    return 2.0 * tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)\n"
    )
    write_own_parts(tmp_path, {"mine": source}, monkeypatch)
    histories, trained = [], []
    for loss in (None, "own_parts.mine.doubled"):
        model = load(checkpoint)
        # Clipping makes both gradients one of the same length.
        chosen = settings(loss=loss, max_grad_norm=1e-3, adam_epsilon=1e-12, epochs=0.5)
        histories.append(train(model, data, chosen, STRATEGY, tmp_path / f"state-{loss}"))
        trained.append(weights(model))
    plain, own = (history.evaluations[-1] for history in histories)
    assert own["loss"] == pytest.approx(2.0 * plain["loss"], rel=1e-3)
    assert own["train_loss"] == pytest.approx(2.0 * plain["train_loss"], rel=1e-3)
    assert largest_difference(*trained) < 1e-3


def test_loss_that_is_no_number_stops_with_a_hint(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    model = load(checkpoint)
    model.classifier.bias.assign([np.nan] * 3)
    with pytest.raises(PipelineError, match=r"training loss is nan at step \d+; lower train\.learning_rate"):
        train(model, data, settings(), STRATEGY, tmp_path)


def test_balanced_weights_are_inverse_frequencies(data: TrainingData) -> None:
    summary = replace(data.train_summary, label_counts=(10, 20, 30))
    balanced = class_weights(settings(class_weights="balanced"), replace(data, train_summary=summary))
    assert balanced == (2.0, 1.0, pytest.approx(2 / 3))
    assert class_weights(settings(class_weights={"number": 3.0}), data) == (1.0, 3.0, 1.0)
    assert class_weights(settings(), data) is None


def test_weight_of_an_unknown_label_is_refused(data: TrainingData) -> None:
    with pytest.raises(PipelineError, match=r"class_weights names \['planet'\]"):
        class_weights(settings(class_weights={"planet": 2.0}), data)
    nothing = {"animal": 0.0, "number": 0.0, "place": 0.0}
    with pytest.raises(PipelineError, match="class_weights are 0 for all labels"):
        class_weights(settings(class_weights=nothing), data)
    assert class_weights(settings(class_weights={"place": 0.0}), data) == (1.0, 1.0, 0.0)


def test_fractions_of_an_epoch_and_accumulation_count_optimizer_steps(
    checkpoint: Path, data: TrainingData, tmp_path: Path
) -> None:
    chosen = settings(epochs=1.5, gradient_accumulation_steps=4)
    history = train(load(checkpoint), data, chosen, STRATEGY, tmp_path)
    assert (history.total_steps, history.steps_per_epoch) == (5, 3.0)  # 18 passes of 16 rows, 4 a step
    assert [e["step"] for e in history.evaluations] == [3, 5]


def test_multi_worker_without_a_cluster_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(PipelineError, match="TF_CONFIG names no cluster"):
        make_strategy("multi_worker")


MIRRORED = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tests.components.trainer import test_train_loop as t
from components.trainer import progress, train_loop
progress.set_sink(lambda report: None)
checkpoint, train_file, eval_file, out = map(Path, sys.argv[1:])
data = t.read_data([str(train_file)], [str(eval_file)], t.LABELS, 110, t.INPUTS, t.TASK)
finals = []
for name in ("none", "mirrored"):
    strategy = t.make_strategy(name)
    with strategy.scope():
        model = t.load(checkpoint)
    for part in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(model.config, part, 0.0)  # the replicas' masks are not those of one
    chosen = t.settings(max_steps=5, epochs=None, batch_size=14, eval_batch_size=13, strategy=name,
                        adam_epsilon=0.1, gradient_accumulation_steps=2)
    history = t.train(model, data, chosen, strategy, out / name)
    finals.append((t.weights(model), history.evaluations[-1]))
    print(name, strategy.num_replicas_in_sync, history.evaluations[-1])
(one, scores), (two, other_scores) = finals
assert strategy.num_replicas_in_sync == 2
assert abs(scores["loss"] - other_scores["loss"]) < 1e-4, (scores, other_scores)
assert scores["accuracy"] == other_scores["accuracy"]
print("difference", t.largest_difference(one, two))
"""


def test_two_replicas_train_like_one(
    checkpoint: Path, tmp_path: Path, write_rows: Callable[..., Path]
) -> None:
    train_file = write_rows(tmp_path / "train.gz", learnable_rows(14 * 7, seed=1))
    eval_file = write_rows(tmp_path / "eval.gz", learnable_rows(31, seed=2))
    command = [sys.executable, "-c", MIRRORED, checkpoint, train_file, eval_file, tmp_path]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=PROJECT_DIR
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mirrored 2" in done.stdout
    assert float(done.stdout.split("difference")[1]) < 1e-5
