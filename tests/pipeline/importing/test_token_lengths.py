"""The token lengths that `import` shows, and the maximum length that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from pipeline.importing.token_lengths import TokenLengths, measure


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint's tokenizer.json, which truncates, as published ones may: a word is a token."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "[CLS]": 2, "[SEP]": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(8)
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def lengths(*words: int) -> list[list[bytes]]:
    """Rows of these numbers of words; each has two special tokens more."""
    return [[b"a " * count] for count in words]


def test_percentiles_include_special_tokens_and_the_maximum_covers_99_percent(folder: Path) -> None:
    rows = lengths(*[8] * 50, *[18] * 45, *[28] * 4, 98)
    assert measure(rows, "tiny", folder, 512) == TokenLengths("tiny", 100, 10, 20, 30, 100, 32, 0.01)


def test_pairs_are_measured_together(folder: Path) -> None:
    found = measure([[b"a a a", b"a a"]], "tiny", folder, 512)
    assert (found.longest, found.cut) == (8, 0.0)  # three special tokens


def test_long_texts_get_what_is_affordable_and_windows_are_suggested(folder: Path) -> None:
    found = measure(lengths(10, 1000), "tiny", folder, 512)
    assert (found.max_length, found.cut) == (256, 0.5)
    assert found.config_lines(windows=True) == (
        "  max_length: 256  # tokens: cuts 50.0% of 2 texts; 99% have at most 1,002\n"
        "  # window: {stride: 32}  # reads whole texts, in overlapping windows: docs/long_texts.md\n"
    )
    assert len(found.config_lines(windows=False).splitlines()) == 1


def test_no_more_than_the_positions_of_the_encoder(folder: Path) -> None:
    assert measure(lengths(1000), "tiny", folder, 64).max_length == 64


def test_short_texts_are_told_in_one_line(folder: Path) -> None:
    assert measure(lengths(1, 2), "tiny", folder, 512).summary == (
        "token lengths (tiny, 2 texts): half have at most 3, 90% at most 4, 99% at most 4, the longest 4; "
        "max_length 16 cuts none"
    )


def test_without_rows_or_tokenizer_nothing_is_measured(folder: Path, tmp_path: Path) -> None:
    assert measure([], "tiny", folder, 512) is None
    assert measure(lengths(1), "tiny", tmp_path, 512) is None
