"""Reads a config, one YAML file per trained model, into a typed and immutable tree.

`load_config` is the only entry point. It reports unknown keys, wrong types and contradictory values with the key and
the line of the file (or the `--set` option) that they come from.
"""

from __future__ import annotations

import difflib
import os.path
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from components.canary.settings import CanarySettings
from components.evaluator.settings import EvaluateSettings
from components.exports.settings import ExportSettings
from components.pusher.settings import PushSettings
from components.report.settings import ReportSettings
from components.serving.settings import ServeSettings
from components.settings import DataSettings, ModelSettings, TransformSettings
from components.tokenization_gate.settings import ParitySettings
from components.trainer.settings import TrainSettings
from models.errors import UsageError
from models.section import Section
from models.tasks.task import DEFAULT_TASK, TASKS, Task, metric
from models.tokenizers.word_rules import DEFAULT_RULE
from pipeline.beam.settings import BeamSettings
from pipeline.kubeflow_settings import KubeflowSettings
from pipeline.own_parts import check_fit
from pipeline.renamed_keys import advice
from pipeline.task_settings import TaskName, check_metrics, with_defaults

Location = tuple[str | int, ...]

# Keys with paths; relative paths are relative to the config file.
PATH_KEYS: tuple[tuple[str, ...], ...] = (
    ("data", "path"),
    ("data", "schema"),
    ("data", "label_list"),
    ("model", "checkpoint", "path"),
    ("push", "serving_dir"),
)


