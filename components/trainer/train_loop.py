"""The training loop: steps, evaluations, best weights, and resuming.

One `tf.function` per step and no callbacks; everything between steps is plain Python.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components import interrupts
from components.trainer import dataset, progress
from components.trainer.dataset import Batching, SplitSummary
from components.trainer.distribution import is_chief, split_over_replicas
from components.trainer.embedding_rows import EmbeddingRows, is_worthwhile
from components.trainer.history import History, goodness, history_of, rank
from components.trainer.meter import Meter
from components.trainer.model import decays, learning_rate_shares, trained_variables, word_embedding
from components.trainer.optimizer import AdamW, learning_rate
from components.trainer.own_scores import own_scores
from components.trainer.precision import warn_of_emulated_products
from components.trainer.settings import TrainSettings, label_weights
from components.trainer.step import TrainStep, logits_function, scoring_function
from components.trainer.train_state import fingerprint, load_state, save_state
from models.errors import PipelineError
from models.own_parts import is_own, load_part
from models.tasks.objective import PLAIN, Constants, Objective
from models.tasks.task import Task

_REPORT_SECONDS = 0.5
_UNSAVED_SECONDS = 60.0  # maximum training time that is lost if the run is killed during an evaluation
# Settings that do not affect the result: a state is resumed even if they differ.
_NO_PART_OF_THE_RESULT = {"save_steps", "save_minutes", "tensorboard"}


@dataclass(frozen=True)
class TrainingData:
    """The two splits that training uses: their shards, and summaries from a first pass over them."""

    train: list[str]
    evaluation: list[str]
    train_summary: SplitSummary
    evaluation_summary: SplitSummary
    labels: list[str]
    inputs: tuple[str, ...]
    task: Task
    aggregate: str | None = None  # how a text's windows are joined; None if texts have none


def read_data(
    train: Sequence[str],
    evaluation: Sequence[str],
    labels: list[str],
    vocabulary: int,
    inputs: tuple[str, ...],
    task: Task,
    aggregate: str | None = None,
) -> TrainingData:
    """Finds and checks both splits. `inputs`: names of the model's inputs, from `dataset.model_inputs`.

    `aggregate`: how the windows of a text are joined, see `windows.text_logits`; None if texts have none.

    Raises:
        PipelineError: no file matches, a shard cannot be read, a split has no row, or a row does not fit
            labels or vocabulary.
    """
    shards = [dataset.list_shards(patterns) for patterns in (train, evaluation)]
    has_windows = aggregate is not None
    summaries = [
        dataset.summarize_split(s, len(labels), vocabulary, inputs, task, has_windows) for s in shards
    ]
    for name, patterns, summary in zip(("train", "eval"), (train, evaluation), summaries, strict=True):
        if summary.rows == 0:
            raise PipelineError(f"split {name!r} has 0 rows in {patterns[0]}; see data.path and data.splits")
    return TrainingData(shards[0], shards[1], summaries[0], summaries[1], labels, inputs, task, aggregate)


def class_weights(settings: TrainSettings, data: TrainingData) -> tuple[float, ...] | None:
    """The weight of each label id; for `balanced` it is rows / (classes * rows of the class).

    Raises:
        UsageError: a weight is given for a label that is not in the list, or all weights are 0.
    """
    chosen = settings.class_weights
    if chosen is None:
        return None
    if chosen == "balanced":
        counts = data.train_summary.label_counts
        return tuple(sum(counts) / (len(counts) * n) if n else 0.0 for n in counts)
    return label_weights(chosen, data.labels)


def objective_of(settings: TrainSettings, data: TrainingData) -> Objective:
    """What the head is trained for, with the constants of the train split's labels."""
    own = settings.loss if settings.loss is not None and is_own(settings.loss) else None
    return Objective(
        loss=(settings.loss or data.task.facts().LOSSES[0]) if own is None else "",
        smoothing=settings.label_smoothing_factor,
        label_weights=class_weights(settings, data),
        own=None if own is None else load_part(own),
        constants=data.task.head().constants(data.train_summary.label_counts, data.train_summary.rows),
        labels=tuple(data.labels),
    )


