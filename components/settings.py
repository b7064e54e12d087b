"""The config sections that several nodes read: data, model and transform."""

from __future__ import annotations

import keyword
import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from components.example_gen.spans import has_spans, is_dated
from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.encoders.families import AUTO
from models.own_parts import OwnPath
from models.section import Fraction, LocalPath, Section, Severity
from models.tokenizers.word_rules import DEFAULT_RULE, WordRule

# --- data -------------------------------------------------------------------------------------------


class DataGateSettings(Section):
    """Rules that stop the run before Transform. `error` stops the run, `warn` only reports, `ignore` says nothing."""

    missing_split: Severity = Field(
        "error", description="A split named in data.splits has no file or no row."
    )
    missing_column: Severity = Field("error", description="A column that the schema requires is missing.")
    wrong_type: Severity = Field("error", description="A column's type differs from the schema's.")
    unknown_label: Severity = Field("error", description="A label is not in data.label_list.")
    tag_count: Severity = Field(
        "error", description="A row has more or fewer tags than words (task token_labels)."
    )
    illegal_transition: Severity | Literal["ignore"] = Field(
        "warn",
        description="Tags follow one another as their scheme forbids, such as I-PER after O in BIO (task token_labels).",
    )
    repeated_label: Severity = Field("warn", description="A row has a label twice (task multi_label).")
    not_finite: Severity = Field("error", description="A target is NaN or infinite (task regression).")
    out_of_bounds: Severity = Field(
        "error", description="A target is outside the schema's domain (task regression)."
    )
    look_alike_labels: Severity = Field(
        "warn",
        description="Labels in data.label_list look the same: Spam and spam, 1 and 1.0, invisible characters.",
    )
    empty_text: Severity = Field("error", description="More texts are empty than max_empty_text_fraction.")
    max_empty_text_fraction: Fraction = Field(
        0.01, description="Maximum share of a split's rows whose text is empty or white space."
    )
    too_few_rows: Severity = Field("error", description="A split has fewer rows than min_rows.")
    min_rows: int = Field(10, ge=1, description="Minimum number of rows per split.")
    not_utf8: Severity = Field("warn", description="Texts have bytes that are not UTF-8.")
    schema_anomaly: Severity = Field(
        "error", description="Any other deviation from the schema (domain, presence, shape)."
    )


class DataSettings(Section):
    """Where the examples are and what their columns mean."""

    path: LocalPath = Field(
        description="Folder of TFRecord shards of tf.Examples (made by `make data` or `import`). It may contain {SPAN}, "
        "or {YYYY}, {MM} and {DD}, for data that arrives in numbered or daily folders."
    )
    span: Annotated[int, Field(ge=0)] | date | None = Field(
        None, description="Number or day of the span to use; null: the newest."
    )
    recipe: str | None = Field(
        None,
        description="Dataset recipe, a folder of data/. It sets the defaults of path, schema and label_list, and makes "
        "datasets/<recipe> if that is `path`.",
    )
    splits: dict[str, str] = Field(
        default_factory=lambda: {"train": "train-*", "eval": "eval-*", "test": "test-*"},
        description="Split name -> glob of its shards under `path`. `train` and `eval` are required.",
    )
    data_schema: LocalPath = Field(
        alias="schema", description="Curated TFMD schema (.pbtxt) of the raw examples."
    )
    label_list: LocalPath = Field(
        description="Label list, one label per line; the line number, starting at 0, is the label id."
    )
    text: str = Field("text", min_length=1, description="Column of the text.")
    text_pair: str | None = Field(None, description="Column of the second text of a pair task.")
    label_column: str = Field(
        "label",
        min_length=1,
        description="Column of the label; its type depends on the task (docs/tasks.md).",
    )
    gate: DataGateSettings = Field(DataGateSettings(), description="The data gate's rules.")

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _of_recipe(cls, values: Any) -> Any:
        """A recipe's dataset, schema and label list are at fixed places in the project."""
        recipe = values.get("recipe") if isinstance(values, dict) else None
        if not isinstance(recipe, str):
            return values
        defaults = {
            "path": str(PROJECT_DIR / "datasets" / recipe),
            "schema": str(PROJECT_DIR / "schemas" / f"{recipe}.pbtxt"),
            "label_list": str(PROJECT_DIR / "data" / recipe / "labels.txt"),
        }
        if "data_schema" in values:
            del defaults["schema"]
        set_by_user = {k: value for k, value in values.items() if value is not None or k not in defaults}
        return defaults | set_by_user

    @property
    def text_columns(self) -> list[str]:
        """The raw columns that are the model's inputs."""
        return [self.text] if self.text_pair is None else [self.text, self.text_pair]

    def of_rows(self) -> DataSettings:
        """The settings that describe the rows: the gate's rules must not re-train, and the examples know their span."""
        return self.model_copy(update={"gate": DataGateSettings(), "span": None})

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        self._check_span()
        missing = [name for name in ("train", "eval") if name not in self.splits]
        if missing:
            raise ValueError(f"splits must name {' and '.join(missing)}, got {sorted(self.splits)}")
        columns = [*self.text_columns, self.label_column]
        if len(set(columns)) != len(columns):
            raise ValueError(f"text, text_pair and label_column must be different columns, got {columns}")
        for key, column in (("text", self.text), ("text_pair", self.text_pair)):
            if column is not None and not _names_an_argument(column):
                raise ValueError(
                    f"{key} is an input name of the served model: ASCII letters, digits and _, starting with a "
                    f"letter, not a Python keyword; got {column!r}; rename the column with `import`"
                )
        return self

    def _check_span(self) -> None:
        if self.recipe is not None and "{" in str(self.path):
            raise ValueError(
                f"a recipe makes one folder, so path must not contain {{, got {str(self.path)!r}; for your own rows "
                "set recipe to null"
            )
        if self.span is None:
            return
        patterns = [f"{self.path}/{shards}" for shards in self.splits.values()]
        if not all(map(has_spans, patterns)):
            raise ValueError(
                f"span {self.span} requires {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}}, in path or splits"
            )
        if isinstance(self.span, date) and not all(map(is_dated, patterns)):
            raise ValueError(
                f"span {self.span} is a day, which requires {{YYYY}}, {{MM}} and {{DD}} in path or splits"
            )