class Config(Section):
    """Everything that defines one trained model."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,62}$",
        description="Name of the pipeline and of the served model (lower case, digits, - and _).",
    )
    task: TaskName = Field(
        DEFAULT_TASK, description="What the model learns; it determines metrics and served outputs."
    )
    data: DataSettings = Field(description="The examples and the rules of the data gate.")
    model: ModelSettings = Field(description="The pretrained encoder.")
    transform: TransformSettings = Field(TransformSettings(), description="Tokenization.")
    parity: ParitySettings = Field(
        ParitySettings(), description="The comparison of the graph's tokenizer with transformers' own."
    )
    train: TrainSettings = Field(TrainSettings(), description="Fine-tuning.")
    evaluate: EvaluateSettings = Field(description="Metrics, thresholds and slices.")
    canary: CanarySettings = Field(
        CanarySettings(), description="The test on the model server before a push."
    )
    push: PushSettings = Field(description="Where a blessed model is pushed.")
    export: ExportSettings = Field(
        ExportSettings(), description="Formats to which a pushed model is exported as well."
    )
    report: ReportSettings = Field(
        ReportSettings(), description="The report on a run, whether the model is blessed or not."
    )
    beam: BeamSettings = Field(BeamSettings(), description="The Beam runner of the nodes that use Beam.")
    kubeflow: KubeflowSettings | None = Field(
        None, description="Self-hosted Kubeflow Pipelines; null: this model is trained locally only."
    )
    serve: ServeSettings = Field(ServeSettings(), description="The model server.")

    @model_validator(mode="before")
    @classmethod
    def _of_task(cls, given: Any) -> Any:
        return with_defaults(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _check(self) -> Config:
        check_metrics(task_of(self), self.train, self.evaluate, self.export)
        if self.evaluate.split not in self.data.splits:
            raise ValueError(
                f"evaluate.split must be one of data.splits {sorted(self.data.splits)}, "
                f"got {self.evaluate.split!r}"
            )
        if self.canary.split not in self.data.splits:
            raise ValueError(
                f"canary.split must be one of data.splits {sorted(self.data.splits)}, got {self.canary.split!r}"
            )
        if self.evaluate.split == "train":
            raise ValueError(
                "evaluate.split must not be 'train': a model is not evaluated on its training data"
            )
        self._check_windows()
        self._check_words()
        self._check_slices()
        check_fit(self)
        return self

    def _check_words(self) -> None:
        """Words are of one text, which is cut; the rule for words has no effect on other tasks."""
        if task_of(self).facts().OF_WORDS:
            if self.data.text_pair is not None:
                raise ValueError(
                    f"data.text_pair: task {self.task!r} labels the words of one text, got {self.data.text_pair!r}; remove it"
                )
            if self.transform.window is not None:
                raise ValueError(
                    f"transform.window: task {self.task!r} has no windows; remove it and raise transform.max_length, or cut long "
                    "texts before `import`"
                )
        if self.transform.words != DEFAULT_RULE and not task_of(self).facts().OF_WORDS:
            raise ValueError(
                f"transform.words: task {self.task!r} does not label words, got {self.transform.words!r}; remove it"
            )

    def _check_slices(self) -> None:
        """Slices by the label have one class each, and those by a number one number."""
        facts = task_of(self).facts()
        for number, slicing in enumerate(self.evaluate.slices):
            if self.data.label_column not in slicing.columns:
                continue
            if facts.OF_WORDS:
                raise ValueError(
                    f"evaluate.slices.{number}.columns: {self.data.label_column!r} has a tag for each word, so a row has no slice; "
                    "remove it"
                )
            if "float" in facts.LABEL_KINDS:
                raise ValueError(
                    f"evaluate.slices.{number}.columns: {self.data.label_column!r} has a number for each row, so each row "
                    "would be a slice; remove it"
                )
            averages = sorted(name for name in slicing.thresholds if metric(name).over_classes)
            if averages:
                raise ValueError(
                    f"evaluate.slices.{number}.thresholds: {averages[0]} is an average over classes, which has no "
                    f"meaning in slices by {self.data.label_column!r}, because each has one class; use a threshold "
                    f"of {facts.RANKS_SLICES} there"
                )

    def _check_windows(self) -> None:
        """Windows are of one text, and neither the exported programs nor fixed shapes know them."""
        if self.transform.window is None:
            return
        if self.data.text_pair is not None:
            raise ValueError(
                f"transform.window: a row of a pair task is not cut into windows; remove it, or data.text_pair "
                f"{self.data.text_pair!r}"
            )
        for key in self.export.chosen():
            raise ValueError(
                f"export.{key}: an exported model answers one window, not a text; remove transform.window"
            )
        if self.train.strategy != "none" or self.train.xla:
            key = "train.xla" if self.train.xla else f"train.strategy {self.train.strategy}"
            raise ValueError(
                f"{key} requires batches of a fixed shape, which texts of several windows do not have; remove it or "
                "transform.window"
            )

    def needs_baseline(self) -> bool:
        """Whether only a model that was compared with the served one may replace it."""
        return self.evaluate.compares() and not self.push.replace_uncompared


def task_of(config: Config) -> Task:
    """What the model learns. No other place reads the key."""
    return TASKS[config.task]


class _Source(NamedTuple):
    """The content of a config file, with the line of each key."""

    path: Path
    content: dict[str, Any]
    lines: dict[Location, int]

    def place(self, location: Location) -> str:
        """`configs/trec.yaml:12` for a key of the file; for a missing key, the line of its section."""
        while location:
            if location in self.lines:
                return f"{self.path}:{self.lines[location]}"
            location = location[:-1]
        return str(self.path)

    def overridden(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Returns a copy of the content with the `--set` options applied and absolute paths."""
        content = _unshared(self.content)
        for option in overrides:
            _override(content, option)
        return _absolute_paths(content, self.path)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads and checks a config.

    Args:
        path: the YAML file.
        overrides: `key=value` strings, dotted keys, values in YAML: `train.epochs=1`.

    Raises:
        UsageError: the file is missing or not YAML, or a key is unknown, mistyped or contradictory.
    """
    source = _read(Path(path))
    try:
        return Config.model_validate(source.overridden(overrides))
    except ValidationError as error:
        by_key: dict[Location, list[ErrorDetails]] = {}
        for detail in error.errors():
            by_key.setdefault(_location(detail), []).append(detail)
        lines = [_message(_place(source, overrides, same[0]), same) for same in by_key.values()]
        raise UsageError("\n".join(lines)) from None


def _place(source: _Source, overrides: Sequence[str], error: ErrorDetails) -> str:
    """Where an error comes from: the line of the file, or the first `--set` option that causes it."""
    for count in range(len(overrides)):
        try:
            Config.model_validate(source.overridden(overrides[:count]))
        except ValidationError as earlier:
            if any(_same(error, e) for e in earlier.errors()):
                return f"--set {overrides[count - 1]}" if count else source.place(_location(error))
    return f"--set {overrides[-1]}" if overrides else source.place(_location(error))


def _same(one: ErrorDetails, other: ErrorDetails) -> bool:
    return (one["type"], one["loc"], one["msg"]) == (other["type"], other["loc"], other["msg"])


def _read(path: Path) -> _Source:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{path}:1: a config must be a mapping of keys to values")
        return _Source(path, lines=_lines(path, node), content=yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:  # a date that does not exist, such as 2026-02-30
        raise UsageError(f"{path}: not valid YAML: {error}; put the value in quotes if it is text") from None


def _lines(path: Path, node: yaml.Node) -> dict[Location, int]:
    """Returns the line of each key in the file."""
    lines: dict[Location, int] = {}
    try:
        for location, line, twice in _walk(node):
            if twice:
                first = lines[location]
                raise UsageError(f"line {line}: {_dotted(location)} is set twice; first on line {first}")
            lines[location] = line
    except UsageError as error:
        raise UsageError(f"{path}:{str(error).removeprefix('line ')}") from None
    return lines


def _walk(
    node: yaml.Node, location: Location = (), above: tuple[yaml.Node, ...] = ()
) -> Iterator[tuple[Location, int, bool]]:
    """Yields (key, its line, whether the key is a duplicate) for the whole tree."""
    if node in above:  # an alias of a node inside itself
        raise UsageError(f"line {node.start_mark.line + 1}: {_dotted(location)} contains itself")
    above, seen = (*above, node), set()
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"line {key.start_mark.line + 1}: a key must be plain text")
            here = (*location, key.value)
            yield here, key.start_mark.line + 1, here in seen
            seen.add(here)
            yield from _walk(value, here, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*location, index)
            yield here, value.start_mark.line + 1, False
            yield from _walk(value, here, above)


def _override(content: dict[str, Any], option: str) -> None:
    """Sets the key that a `--set` option names; of mutually exclusive keys, the last option wins."""
    dotted, equals, value = option.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {option}: write it as key=value, such as --set train.epochs=1")
    try:
        parsed = yaml.safe_load(value) if value else None
    except (yaml.YAMLError, ValueError, RecursionError):
        parsed = value
    for key in keys[:-1]:
        child = content.get(key)
        if child is None:
            child = content[key] = {}
        if not isinstance(child, dict):
            raise UsageError(f"--set {option}: {key} is {child!r}, so it has no key {keys[-1]!r}")
        content = child
    content[keys[-1]] = parsed
    section = _section_at(tuple(keys[:-1]))
    if section is not None and parsed is not None:
        content.update(dict.fromkeys(_ruled_out(section, keys[-1])))


def _ruled_out(section: type[BaseModel], key: str) -> Iterator[str]:
    """The keys that cannot be combined with `key`: `path -> recipe, hub, revision` of a checkpoint."""
    alternatives = section.alternatives if issubclass(section, Section) else {}
    if key in alternatives:
        for other, companions in alternatives.items():
            yield from (other, *companions) if other != key else ()


def _unshared(value: Any) -> Any:
    """Returns a copy in which YAML aliases are separate values, so that an override changes only the key it names."""
    if isinstance(value, dict):
        return {key: _unshared(child) for key, child in value.items()}
    return [_unshared(child) for child in value] if isinstance(value, list) else value


def _absolute_paths(content: dict[str, Any], config_path: Path) -> dict[str, Any]:
    base = config_path.resolve().parent
    for *parents, last in PATH_KEYS:
        section: Any = content
        for key in parents:
            section = section.get(key) if isinstance(section, dict) else None
        value = section.get(last) if isinstance(section, dict) else None
        # URLs are left for the section's own check: as paths they would become folders beside the config.
        if isinstance(value, str) and "://" not in value:
            # normpath, not resolve: links keep the names that the user gave.
            section[last] = os.path.normpath(base / Path(value).expanduser())
    return content


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def _location(error: ErrorDetails) -> Location:
    """The key in the file, without the name of a union's branch that pydantic appends: `data.span.date -> data.span`."""
    location = tuple(part for part in error["loc"] if not (isinstance(part, str) and "[" in part))
    section = _section_at(location[:-2])
    fields = (
        {} if section is None else {_key(name, field): field for name, field in section.model_fields.items()}
    )
    field = fields.get(str(location[-2])) if len(location) > 1 else None
    if field is None or _section_of(field.annotation) or _holds_many(field.annotation):
        return location
    return location[:-1]