def train(
    model: Any,
    data: TrainingData,
    settings: TrainSettings,
    strategy: tf.distribute.Strategy,
    state_dir: Path,
    log_dir: Path | None = None,
    identity: Mapping[str, Any] | None = None,
) -> History:
    """Fine-tunes `model` in place and leaves it with the weights that scored best on the eval split.

    Args:
        model: made by `load_classifier` under `strategy`'s scope.
        data: from `read_data`.
        settings: the config's `train` section.
        strategy: from `make_strategy`.
        state_dir: persistent folder, which runs may share; a state with the same data, settings and
            `identity` is resumed. The caller clears it (`clear_state`, with the history's fingerprint) after
            the export.
        log_dir: folder for TensorBoard logs, or None.
        identity: what else decides the result (checkpoint, code), as JSON.

    Raises:
        PipelineError: the loss is no longer a number, a setting does not fit data or model, or the state
            cannot be saved.
        KeyboardInterrupt: raised after the state was saved; the next call resumes at that step.
    """
    warn_of_emulated_products(settings)
    if data.task.facts().OF_WORDS:
        _warn_of_cut_words(data)
    return _Loop(model, data, settings, strategy, state_dir, log_dir, identity or {}).run()


def split_scores(
    model: Any,
    shards: Sequence[str],
    settings: TrainSettings,
    strategy: tf.distribute.Strategy,
    inputs: tuple[str, ...],
    task: Task,
    objective: Objective = PLAIN,
) -> dict[str, float]:
    """The task's scores of a split, without label smoothing and class weights."""
    batching = _batching(settings, inputs, strategy, settings.eval_batch_size, None, task)
    batches = dataset.evaluation_batches(shards, batching)
    score = scoring_function(model, settings, strategy, inputs, task, objective)
    return task.head().scores(_score_sums(batches, score, strategy), objective)


def _score_sums(
    batches: tf.data.Dataset, score: Callable[..., tf.Tensor], strategy: tf.distribute.Strategy
) -> np.ndarray:
    sums = (score(split_over_replicas(strategy, batch)).numpy().astype(np.float64) for batch in batches)
    return np.asarray(sum(sums))