def _names_an_argument(column: str) -> bool:
    """Whether a SavedModel signature accepts the name unchanged; "self" is already an argument."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", column) is not None
    return plain and not keyword.iskeyword(column) and column != "self"


# --- model ------------------------------------------------------------------------------------------


class ModelSettings(Section):
    """The classifier: a pretrained encoder with a fresh classification head."""

    checkpoint: CheckpointSettings = Field(description="Where the pretrained encoder comes from.")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None, description="Dropout before the head; null: the checkpoint's own."
    )
    head: OwnPath | None = Field(
        None,
        description="Your class instead of the encoder's head, own_parts.MODULE.NAME: docs/own_parts.md. null: one layer, or the "
        "checkpoint's pooler and one layer.",
    )
    forward: Literal["auto", "reference"] = Field(
        AUTO,
        description="Forward pass: `auto` is this project's own where the encoder has one, else the class of transformers; "
        "`reference` is that class in any case (slower).",
    )

    @model_validator(mode="after")
    def _one_head(self) -> ModelSettings:
        if self.head is not None and self.dropout is not None:
            raise ValueError(
                f"dropout {self.dropout} is of the encoder's own head; your head {self.head} sets its own: remove it"
            )
        return self


# --- transform --------------------------------------------------------------------------------------


class WindowSettings(Section):
    """Overlapping windows of long texts. Each window is trained on; a text is answered from all of its windows."""

    stride: int = Field(
        ge=0, description="Tokens that a window shares with the one before, special tokens not counted."
    )
    aggregate: Literal["mean", "max", "first"] = Field(
        "mean",
        description="A text's logits: the mean or the maximum over its windows, or those of the first window.",
    )


class TransformSettings(Section):
    """Tokenization. Its rules are read from the checkpoint's tokenizer files."""

    max_length: int = Field(
        128,
        ge=4,
        le=8192,
        description="Maximum tokens per text or pair, special tokens included; longer texts are truncated.",
    )
    text: OwnPath | None = Field(
        None,
        description="Your function that cleans texts before tokenization, own_parts.MODULE.NAME, in TensorFlow ops: "
        "docs/own_parts.md. It is part of the served model.",
    )
    window: WindowSettings | None = Field(
        None,
        description="Windows of `max_length` tokens, which cover the whole text; null: longer texts are truncated.",
    )
    words: WordRule = Field(
        DEFAULT_RULE,
        description="What ends a word (task token_labels): `whitespace`, or white space and every punctuation character, which "
        "is a word of its own.",
    )

    @property
    def aggregate(self) -> Literal["mean", "max", "first"] | None:
        """How the logits of a text's windows become its own; None if texts are truncated."""
        return None if self.window is None else self.window.aggregate

    @property
    def stride(self) -> int | None:
        """Of the windows; None if texts are truncated."""
        return None if self.window is None else self.window.stride
