"""The typed sections of a config that nodes read.

`pipeline.config` assembles them into the whole tree; a node gets its section as JSON through
`custom_config` or an execution property (so that the metadata store records every value) and
validates it back into the class here. No TensorFlow is imported.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Severity = Literal["error", "warn"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen part of the config: unknown keys are errors, every field says what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


# --- data ---------------------------------------------------------------------------------------


class DataGateSettings(Section):
    """Rules that stop the run before Transform. `error` stops, `warn` only reports."""

    missing_split: Severity = Field(
        "error", description="A split named in data.splits has no file or no row."
    )
    missing_column: Severity = Field("error", description="A column the schema requires is absent from rows.")
    wrong_type: Severity = Field("error", description="A column holds another type than the schema says.")
    unknown_label: Severity = Field("error", description="A label that is not in data.labels.")
    empty_text: Severity = Field("error", description="More empty texts than max_empty_text_fraction.")
    max_empty_text_fraction: Fraction = Field(
        0.01, description="Share of rows of a split whose text may be empty or white space."
    )
    too_few_rows: Severity = Field("error", description="A split with fewer rows than min_rows.")
    min_rows: int = Field(10, ge=1, description="Rows that every split must have.")
    not_utf8: Severity = Field("warn", description="Texts with bytes that are not UTF-8.")
    schema_anomaly: Severity = Field(
        "error", description="Any other anomaly against the schema (domain, presence, shape)."
    )


class DataSettings(Section):
    """Where the examples are and what their columns mean."""

    path: Path = Field(
        description="Folder of TFRecord shards of tf.Examples (made by `make data` or `import`)."
    )
    recipe: str | None = Field(
        None, description="Dataset recipe (a folder of data/) that makes `path` when it does not exist yet."
    )
    splits: dict[str, str] = Field(
        default_factory=lambda: {"train": "train-*", "eval": "eval-*", "test": "test-*"},
        description="Split name -> glob of its shards under `path`. `train` and `eval` must be there.",
    )
    data_schema: Path = Field(alias="schema", description="Curated TFMD schema (.pbtxt) of the raw examples.")
    labels: Path = Field(description="Label list, one label a line; the line number from 0 is the label id.")
    text: str = Field("text", min_length=1, description="Column with the text.")
    text_pair: str | None = Field(None, description="Column with the second text of a pair task.")
    label: str = Field("label", min_length=1, description="Column with the label (string or integer).")
    gate: DataGateSettings = Field(DataGateSettings(), description="The data gate's rules.")

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, populate_by_name=True)

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        missing = [name for name in ("train", "eval") if name not in self.splits]
        if missing:
            raise ValueError(f"splits must name {' and '.join(missing)}, got {sorted(self.splits)}")
        columns = [self.text, self.label] + ([self.text_pair] if self.text_pair else [])
        if len(set(columns)) != len(columns):
            raise ValueError(f"text, text_pair and label must be different columns, got {columns}")
        for key, column in (("text", self.text), ("text_pair", self.text_pair)):
            if column is not None and not _names_an_argument(column):
                raise ValueError(
                    f"{key} becomes an input name of the served model: ASCII letters, digits and _, from a "
                    f"letter on, no Python keyword, got {column!r}; rename the column with `import`"
                )
        return self


def _names_an_argument(column: str) -> bool:
    """Whether a SavedModel signature takes the name as it is; "self" is an argument already."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", column) is not None
    return plain and not keyword.iskeyword(column) and column != "self"


# --- model --------------------------------------------------------------------------------------


class CheckpointSettings(Section):
    """A pretrained encoder and its tokenizer files, from exactly one of three places."""

    path: Path | None = Field(None, description="Local folder with config.json, tokenizer files and weights.")
    recipe: str | None = Field(
        None, description="Checkpoint recipe (data/checkpoints/<name>.yaml): a sha256-verified package."
    )
    hub: str | None = Field(None, description="Hugging Face Hub id; needs `revision` and a network.")
    revision: str | None = Field(None, description="Commit (40 hex digits) of the hub repository.")
    allow_pickle: bool = Field(
        False, description="Accept pickle weights (pytorch_model.bin), which can run code when loaded."
    )

    @model_validator(mode="after")
    def _one_source(self) -> CheckpointSettings:
        given = [k for k in ("path", "recipe", "hub") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, recipe or hub, got {given or 'none'}")
        pinned = self.revision is not None and len(self.revision) == 40
        if self.hub is not None and not (
            pinned and all(c in "0123456789abcdef" for c in self.revision or "")
        ):
            raise ValueError(f"hub needs revision, a commit of 40 hex digits, got {self.revision!r}")
        if self.hub is None and self.revision is not None:
            raise ValueError(f"revision goes with hub, got revision {self.revision!r} without hub")
        return self


class ModelSettings(Section):
    """The classifier: a pretrained encoder with a fresh classification head."""

    checkpoint: CheckpointSettings = Field(description="Where the pretrained encoder comes from.")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="Dropout before the head; null keeps the checkpoint's own."
    )