class _Loop:
    def __init__(
        self,
        model: Any,
        data: TrainingData,
        settings: TrainSettings,
        strategy: tf.distribute.Strategy,
        state_dir: Path,
        log_dir: Path | None,
        identity: Mapping[str, Any],
    ) -> None:
        self.model, self.data, self.settings, self.strategy = model, data, settings, strategy
        self.state_dir = state_dir
        mark = _mark(data, settings, strategy, identity)
        self.variables = trained_variables(model, settings.freeze)
        with strategy.scope():
            rows = _embedding_rows(model, self.variables, data.train_summary.token_ids)
            shares = learning_rate_shares(model, self.variables, settings.layer_lr_decay)
            self.optimizer = AdamW(self.variables, settings, decays(model), rows, shares)
        self.objective = objective_of(settings, data)
        self.batching = _batching(
            settings, data.inputs, strategy, settings.batch_size, self.objective.label_weights, data.task
        )
        self.eval_batching = _batching(
            settings, data.inputs, strategy, settings.eval_batch_size, None, data.task
        )
        if data.aggregate is not None:
            buffered = dataset.shuffle_rows(data.train_summary)
            self.batching = replace(self.batching, windows=True, shuffle_rows=buffered)
            self.eval_batching = replace(self.eval_batching, windows=True)
        self.passes_per_epoch = math.ceil(data.train_summary.sequences / self.batching.batch_size)
        steps_per_epoch = self.passes_per_epoch / settings.gradient_accumulation_steps
        total = settings.max_steps or max(1, math.ceil((settings.epochs or 1.0) * steps_per_epoch - 1e-9))
        self.history = History(
            fingerprint=mark,
            total_steps=total,
            steps_per_epoch=steps_per_epoch,
            train_rows=data.train_summary.rows,
            best_metric=settings.metric_for_best_model,
        )
        self.evaluation_steps = _evaluation_steps(settings, steps_per_epoch, total)
        self.best_weights: list[np.ndarray] | None = None
        self.train_step = TrainStep(
            model, self.variables, self.optimizer, settings, strategy, data.inputs, data.task, self.objective
        )
        self.score_batch = scoring_function(
            model, settings, strategy, data.inputs, data.task, self.objective, data.aggregate
        )
        self.logits = logits_function(model, settings, strategy, data.inputs, data.task, data.aggregate)
        self.writer = tf.summary.create_file_writer(str(log_dir)) if log_dir is not None else None
        self.saved_at = time.monotonic()

    def run(self) -> History:
        self._restore()
        started = time.perf_counter() - self.history.seconds
        meter = Meter(self.history.unevaluated_losses)
        try:
            with interrupts.remembered(at_once=False) as check_interrupt:
                if self._evaluation_due():  # the earlier run was interrupted during this evaluation
                    self._evaluate_and_save(meter, started)
                for batches in self._steps():
                    check_interrupt()
                    loss = self._one_step(batches)
                    meter.add(batches, loss)
                    self._note(step=self.history.step + 1)
                    if self._save_due():
                        self._save_between_evaluations(meter, started)
                    if self._evaluation_due():
                        self._evaluate_and_save(meter, started)
                    elif meter.rows_per_second > 0.0 and meter.seconds_since_report() > _REPORT_SECONDS:
                        self._report(meter, None)
        except KeyboardInterrupt:
            if not self._evaluated():
                self._note(unevaluated_losses=meter.losses())
            self._save()
            raise
        if self.writer is not None:
            self.writer.close()
        self._note(seconds=time.perf_counter() - started)
        self._take_best()
        return self.history

    def _note(self, **changes: Any) -> None:
        self.history = replace(self.history, **changes)

    def _steps(self) -> Iterator[list[dataset.Batch]]:
        """Yields the passes of each remaining optimizer step, from the restored step on."""
        size = self.settings.gradient_accumulation_steps
        stream = self._passes(self.history.step * size)
        while self.history.step < self.history.total_steps and not self.history.stopped_early:
            yield [next(stream) for _ in range(size)]

    def _passes(self, done: int) -> Iterator[dataset.Batch]:
        epoch, skip = divmod(done, self.passes_per_epoch)
        while True:
            batches = dataset.training_batches(self.data.train, self.batching, self.settings.seed, epoch)
            yield from batches.skip(skip)
            epoch, skip = epoch + 1, 0

    def _one_step(self, batches: list[dataset.Batch]) -> tf.Tensor:
        rate = tf.constant(
            learning_rate(self.settings, self.history.step, self.history.total_steps), tf.float32
        )
        first = self.history.step * len(batches)
        for i, batch in enumerate(batches[:-1]):
            self.train_step.accumulate(split_over_replicas(self.strategy, batch), first + i)
        last = split_over_replicas(self.strategy, batches[-1])
        return self.train_step.update(last, first + len(batches) - 1, rate)

    def _evaluated(self) -> bool:
        return any(record["step"] == self.history.step for record in self.history.evaluations)

    def _evaluation_due(self) -> bool:
        return self.history.step in self.evaluation_steps and not self._evaluated()

    def _save_due(self) -> bool:
        steps, minutes = self.settings.save_steps, self.settings.save_minutes
        if steps is not None and self.history.step % steps == 0:
            return True
        if minutes is None:
            return False
        limit = min(60.0 * minutes, _UNSAVED_SECONDS) if self._evaluation_due() else 60.0 * minutes
        return time.monotonic() - self.saved_at >= limit

    def _save_between_evaluations(self, meter: Meter, started: float) -> None:
        self._note(unevaluated_losses=meter.losses(), seconds=time.perf_counter() - started)
        self._save()
        meter.restart()

    def _evaluate_and_save(self, meter: Meter, started: float) -> None:
        before = time.perf_counter()
        self.optimizer.settle()
        batches = dataset.evaluation_batches(self.data.evaluation, self.eval_batching)
        head, sums = self.data.task.head(), _score_sums(batches, self.score_batch, self.strategy)
        scores = head.scores(sums, self.objective)
        constants = {**self.objective.constants, **head.chosen(sums)}
        paths, labels, task = self.settings.own_metrics, self.data.labels, self.data.task
        scores |= own_scores(paths, labels, task, batches, self.logits, constants)
        self._record(scores, constants, meter)
        self._report(meter, scores)
        meter.forget_losses()
        self._note(seconds=time.perf_counter() - started)
        self._save()
        meter.restart()
        spent = time.perf_counter() - before
        self._note(evaluation_seconds=self.history.evaluation_seconds + spent)

    def _record(self, scores: Mapping[str, float], constants: Constants, meter: Meter) -> None:
        """Records an evaluation, keeps the best weights and decides whether to stop."""
        history, metric, stopping = (
            self.history,
            self.settings.metric_for_best_model,
            self.settings.early_stopping,
        )
        record = {"step": history.step, "epoch": history.step / history.steps_per_epoch, **scores}
        losses = meter.losses()
        if losses:
            record["train_loss"] = sum(losses) / len(losses)
        better_by = goodness(scores, metric) - goodness(history.best, metric) if history.best else math.inf
        enough = better_by > (stopping.min_delta if stopping else 0.0)
        since_best = 0 if enough else history.evaluations_since_best + 1
        patience = stopping.patience if stopping else math.inf
        # Any improvement selects new best weights; patience counts only improvements above min_delta.
        is_best = not history.best or rank(scores, metric) > rank(history.best, metric)
        if is_best:
            self.best_weights = [v.numpy() for v in self.variables]
        # In one assignment and after the weights, so that an interrupt cannot leave half an evaluation.
        self._note(
            evaluations=[*history.evaluations, record],
            unevaluated_losses=[],
            best=record if is_best else history.best,
            constants=constants if is_best else history.constants,
            evaluations_since_best=since_best,
            stopped_early=since_best >= patience and history.step < history.total_steps,
        )

    def _report(self, meter: Meter, scores: Mapping[str, float] | None) -> None:
        loss = meter.take_loss()
        self._note(
            step_seconds=meter.seconds,
            padding_share=meter.padding_share,
            rows_per_second=meter.rows_per_second,
        )
        history = self.history
        if loss is not None and not math.isfinite(loss):
            half = self.settings.half_precision
            advice = f", or set train.{half} to false" if half else ""
            raise PipelineError(
                f"training loss is {loss} at step {history.step}; lower train.learning_rate "
                f"{self.settings.learning_rate}{advice}"
            )
        left = history.total_steps - history.step
        report = progress.TrainProgress(
            step=history.step,
            total_steps=history.total_steps,
            epoch=history.step / history.steps_per_epoch,
            loss=math.nan if loss is None else loss,
            rows_per_second=history.rows_per_second,
            seconds_left=left * meter.seconds_per_step,
            eval_metrics=scores,
        )
        progress.report(report)
        if self.writer is not None:
            self._log(self.writer, report)

    def _log(self, writer: Any, report: progress.TrainProgress) -> None:
        rate = learning_rate(self.settings, report.step, report.total_steps)
        with writer.as_default(step=report.step):
            if not math.isnan(report.loss):
                _write_scalar("train/loss", report.loss)
            _write_scalar("train/rows_per_second", report.rows_per_second)
            _write_scalar("train/learning_rate", rate)
            for name, value in (report.eval_metrics or {}).items():
                _write_scalar(f"eval/{name}", value)
        writer.flush()

    def _save(self) -> None:
        if not is_chief(self.strategy):
            return
        arrays = {f"weight/{i}": v.numpy() for i, v in enumerate(self.variables)}
        arrays |= {f"optimizer/{i}": np.asarray(v.numpy()) for i, v in enumerate(self.optimizer.state)}
        arrays |= {f"best/{i}": w for i, w in enumerate(self.best_weights or [])}
        save_state(self.state_dir, self.history.fingerprint, self.history.as_json(), arrays)
        self.saved_at = time.monotonic()

    def _restore(self) -> None:
        try:
            state = load_state(self.state_dir, self.history.fingerprint)
        except ValueError as error:
            progress.say(f"The training state {error}: training starts from the beginning")
            return
        if state is None:
            return
        saved, arrays = state
        self.history = history_of(saved)
        for name, variables in (("weight", self.variables), ("optimizer", self.optimizer.state)):
            for i, variable in enumerate(variables):
                variable.assign(arrays[f"{name}/{i}"])
        self.optimizer.reload()
        # An interrupt can fall between an update and its count; the optimizer's own count is correct.
        step = int(self.optimizer.step.numpy())
        self._note(step=step, resumed_at=[*self.history.resumed_at, step])
        progress.say(f"Training resumes at step {self.history.step} of {self.history.total_steps}")
        if self.history.best:
            self.best_weights = [arrays[f"best/{i}"] for i in range(len(self.variables))]

    def _take_best(self) -> None:
        if self.best_weights is not None:
            for variable, weights in zip(self.variables, self.best_weights, strict=True):
                variable.assign(weights)


