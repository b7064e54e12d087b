"""Model inputs of every row of the three real datasets, alone and as pairs, for each tokenizer family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from transformers import AutoTokenizer

from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from tests.support.byte_bpe import write_byte_bpe_tokenizer
from tests.support.full import FULL
from tests.support.sentencepiece import write_sentencepiece_tokenizer
from tests.support.tokenizers import model_inputs

ROWS = {"trec": 5381, "sms_spam": 5171, "rotten_tomatoes": 12752}
MAX_LENGTH = 64  # short enough that some rows are cut


def _recipe(name: str) -> Callable[[Path], Path]:
    recipes, cache = PROJECT_DIR / "data" / "checkpoints", PROJECT_DIR / "checkpoints"
    return lambda folder: checkpoint_folder(CheckpointSettings(recipe=name), recipes, cache)


def _byte_bpe(name: str, **options: bool) -> Callable[[Path], Path]:
    """A vocabulary that is trained on the rows themselves."""

    def write(folder: Path) -> Path:
        texts = tuple(text.decode() for dataset in ROWS for text in real_texts(dataset))
        return write_byte_bpe_tokenizer(folder, name, texts, 8000, **options)

    return write


def _sentencepiece(name: str, **options: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        texts = tuple(text.decode() for dataset in ROWS for text in real_texts(dataset))
        return write_sentencepiece_tokenizer(folder, name, texts, 8000, **options)

    return write


# What writes the tokenizer into a folder, or has it in another.
TOKENIZERS: dict[str, Callable[[Path], Path]] = {
    "wordpiece": _recipe("all-MiniLM-L6-v2"),
    "byte_bpe": _byte_bpe("RobertaTokenizer"),
    "sentencepiece": _sentencepiece("AlbertTokenizer"),
}
if FULL:
    TOKENIZERS["byte_bpe, spaces before texts"] = _byte_bpe("DebertaTokenizer", add_prefix_space=True)
    TOKENIZERS["sentencepiece, XLM-RoBERTa"] = _sentencepiece("XLMRobertaTokenizer")
    TOKENIZERS["sentencepiece, 250,002 pieces"] = _recipe("multilingual-e5-small")
    TOKENIZERS["sentencepiece, DeBERTa-v2"] = _sentencepiece("DebertaV2Tokenizer", split_by_punct=True)


def real_texts(dataset: str, split: str = "*") -> list[bytes]:
    files = sorted(str(file) for file in (PROJECT_DIR / "datasets" / dataset).glob(f"{split}-*.tfrecord.gz"))
    assert files
    examples = map(tf.train.Example.FromString, tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    return [example.features.feature["text"].bytes_list.value[0] for example in examples]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not all(
        (PROJECT_DIR / folder).exists() for folder in ("checkpoints", *(f"datasets/{d}" for d in ROWS))
    ):
        pytest.skip("made by `make data`")
    return TOKENIZERS[request.param](tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.real
@pytest.mark.parametrize("dataset", ROWS)
@pytest.mark.parametrize("pairs", [False, True], ids=["single", "pairs"])
def test_every_real_row_is_tokenized_as_hugging_face_does(tokenizer: Path, dataset: str, pairs: bool) -> None:
    texts = real_texts(dataset)
    assert len(texts) == ROWS[dataset]
    columns = [texts, texts[::-1]] if pairs else [texts]
    ours = model_inputs(tokenizer, columns, MAX_LENGTH)
    theirs = AutoTokenizer.from_pretrained(tokenizer)(
        *([text.decode() for text in column] for column in columns),
        truncation=True,
        max_length=MAX_LENGTH,
        return_attention_mask=False,
    )
    for name, rows in theirs.items():
        zeros = [[0] * len(row) for row in rows]
        assert sum(a != b for a, b in zip(ours.get(name, zeros), rows, strict=True)) == 0
