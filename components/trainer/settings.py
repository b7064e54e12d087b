"""The config's `train` section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from models.errors import UsageError
from models.own_parts import OwnPath, is_own
from models.section import Fraction, Section
from models.tasks.task import DEFAULT_TASK, TASKS, every_score

if TYPE_CHECKING:
    ScoreName = str
    LossName = str
else:
    ScoreName = Literal[tuple(every_score())]
    LossName = Literal[tuple(loss for task in TASKS.values() for loss in task.facts().LOSSES)]


_HALF_PRECISION = {"bf16": "bfloat16", "fp16": "float16"}


class EarlyStoppingSettings(Section):
    """Stops when the metric on the eval split no longer improves. The best weights are always kept."""

    patience: int = Field(2, ge=1, description="Evaluations without improvement before training stops.")
    min_delta: float = Field(
        0.0, ge=0.0, description="Minimum change of the metric that counts as an improvement."
    )


class FreezeSettings(Section):
    """Which parts of the encoder keep their pretrained weights."""

    embeddings: bool = Field(False, description="Freeze the embedding tables.")
    layers: int = Field(0, ge=0, description="Number of encoder layers to freeze, counted from the input.")


class TrainSettings(Section):
    """Fine-tuning. Durations are in optimizer steps or epochs."""

    alternatives: ClassVar = {"epochs": (), "max_steps": ()}

    epochs: float | None = Field(
        3.0, gt=0, description="Passes over the train split; null if max_steps is given."
    )
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps; give either epochs or max_steps.")
    batch_size: int = Field(32, ge=1, description="Rows per forward pass, over all replicas.")
    gradient_accumulation_steps: int = Field(1, ge=1, description="Forward passes per optimizer step.")
    eval_batch_size: int = Field(128, ge=1, description="Rows per forward pass in evaluations.")
    learning_rate: float = Field(5e-5, gt=0, le=1, description="Peak learning rate.")
    layer_lr_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Layer-wise learning rate decay: each layer of the encoder has this share of the learning rate of "
        "the layer after it, the embeddings that of the first layer; the head has all of it.",
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="Decay after warm-up."
    )
    warmup_ratio: Fraction = Field(0.1, description="Share of all steps for the linear warm-up from 0.")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="Decoupled weight decay; not applied to biases and LayerNorm."
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW first-moment decay.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW second-moment decay.")
    adam_epsilon: float = Field(1e-8, gt=0, le=1, description="AdamW epsilon.")
    max_grad_norm: float | None = Field(
        1.0, gt=0, description="Maximum global gradient norm; null: no clipping."
    )
    loss: LossName | OwnPath | None = Field(
        None,
        description="Loss; null: the task's first (docs/tasks.md). Or your function, own_parts.MODULE.NAME: docs/own_parts.md.",
    )
    label_smoothing_factor: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Label smoothing: share of the target spread over all classes."
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="`balanced` (inverse frequency), or label -> weight; null: all weights are 1."
    )
    freeze: FreezeSettings = Field(FreezeSettings(), description="Parts of the encoder that are not trained.")
    evaluations_per_epoch: int = Field(1, ge=1, description="Evaluations on the eval split per epoch.")
    metrics: list[OwnPath] = Field(
        default_factory=list,
        description="Your metrics, own_parts.MODULE.NAME, to compute on the eval split besides the task's: docs/own_parts.md.",
    )
    metric_for_best_model: ScoreName | OwnPath = Field(
        TASKS[DEFAULT_TASK].facts().BEST_METRIC,
        description="Metric on the eval split that selects the best weights, the task's or yours; ties are broken by the lower "
        "loss.",
    )
    early_stopping: EarlyStoppingSettings | None = Field(None, description="null: train to the end.")
    bucket_width: int = Field(
        1,
        ge=1,
        description="Batches (rows of similar length) are padded to a multiple of this many tokens; 8 suits GPUs.",
    )
    save_steps: int | None = Field(
        None,
        ge=1,
        description="Also save the training state every so many optimizer steps; null: do not.",
    )
    save_minutes: float | None = Field(
        4.0,
        gt=0,
        description="Save the training state when this many minutes have passed since the last save, which limits "
        "what a killed run loses; null: only after evaluations and by save_steps.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="The same seed, data and machine give the same weights."
    )
    bf16: bool = Field(
        False,
        description="Matrix products of the encoder in bfloat16; weights, sums and the optimizer stay float32. Faster on "
        "processors with AVX512_BF16 or AMX; several times slower on others, which get a warning.",
    )
    fp16: bool = Field(
        False, description="Matrix products of the encoder in float16, with a loss scale; for GPUs."
    )
    xla: bool = Field(False, description="Compile the training step with XLA.")
    strategy: Literal["none", "mirrored", "multi_worker", "tpu"] = Field(
        "none", description="tf.distribute strategy; multi_worker reads TF_CONFIG."
    )
    tensorboard: bool = Field(True, description="Write TensorBoard logs to the model run.")

    @property
    def own_metrics(self) -> list[str]:
        """The user's metrics that are computed on the eval split, each once."""
        return list(dict.fromkeys([*self.metrics, *filter(is_own, [self.metric_for_best_model])]))

    @property
    def half_precision(self) -> str | None:
        """The key that asks for it, `bf16` or `fp16`."""
        return next((key for key in _HALF_PRECISION if getattr(self, key)), None)

    @property
    def compute_dtype(self) -> str:
        """Of the encoder's matrix products."""
        return _HALF_PRECISION[self.half_precision] if self.half_precision else "float32"

    @model_validator(mode="before")
    @classmethod
    def _steps_alone(cls, values: Any) -> Any:
        """max_steps alone does not conflict with epochs, whose value is only a default."""
        if isinstance(values, dict) and values.get("max_steps") is not None:
            return {"epochs": None, **values}
        return values

    @model_validator(mode="after")
    def _check(self) -> TrainSettings:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError(
                f"give either epochs or max_steps, got epochs {self.epochs} and max_steps {self.max_steps}"
            )
        if self.own_metrics and self.strategy != "none":
            raise ValueError(
                f"strategy {self.strategy} does not compute your metrics ({', '.join(self.own_metrics)}) on the eval split; "
                "remove one of them"
            )
        if self.bf16 and self.fp16:
            raise ValueError("give either bf16 or fp16, got both")
        if isinstance(self.class_weights, dict):
            bad = {k: v for k, v in self.class_weights.items() if v < 0}
            if bad:
                raise ValueError(f"class_weights must not be negative, got {bad}")
        return self


def label_weights(weights: Mapping[str, float], labels: Sequence[str]) -> tuple[float, ...]:
    """The weight of each label id: `({"b": 2.0}, ["a", "b"]) -> (1.0, 2.0)`.

    Raises:
        UsageError: a weight is given for a label that is not in the list, or all weights are 0.
    """
    unknown = sorted(set(weights) - set(labels))
    if unknown:
        raise UsageError(
            f"train.class_weights names {unknown}, which are not in the label list {list(labels)}"
        )
    by_id = tuple(float(weights.get(label, 1.0)) for label in labels)
    if not any(by_id):
        raise UsageError(
            f"train.class_weights are 0 for all labels, got {dict(weights)}: nothing would be trained"
        )
    return by_id