def _warn_of_cut_words(data: TrainingData) -> None:
    for split, summary in (("train", data.train_summary), ("eval", data.evaluation_summary)):
        cut = data.task.labels().words_without_tokens(summary.label_counts)
        if cut:
            progress.say(
                f"{cut} words of split {split!r} are behind the end of a text that transform.max_length cuts, or have no "
                "token: the model does not see them, and they count as tagged O"
            )


def _embedding_rows(model: Any, variables: Sequence[tf.Variable], ids: Sequence[int]) -> EmbeddingRows | None:
    """The rows of the word embedding that training changes; None if it is frozen or nearly all rows are used."""
    embedding, pad_id = word_embedding(model), model.config.pad_token_id
    # Some forward passes replace the padding by the checkpoint's own id.
    ids = sorted({*ids, dataset.PADDING_ID, *([] if pad_id is None else [pad_id])})
    is_trained = any(variable is embedding for variable in variables)
    return EmbeddingRows(embedding, ids) if is_trained and is_worthwhile(embedding, ids) else None


def _write_scalar(tag: str, value: float) -> None:
    """Writes what tf.summary.scalar writes, without requiring TensorBoard to be installed."""
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=metadata)


def _batching(
    settings: TrainSettings,
    inputs: tuple[str, ...],
    strategy: tf.distribute.Strategy,
    rows: int,
    weights: tuple[float, ...] | None,
    task: Task,
) -> Batching:
    """Batching with `rows` rounded up to a multiple of the number of replicas."""
    replicas = strategy.num_replicas_in_sync
    return Batching(
        batch_size=-(-rows // replicas) * replicas,
        bucket_width=settings.bucket_width,
        inputs=inputs,
        class_weights=weights,
        fixed_rows=replicas > 1 or settings.xla or settings.strategy == "tpu",
        task=task,
    )


def _evaluation_steps(settings: TrainSettings, steps_per_epoch: float, total: int) -> set[int]:
    """The steps after which the model is evaluated, always including the last one."""
    interval = max(1.0, steps_per_epoch / settings.evaluations_per_epoch)
    return {math.ceil(i * interval - 1e-9) for i in range(1, int(total / interval) + 1)} | {total}


def _mark(
    data: TrainingData,
    settings: TrainSettings,
    strategy: tf.distribute.Strategy,
    identity: Mapping[str, Any],
) -> str:
    return fingerprint(
        {
            "train": data.train_summary.digest,
            "evaluation": data.evaluation_summary.digest,
            "labels": data.labels,
            "aggregate": data.aggregate,
            "settings": settings.model_dump(mode="json", exclude=_NO_PART_OF_THE_RESULT),
            "replicas": strategy.num_replicas_in_sync,
            "identity": dict(identity),
        }
    )