# --- transform ----------------------------------------------------------------------------------


class TransformSettings(Section):
    """Tokenization. What it does to the text is read from the checkpoint's own tokenizer files."""

    max_length: int = Field(
        128, ge=4, le=8192, description="Most tokens of a row, special tokens included; longer text is cut."
    )


# --- train --------------------------------------------------------------------------------------


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

    epochs: float | None = Field(
        3.0, gt=0, description="Passes over the train split; null when steps is given."
    )
    steps: int | None = Field(None, ge=1, description="Optimizer steps; give either epochs or steps.")
    batch_size: int = Field(32, ge=1, description="Rows of one forward pass, over all replicas.")
    gradient_accumulation: int = Field(1, ge=1, description="Forward passes per optimizer step.")
    eval_batch_size: int = Field(128, ge=1, description="Rows of one evaluation pass.")
    learning_rate: float = Field(5e-5, gt=0, le=1, description="Peak learning rate.")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="Decay after warm-up.")
    warmup_ratio: Fraction = Field(0.1, description="Share of all steps that warm up linearly from 0.")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="Decoupled decay; never on biases and LayerNorm."
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW first-moment decay.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW second-moment decay.")
    adam_epsilon: float = Field(1e-8, gt=0, le=1, description="AdamW epsilon.")
    clip_norm: float | None = Field(
        1.0, gt=0, description="Global gradient norm is clipped to this; null: never."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share spread over all classes."
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="`balanced` (inverse frequency), or label -> weight; null: all 1."
    )
    freeze: FreezeSettings = Field(FreezeSettings(), description="Layers that are not trained.")
    evaluations_per_epoch: int = Field(1, ge=1, description="Evaluations on the eval split per epoch.")
    best_metric: Literal["accuracy", "loss"] = Field(
        "accuracy", description="Decides which weights are the best."
    )
    early_stopping: EarlyStoppingSettings | None = Field(None, description="null: train to the end.")
    bucket_width: int = Field(
        1,
        ge=1,
        description="Batches (rows of alike length) are padded to a multiple of this many tokens; 8 suits GPUs.",
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

    @model_validator(mode="after")
    def _check(self) -> TrainSettings:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give either epochs or steps, got epochs {self.epochs} and steps {self.steps}")
        if isinstance(self.class_weights, dict):
            bad = {k: v for k, v in self.class_weights.items() if v < 0}
            if bad:
                raise ValueError(f"class_weights must not be negative, got {bad}")
        return self


# --- evaluate -----------------------------------------------------------------------------------

MetricName = Literal[
    "accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "micro_f1",
    "cross_entropy",
    "auc",
    "example_count",
]
LOWER_IS_BETTER: frozenset[str] = frozenset({"cross_entropy"})


class ThresholdSettings(Section):
    """What a metric must hold for the model to be blessed. Bounds are inclusive."""

    min: float | None = Field(None, description="Smallest value that passes.")
    max: float | None = Field(None, description="Largest value that passes.")
    max_drop: float | None = Field(
        None, ge=0, description="How much worse than the last blessed model it may be (absolute)."
    )

    @model_validator(mode="after")
    def _check(self) -> ThresholdSettings:
        if self.min is None and self.max is None and self.max_drop is None:
            raise ValueError("give at least one of min, max and max_drop")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must not be above max, got min {self.min} and max {self.max}")
        return self


class SliceSettings(Section):
    """One slicing of the evaluation: every value of `columns`, with thresholds of its own if given."""

    columns: list[str] = Field(min_length=1, description="Raw columns whose values make the slices.")
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        default_factory=dict, description="Metric -> bounds that every slice must hold."
    )