def _holds_many(annotation: Any) -> bool:
    """Whether values of a type are containers, whose items have locations of their own."""
    if typing.get_origin(annotation) in (dict, list, tuple):
        return True
    return any(_holds_many(argument) for argument in typing.get_args(annotation))


def _message(where: str, errors: Sequence[ErrorDetails]) -> str:
    """One line for the errors of one key; a union of types has an error for each branch."""
    error, known = errors[0], _location(errors[0])
    key = _dotted(known) or "config"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}{_suggestion(known)}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing; {_description(known)}"
    reason = ", or ".join(_reason(e) for e in errors)
    if error["type"] == "value_error":
        return f"{where}: {key + ': ' if known else ''}{reason}"
    return f"{where}: {key}: {reason}, got {_short(error['input'])}"


def _reason(error: ErrorDetails) -> str:
    reason = error["msg"].removeprefix("Value error, ")
    return reason[0].lower() + reason[1:]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _suggestion(location: Location) -> str:
    hint = advice(_dotted(location))
    if hint:
        return f"; {hint}"
    section = _section_at(location[:-1])
    if section is None:
        return ""
    names = [_key(name, field) for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(names)}"


def _description(location: Location) -> str:
    section = _section_at(location[:-1])
    for name, field in section.model_fields.items() if section else ():
        if _key(name, field) == location[-1]:
            return f"its meaning: {field.description}"
    return "add it"


