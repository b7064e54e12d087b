"""Token ids of every row of the three real datasets, with the real vocabulary."""

from __future__ import annotations

import pytest
import tensorflow as tf
from transformers import BertTokenizerFast

from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder
from tests.support.tokenizers import token_ids

MAX_LENGTH = 64  # short enough that some rows are cut


def real_texts(dataset: str, split: str = "*") -> list[bytes]:
    files = sorted(str(file) for file in (PROJECT_DIR / "datasets" / dataset).glob(f"{split}-*.tfrecord.gz"))
    assert files
    examples = map(tf.train.Example.FromString, tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    return [example.features.feature["text"].bytes_list.value[0] for example in examples]


@pytest.mark.real
@pytest.mark.parametrize(
    ("dataset", "rows"), [("trec", 5381), ("sms_spam", 5171), ("rotten_tomatoes", 12752)]
)
def test_ids_of_every_real_row_are_those_of_hugging_face(dataset: str, rows: int) -> None:
    if not (PROJECT_DIR / "checkpoints").exists() or not (PROJECT_DIR / "datasets" / dataset).exists():
        pytest.skip("made by `make data`")
    checkpoint = checkpoint_folder(
        CheckpointSettings(recipe="all-MiniLM-L6-v2"),
        PROJECT_DIR / "data" / "checkpoints",
        PROJECT_DIR / "checkpoints",
    )
    texts = real_texts(dataset)
    ours = token_ids(checkpoint, texts, MAX_LENGTH)
    tokenizer = BertTokenizerFast.from_pretrained(checkpoint)
    theirs = tokenizer([text.decode() for text in texts], truncation=True, max_length=MAX_LENGTH)["input_ids"]
    assert len(texts) == rows
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 0