class EvaluateSettings(Section):
    """TFMA on the signature that will be served, and the bounds that make the blessing."""

    split: str = Field(
        "test",
        description="Split that the model is judged on. Not `train`; `eval` chooses the best weights, so `test` is fairer.",
    )
    metrics: list[MetricName] = Field(
        ["accuracy", "macro_f1", "cross_entropy"],
        min_length=1,
        description="Metrics reported beside those that have thresholds, each also per class where it can be.",
    )
    thresholds: dict[MetricName, ThresholdSettings] = Field(
        min_length=1, description="Metric -> bounds. Without any the gate would not be one: refused."
    )
    slices: list[SliceSettings] = Field(default_factory=list, description="Slices reported and gated.")

    def compares(self) -> bool:
        """Whether a threshold holds the candidate against the last blessed model."""
        everywhere = [self.thresholds, *(slicing.thresholds for slicing in self.slices)]
        return any(bounds.max_drop is not None for where in everywhere for bounds in where.values())

    @model_validator(mode="after")
    def _bounded(self) -> EvaluateSettings:
        if all(bounds.min is None and bounds.max is None for bounds in self.thresholds.values()):
            raise ValueError(
                "thresholds must give min or max for one metric at least: with max_drop alone there is nothing "
                f"that a first model could be held to, got {sorted(self.thresholds)}"
            )
        for where in [self.thresholds, *(s.thresholds for s in self.slices)]:
            for metric, bounds in where.items():
                if metric in ("cross_entropy", "example_count"):
                    continue
                for side in ("min", "max"):
                    value = getattr(bounds, side)
                    if value is not None and not 0.0 <= value <= 1.0:
                        raise ValueError(f"thresholds.{metric}.{side} must be in [0, 1], got {value}")
        return self


# --- push ---------------------------------------------------------------------------------------


class PushSettings(Section):
    """Where blessed models go, in TF Serving's layout: <serving_dir>/<name>/<version>/."""

    serving_dir: Path = Field(description="Folder that TF Serving (or `serve`) watches.")
    keep: int = Field(5, ge=2, description="Versions kept; older ones are removed after a push.")
    replace_uncompared: bool = Field(
        False,
        description="Replace a served version that no run in this --root made, though max_drop was not held "
        "against it.",
    )


# --- canary -------------------------------------------------------------------------------------


class CanarySettings(Section):
    """The trial before a push: the model server on the candidate, asked with real rows."""

    split: str = Field("eval", description="Split whose rows are asked.")
    rows: int = Field(64, ge=1, description="Rows asked, one request each.")
    max_difference: float = Field(
        1e-4, ge=0, description="Largest difference of a probability from the evaluated model's."
    )
    max_p99_ms: float = Field(1000.0, gt=0, description="p99 latency of a request, one client, milliseconds.")
    max_memory_mb: float = Field(8192.0, gt=0, description="Peak memory of the server process, MB.")
    start_seconds: float = Field(180.0, gt=0, description="Time to start and load the model.")
    trial_seconds: float = Field(120.0, gt=0, description="Time for all rows together.")


# --- serve --------------------------------------------------------------------------------------


class ServeSettings(Section):
    """The model server and what one request may ask of it. The command line overrides host and ports."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8501, ge=0, le=65535, description="Port of REST and of the metrics; 0: any free one.")
    grpc_port: int = Field(8500, ge=0, le=65535, description="Port of gRPC; 0: any free one.")
    max_batch_rows: int = Field(32, ge=1, le=1024, description="Rows that go through the model at once.")
    batch_threads: int = Field(2, ge=1, le=64, description="Batches that are computed at the same time.")
    max_waiting: int = Field(
        128, ge=1, le=4096, description="Requests in work or waiting; one more is sent away with 503."
    )
    max_request_rows: int = Field(1024, ge=1, description="Rows of one request.")
    max_text_bytes: int = Field(65536, ge=1, description="Bytes of one text.")
    max_request_bytes: int = Field(4 << 20, ge=1024, description="Bytes of one request's body.")
    read_seconds: float = Field(20.0, gt=0, description="Time for a request's body to arrive.")
    poll_seconds: float = Field(0.5, gt=0, le=2, description="How often new versions are looked for.")
    drain_seconds: float = Field(30.0, ge=0, description="Time for accepted requests when the server stops.")