def _section_at(location: Location) -> type[BaseModel] | None:
    section: type[BaseModel] | None = Config
    for part in location:
        if section is None or isinstance(part, int):
            continue
        fields = {_key(name, field): field for name, field in section.model_fields.items()}
        section = _section_of(fields[part].annotation) if part in fields else None
    return section


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section class inside an annotation such as `Section | None` or `list[Section]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    for argument in typing.get_args(annotation):
        section = _section_of(argument)
        if section is not None:
            return section
    return None


def _key(name: str, field: Any) -> str:
    return cast(str, field.alias or name)


class FieldHelp(NamedTuple):
    """One line of `config --explain`."""

    key: str
    type: str
    default: str
    description: str


def explain(section: type[BaseModel] = Config, prefix: str = "") -> Iterator[FieldHelp]:
    """Yields every key of the tree with its type, default and meaning, in the order of declaration."""
    for name, field in section.model_fields.items():
        key = prefix + _key(name, field)
        child = _section_of(field.annotation)
        description = field.description or ""
        if child is not None and field.is_required() and field.annotation is child:
            yield FieldHelp(key, "section", "required", description)
        else:
            yield FieldHelp(key, _type_name(field), _default(field), description)
        if child is not None:
            yield from explain(child, f"{key}{_mark(field.annotation)}.")


def _mark(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    return "[]" if origin is list else ".<name>" if origin is dict else ""


def _type_name(field: Any) -> str:
    return _annotation_name(field.annotation)


def _annotation_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " | ".join(str(value) for value in arguments)
    if origin is typing.Annotated:
        return _annotation_name(arguments[0])
    if origin in (types.UnionType, typing.Union):
        return " | ".join(_annotation_name(argument) for argument in arguments)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_annotation_name(argument) for argument in arguments)}]"
    if annotation is type(None):
        return "null"
    if annotation is Ellipsis:  # of tuple[int, ...]
        return "..."
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {"Path": "path", "str": "text"}.get(annotation.__name__, annotation.__name__)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "see below"
    return "null" if default is None else str(default)
