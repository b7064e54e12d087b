"""Checks within milliseconds that config, schema, label list, data and checkpoint of a run agree.

`runner_local.py config` and the start of `run` check everything; `compile` and `submit` check what is on the machine
that compiles. TensorFlow is not imported; only `encoder_of` downloads anything.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_gate.rules import shorten
from components.example_gen.spans import fixed_folder, span_glob
from components.example_gen.tfrecord import broken, read_records
from components.settings import DataSettings
from components.trainer.settings import label_weights
from models.checkpoints.checks import check_checkpoint
from models.checkpoints.config import check_labels_tokens, read_model_type
from models.checkpoints.source import cached_folder, checkpoint_folder
from models.encoders.families import FAMILIES
from models.errors import GateRefused, PipelineError, UsageError
from models.look_alikes import listed
from models.tasks.label_domain import LabelDomain
from models.tasks.label_list import read_labels
from models.tokenizers.family import family_of
from models.tokenizers.word_rules import split_words
from pipeline.config import Config, task_of
from pipeline.importing.dataset import LABEL, TEXT
from pipeline.importing.recipes import RECIPE_FILE, load_recipe, recipe_of
from pipeline.importing.tfrecord import decode_example
from pipeline.kubeflow_settings import OPTIONAL_STEPS
from pipeline.own_parts import check_own_parts
from pipeline.paths import CHECKPOINTS_DIR, DATASETS_DIR, RECIPES_DIR

_SHOWN = 12  # maximum number of names in a message
# Type of a column in the schema -> kind of list in a tf.Example.
_KINDS = {schema_pb2.BYTES: "bytes", schema_pb2.INT: "int64", schema_pb2.FLOAT: "float"}


class Findings(NamedTuple):
    """What there is to report about a valid config."""

    unchecked: list[str]  # what could not be checked because the run creates or downloads it, a phrase each
    notes: list[str]  # about the checkpoint, one line each


def check_inputs(config: Config) -> Findings:
    """Checks everything that a local run reads.

    Raises:
        PipelineError: for the reasons given at the functions below.
    """
    check_places(config)
    check_settings(config)
    _check_optional_steps(config)
    unchecked, notes = [], []
    if Path(fixed_folder(str(config.data.path))[0]).is_dir():
        check_examples(config)
    else:
        unchecked.append(f"the rows that the recipe {config.data.recipe!r} creates in {config.data.path}")
    checkpoint = cached_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    if checkpoint is not None:
        notes = check_encoder(config, checkpoint)
    else:
        name = config.model.checkpoint.recipe or config.model.checkpoint.hub
        unchecked.append(f"the checkpoint {name!r}, which has not been downloaded yet")
    return Findings(unchecked, notes)


# --- the config against schema and label list ----------------------------------------------------------


def check_settings(config: Config) -> None:
    """Checks the columns and labels of the config against the schema and the label list.

    Raises:
        UsageError: a file is missing or cannot be read, it lacks a column or label of the config, or an own part breaks
            its contract.
    """
    schema = read_schema(config.data.data_schema)
    labels = task_of(config).read_labels(config.data.label_list)
    _check_comparators(schema, config.data.data_schema)
    for reference in _references(config):
        _check_column(reference, schema, config.data.data_schema)
    _check_labels(config, schema, labels)
    _check_classes(config, labels)
    if isinstance(config.train.class_weights, dict):
        label_weights(config.train.class_weights, labels)
    check_own_parts(config, labels)


def _check_classes(config: Config, labels: Sequence[str]) -> None:
    """Refuses bounds of labels that the label list does not have, or that have no figures of their own."""
    facts = task_of(config).facts()
    measured = facts.measured_labels(labels) if facts.OF_WORDS else labels
    for number, group in enumerate(config.evaluate.classes):
        unknown = [label for label in group.labels if label not in labels]
        if unknown:
            raise UsageError(
                f"evaluate.classes.{number}.labels: {config.data.label_list} has no label {unknown[0]!r}; it has "
                f"{listed(labels)}"
            )
        unmeasured = [label for label in group.labels if label not in measured]
        if unmeasured:
            raise UsageError(
                f"evaluate.classes.{number}.labels: {unmeasured[0]!r} has no figures: those of a type of spans are under its "
                f"first tag; give {listed(measured)}"
            )


def read_schema(path: Path) -> schema_pb2.Schema:
    """Reads a curated schema.

    Raises:
        UsageError: the file is missing or is not a TFMD schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text_format.Parse(text, schema_pb2.Schema())
    except FileNotFoundError:
        raise UsageError(f"data.schema: no file at {path}") from None
    except text_format.ParseError as error:
        raise UsageError(f"data.schema: {path}: not a TFMD schema: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"data.schema: {path}: cannot be read: {error}") from None


def _check_comparators(schema: schema_pb2.Schema, path: Path) -> None:
    """Refuses drift and skew comparators: a run's data is never compared with other data, so they would have no effect."""
    messages = [(f"feature {feature.name!r}", feature) for feature in schema.feature]
    messages.append(("dataset_constraints", schema.dataset_constraints))
    for where, message in messages:
        for field, _ in message.ListFields():
            if field.name.endswith("_comparator"):
                raise UsageError(
                    f"data.schema: {path}: {where} has a {field.name}, which is not checked: drift and skew against "
                    "other data are not supported (docs/limits.md); remove it"
                )


class _Reference(NamedTuple):
    """A column that the config refers to."""

    key: str
    column: str
    kinds: tuple[str, ...] = ()  # kinds of values that the key allows; empty if it allows any
    may_be_empty: bool = False  # whether a row may have an empty list


def _references(config: Config) -> Iterator[_Reference]:
    data = config.data
    yield _Reference("data.text", data.text, ("bytes",))
    if data.text_pair is not None:
        yield _Reference("data.text_pair", data.text_pair, ("bytes",))
    facts = task_of(config).facts()
    may_be_empty = facts.label_fault([], LabelDomain())[0] == ""
    yield _Reference("data.label_column", data.label_column, tuple(facts.LABEL_KINDS), may_be_empty)
    for number, slicing in enumerate(config.evaluate.slices):
        for column in slicing.columns:
            yield _Reference(f"evaluate.slices.{number}.columns", column)


def _check_column(reference: _Reference, schema: schema_pb2.Schema, path: Path) -> None:
    kinds = {feature.name: _KINDS.get(feature.type, "") for feature in schema.feature}
    if reference.column not in kinds:
        raise UsageError(f"{reference.key}: {path} has no column {_named(reference.column, kinds)}")
    kind = kinds[reference.column]
    if kind and reference.kinds and kind not in reference.kinds:
        raise UsageError(
            f"{reference.key}: column {reference.column!r} is of type {_type(kind)} in {path}, "
            f"but must be {' or '.join(map(_type, reference.kinds))}"
        )


def _type(kind: str) -> str:
    return next(schema_pb2.FeatureType.Name(number) for number, name in _KINDS.items() if name == kind)


def _check_labels(config: Config, schema: schema_pb2.Schema, labels: Sequence[str]) -> None:
    data = config.data
    feature = next(feature for feature in schema.feature if feature.name == data.label_column)
    if feature.type == schema_pb2.INT:
        try:
            task_of(config).facts().check_integer_labels(labels, data.label_list, data.label_column)
        except GateRefused as refusal:  # no data has been read: it is the config's files that disagree
            raise UsageError(str(refusal)) from None
    allowed = _domain(feature, schema)
    refused = [label for label in labels if label not in allowed]
    if allowed and refused and data.gate.unknown_label == "error":
        raise UsageError(
            f"data.label_list: {data.label_list} has the label {refused[0]!r}, which the domain of {data.label_column!r} in "
            f"{data.data_schema} does not allow: add it there, or remove it here"
        )


def _domain(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> frozenset[str]:
    """The strings that a column may contain; empty if the schema allows others too."""
    if feature.distribution_constraints.min_domain_mass < 1:
        return frozenset()
    named = (domain for domain in schema.string_domain if domain.name == feature.domain)
    return frozenset(next(named, feature.string_domain).value)


def _check_optional_steps(config: Config) -> None:
    """Refuses settings for optional steps that the config does not have.

    Not called by a local run, which may switch an export off; `compile` compares with the compiled steps.
    """
    chosen = {f"export.{name}" for name in config.export.chosen()}
    chosen |= {"push.destinations"} if config.push.destinations else set()
    for step in config.kubeflow.steps if config.kubeflow is not None else ():
        if step in OPTIONAL_STEPS and OPTIONAL_STEPS[step] not in chosen:
            raise UsageError(f"kubeflow.steps.{step}: without {OPTIONAL_STEPS[step]} there is no such step")


def _named(name: str, known: Iterable[str]) -> str:
    """`_named("labl", ["text", "label"]) -> "'labl'; did you mean 'label'? it has label, text"`."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    return f"{name!r};{f' did you mean {close[0]!r}?' if close else ''} it has {_some(names)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


# --- places on this machine ----------------------------------------------------------------------------


def check_places(config: Config) -> None:
    """Checks the folders and files on this machine that the config names, but not the rows of the data.

    Raises:
        UsageError: one is missing, or a run could not write to it.
    """
    _check_recipe(config)
    _check_data_path(config)
    _check_serving_dir(config.push.serving_dir)
    for number, destination in enumerate(config.push.destinations):
        token = destination.token_file
        if token is not None and not (token.is_file() and os.access(token, os.R_OK)):
            raise UsageError(f"push.destinations.{number}.token_file: {token} is missing or cannot be read")


def _check_data_path(config: Config) -> None:
    data = config.data
    folder = Path(fixed_folder(str(data.path))[0])
    if folder.is_dir():
        made_by = None if data.recipe is None else recipe_of(folder)
        if made_by not in (None, data.recipe):
            raise UsageError(
                f"data.path: {folder} contains the dataset of the recipe {made_by!r}, but data.recipe is {data.recipe!r}"
            )
        return
    what = f"{folder} is a file, not a folder" if folder.exists() else f"no folder at {folder}"
    if data.recipe is None:
        kubeflow = "" if config.kubeflow is None else " (`compile` checks a config that is only for Kubeflow)"
        raise UsageError(
            f"data.path: {what}; create it with `runner_local.py import`, or set data.recipe{kubeflow}"
        )
    home = DATASETS_DIR / data.recipe
    if folder.exists() or folder.resolve() != home.resolve():
        raise UsageError(
            f"data.path: {what}; data.recipe {data.recipe!r} creates {home} only: correct data.path, or "
            f"create the dataset elsewhere with `runner_local.py data {data.recipe} --out FOLDER`"
        )


def _check_recipe(config: Config) -> None:
    name, folder = config.data.recipe, config.data.path
    if name is None:
        return
    known = sorted(path.parent.name for path in RECIPES_DIR.glob(f"*/{RECIPE_FILE}"))
    if name not in known:
        raise UsageError(f"data.recipe: {RECIPES_DIR} has no recipe {_named(name, known)}")
    recipe = load_recipe(RECIPES_DIR / name / RECIPE_FILE)
    for reference in _references(config):
        columns = (TEXT, LABEL, recipe.split_by)
        if reference.column not in columns and not folder.exists():  # otherwise the rows are checked
            raise UsageError(
                f"{reference.key}: the recipe {name!r} creates no column {_named(reference.column, columns)}"
            )


def _check_serving_dir(folder: Path) -> None:
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UsageError(f"push.serving_dir: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"push.serving_dir: this user cannot write to {existing}")


# --- the first rows ------------------------------------------------------------------------------------


def check_examples(config: Config) -> None:
    """Checks the first row of each split against config, schema and label list.

    Raises:
        UsageError: no file matches any of data.splits, or one matches two.
        GateRefused: a split has no file, or the data gate would reject its first row.
        PipelineError: a record cannot be read.
    """
    try:
        _check_examples(config)
    except OSError as error:
        raise PipelineError(f"data.path: {error.filename}: cannot be read: {error.strerror}") from None


def _check_examples(config: Config) -> None:
    data, schema = config.data, read_schema(config.data.data_schema)
    shards_of = {split: find_shards(data, split) for split in data.splits}
    if not any(shards_of.values()):
        raise UsageError(
            f"data.path: no file matches {', '.join(data.splits.values())} in {data.path}; it has "
            f"{_listing(data)}: correct data.path or data.splits, or create shards with `runner_local.py import`"
        )
    _check_disjoint(shards_of)
    for split, shards in shards_of.items():
        if not shards and (data.gate.missing_split == "error" or split in _needed(config)):
            raise GateRefused(
                f"data.splits.{split}: no file matches {data.splits[split]!r} in {data.path}; it has "
                f"{_listing(data)}: correct the pattern, or create the shards"
            )
        row = _first_row(shards)
        if row is not None:
            _check_row(config, schema, split, *row)


def _check_disjoint(shards_of: Mapping[str, Sequence[Path]]) -> None:
    """Refuses a shard in two splits: a model evaluated on its training data looks better than it is."""
    split_of: dict[Path, str] = {}
    for split, shards in shards_of.items():
        for shard in shards:
            if split_of.setdefault(shard, split) != split:
                raise UsageError(
                    f"data.splits: {shard} is in the splits {split_of[shard]!r} and {split!r}; correct the patterns"
                )


def _needed(config: Config) -> tuple[str, ...]:
    return ("train", "eval", config.evaluate.split, config.canary.split)


def _listing(data: DataSettings) -> str:
    folder = Path(fixed_folder(str(data.path))[0])
    return _some(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))


def find_shards(data: DataSettings, split: str) -> list[Path]:
    """The files of a split; if there are several spans, the files of all spans, the newest first."""
    pattern = f"{data.path}/{data.splits[split]}"
    matches = glob.glob(span_glob(pattern, data.span), recursive=True, include_hidden=True)
    return sorted(
        (path for path in map(Path, matches) if path.is_file()), key=_natural, reverse="{" in pattern
    )


def _natural(path: Path) -> list[Any]:
    """A sort key that orders `span-9` before `span-10`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def _first_row(shards: Sequence[Path]) -> tuple[Path, Mapping[str, tuple[str, list[Any]]]] | None:
    for shard in shards:
        with shard.open("rb") as file:
            record = next(read_records(file, str(shard)), None)
        if record is None:
            continue
        try:
            return shard, decode_example(record)
        except DecodeError:
            raise broken(str(shard), 0, 0, "not a tf.Example") from None
    return None


def _check_row(
    config: Config,
    schema: schema_pb2.Schema,
    split: str,
    shard: Path,
    row: Mapping[str, tuple[str, list[Any]]],
) -> None:
    gate, where = config.data.gate, f"{shard}: record 0"
    features = {feature.name: feature for feature in schema.feature}
    for reference in _references(config):
        feature = features[reference.column]
        if not reference.kinds and (split != config.evaluate.split or feature.presence.min_fraction < 1):
            continue
        kind, values = row.get(reference.column, ("", []))
        is_empty = reference.may_be_empty and kind
        if not values and not is_empty and gate.missing_column == "error":
            raise GateRefused(
                f"{where}: {reference.key} is {reference.column!r}, which this row does not have; it has "
                f"{_some(sorted(row))}: correct the config and {config.data.data_schema}, or create the data again"
            )
        if values and feature.type in _KINDS and kind != _KINDS[feature.type] and gate.wrong_type == "error":
            raise GateRefused(
                f"{where}: column {reference.column!r} ({reference.key}) contains {kind}, but "
                f"{config.data.data_schema} says {_type(_KINDS[feature.type])}; correct the data or the schema"
            )
    _check_label(config, where, row)


def _check_label(config: Config, where: str, row: Mapping[str, tuple[str, list[Any]]]) -> None:
    data, labels, facts = config.data, read_labels(config.data.label_list), task_of(config).facts()
    values = row.get(data.label_column, ("", []))[1]
    fault, shown = facts.label_fault(values, LabelDomain(frozenset(labels))) if values else ("", None)
    if facts.OF_WORDS and not fault and data.gate.tag_count == "error":
        _check_tag_count(config, where, len(values), row.get(data.text, ("", []))[1])
    if fault == "unknown_label" and data.gate.unknown_label == "error":
        raise GateRefused(
            f"{where}: the label {shorten(shown)} in column {data.label_column!r} (data.label_column) is not in "
            f"{data.label_list}, which has {_some(labels)}; correct data.label_column, the label list or the data"
        )


def _check_tag_count(config: Config, where: str, tags: int, texts: Sequence[Any]) -> None:
    rule = config.transform.words
    text = texts[0].decode(errors="replace") if texts and isinstance(texts[0], bytes) else ""
    words = len(split_words(text, rule))
    if text and words != tags:
        raise GateRefused(
            f"{where}: column {config.data.label_column!r} has {tags} tags, but transform.words {rule} finds {words} words in the "
            f"text {shorten(text)}; set the rule that the data was made with, or create the data again"
        )


# --- the checkpoint ------------------------------------------------------------------------------------


def encoder_of(config: Config, say: Callable[[str], None]) -> Path:
    """Downloads the checkpoint if necessary, checks it against the config and returns its folder.

    Args:
        config: the model.
        say: called with each line that the user should read about an accepted checkpoint.

    Raises:
        PipelineError: it could not be downloaded, or for the reasons given at `check_encoder`.
    """
    folder = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    for note in check_encoder(config, folder):
        say(note)
    return folder


def check_encoder(config: Config, folder: Path) -> list[str]:
    """Checks a checkpoint's folder against the config.

    Returns:
        The lines that the user should read about an accepted checkpoint; usually none.

    Raises:
        PipelineError: it cannot be trained, its tokenizer cannot be reproduced or shipped with an export, or it has
            fewer positions, segments or layers than the config requires.
    """
    notes = check_checkpoint(
        folder,
        config.model.checkpoint.allow_pickle,
        config.transform.max_length,
        text_pair=config.data.text_pair is not None,
        frozen_layers=config.train.freeze.layers,
        layer_lr_decay=config.train.layer_lr_decay,
        stride=config.transform.stride or 0,
    )
    _check_forward(config, folder)
    _check_exports(config, folder)
    return notes


def _check_forward(config: Config, folder: Path) -> None:
    """The classes of transformers compute in float32 only, and some have no dropout of their own before the head."""
    kind = read_model_type(folder)
    if task_of(config).facts().OF_WORDS:
        check_labels_tokens(folder, kind, config.model.dropout)
    else:
        _check_head_dropout(config, kind)
    _check_own_head(config, kind)
    half = config.train.half_precision
    if half is not None and not FAMILIES[kind].by(config.model.forward).has_own_forward:
        advice = "remove the key"
        if FAMILIES[kind].has_own_forward:
            advice += ", or set model.forward to auto"
        raise UsageError(
            f"train.{half} is true, but model_type {kind!r} is trained through the class of transformers, "
            f"which computes in float32; {advice}"
        )


def _check_head_dropout(config: Config, kind: str) -> None:
    """A key that config.json does not have reaches the forward passes of this project only."""
    encoder, key = FAMILIES[kind].by(config.model.forward), FAMILIES[kind].facts().HEAD_DROPOUT
    is_read = key in encoder.facts().Config.model_fields or (bool(key) and encoder.has_own_forward)
    if config.model.dropout is not None and not is_read:
        raise UsageError(
            f"model.dropout is {config.model.dropout}, but the class of transformers through which model_type {kind!r} is "
            "trained has no dropout of its own before the head; remove the key"
            + (", or set model.forward to auto" if FAMILIES[kind].has_own_forward else "")
        )


def _check_own_head(config: Config, kind: str) -> None:
    """A head of the user takes the hidden states of a forward pass of this project."""
    if config.model.head is None or FAMILIES[kind].by(config.model.forward).has_own_forward:
        return
    can = ", ".join(name for name, family in FAMILIES.items() if family.has_own_forward)
    raise UsageError(
        f"model.head is {config.model.head}, but model_type {kind!r} is trained through the class of transformers with its own "
        f"head; "
        + (
            "set model.forward to auto"
            if FAMILIES[kind].has_own_forward
            else f"remove the key, or give a checkpoint of {can}"
        )
    )


def _check_exports(config: Config, folder: Path) -> None:
    """Refuses formats that the checkpoint's tokenizer does not support: an export contains its tokenizer."""
    chosen = config.export.chosen()
    if not chosen:
        return
    kind = read_model_type(folder)
    encoder = FAMILIES[kind].by(config.model.forward)
    for name in chosen:
        if not encoder.has_own_forward and name not in encoder.class_exports:
            formats = ", ".join(encoder.class_exports) or "none"
            raise UsageError(
                f"export.{name}: the class of transformers through which model_type {kind!r} is trained has not been converted "
                f"to this format; supported formats: {formats}. Remove the key"
                + (", or set model.forward to auto" if FAMILIES[kind].has_own_forward else "")
            )
    family = family_of(folder)
    for name in chosen:
        if name not in family.exports:
            formats = ", ".join(family.exports) or "none"
            raise UsageError(
                f"export.{name}: {folder} has a {family.title} tokenizer, which this format does not support; supported "
                f"formats: {formats}. Remove the key, or use another checkpoint"
            )
