"""The config's `train` section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from models.errors import UsageError
from models.section import Fraction, Section
from models.tasks.task import DEFAULT_TASK, TASKS, every_score

if TYPE_CHECKING:
    ScoreName = str
else:
    ScoreName = Literal[tuple(every_score())]


class EarlyStoppingSettings(Section):
    """Stops when the evaluation split no longer improves. The best weights are kept in any case."""

    patience: int = Field(2, ge=1, description="Evaluations without improvement before training stops.")
    min_delta: float = Field(0.0, ge=0.0, description="Smallest change of the metric that counts.")


class FreezeSettings(Section):
    """Which parts of the encoder keep their pretrained weights."""

    embeddings: bool = Field(False, description="Freeze the embedding tables.")
    layers: int = Field(0, ge=0, description="Freeze this many encoder layers, from the input up.")


class TrainSettings(Section):
    """Fine-tuning. Learning rate in units of the AdamW update; lengths in optimizer steps or epochs."""

    alternatives: ClassVar = {"epochs": (), "max_steps": ()}

    epochs: float | None = Field(
        3.0, gt=0, description="Passes over the train split; null when max_steps is given."
    )
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps; give either epochs or max_steps.")
    batch_size: int = Field(32, ge=1, description="Rows of one forward pass, over all replicas.")
    gradient_accumulation_steps: int = Field(1, ge=1, description="Forward passes per optimizer step.")
    eval_batch_size: int = Field(128, ge=1, description="Rows of one evaluation pass.")
    learning_rate: float = Field(5e-5, gt=0, le=1, description="Peak learning rate.")
    lr_scheduler_type: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="Decay after warm-up."
    )
    warmup_ratio: Fraction = Field(0.1, description="Share of all steps that warm up linearly from 0.")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="Decoupled decay; never on biases and LayerNorm."
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW first-moment decay.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW second-moment decay.")
    adam_epsilon: float = Field(1e-8, gt=0, le=1, description="AdamW epsilon.")
    max_grad_norm: float | None = Field(
        1.0, gt=0, description="Global gradient norm is clipped to this; null: never."
    )
    label_smoothing_factor: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share spread over all classes."
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="`balanced` (inverse frequency), or label -> weight; null: all 1."
    )
    freeze: FreezeSettings = Field(FreezeSettings(), description="Layers that are not trained.")
    evaluations_per_epoch: int = Field(1, ge=1, description="Evaluations on the eval split per epoch.")
    metric_for_best_model: ScoreName = Field(
        TASKS[DEFAULT_TASK].facts().BEST_METRIC,
        description="Decides which weights are the best, as measured on the eval split; of equal accuracies the one with "
        "the lower loss.",
    )
    early_stopping: EarlyStoppingSettings | None = Field(None, description="null: train to the end.")
    bucket_width: int = Field(
        1,
        ge=1,
        description="Batches (rows of alike length) are padded to a multiple of this many tokens; 8 suits GPUs.",
    )
    save_steps: int | None = Field(
        None,
        ge=1,
        description="The training state is saved every so many optimizer steps, too; null: never for that.",
    )
    save_minutes: float | None = Field(
        4.0,
        gt=0,
        description="The training state is saved when this many minutes have passed since the last time, which bounds "
        "what a killed run costs; null: only after evaluations and by save_steps.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Same seed, data and machine: same weights.")
    mixed_precision: Literal["none", "float16", "bfloat16"] = Field(
        "none", description="Compute type of the encoder."
    )
    xla: bool = Field(False, description="Compile the training step with XLA.")
    strategy: Literal["none", "mirrored", "multi_worker", "tpu"] = Field(
        "none", description="tf.distribute strategy; multi_worker reads TF_CONFIG."
    )
    tensorboard: bool = Field(True, description="Write TensorBoard logs beside the model run.")

    @model_validator(mode="before")
    @classmethod
    def _steps_alone(cls, given: Any) -> Any:
        """Steps alone are no contradiction: the default number of epochs is nobody's wish."""
        if isinstance(given, dict) and given.get("max_steps") is not None:
            return {"epochs": None, **given}
        return given

    @model_validator(mode="after")
    def _check(self) -> TrainSettings:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError(
                f"give either epochs or max_steps, got epochs {self.epochs} and max_steps {self.max_steps}"
            )
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
        raise UsageError(f"train.class_weights names {unknown}, not in the label list {list(labels)}")
    found = tuple(float(weights.get(label, 1.0)) for label in labels)
    if not any(found):
        raise UsageError(
            f"train.class_weights are 0 for all labels, got {dict(weights)}: nothing would be trained"
        )
    return found
