"""The warning before a training whose data type is slow on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.trainer import precision, progress
from components.trainer.settings import TrainSettings


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    progress.set_sink(lambda report: None, lines.append)
    yield lines
    progress.set_sink(None)


@pytest.mark.parametrize(
    ("key", "has_bfloat16", "warned"), [("bf16", False, 1), ("bf16", True, 0), ("fp16", False, 0)]
)
def test_bfloat16_on_a_processor_without_it_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, said: list[str], key: str, has_bfloat16: bool, warned: int
) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: has_bfloat16)
    precision.warn_of_emulated_products(TrainSettings(**{key: True}))
    assert (
        said
        == [
            "train.bf16: this processor has neither AVX512_BF16 nor AMX, so training takes several times as long as in "
            "float32; set train.bf16 to false"
        ][:warned]
    )


def test_both_half_precisions_are_refused() -> None:
    with pytest.raises(ValueError, match="give either bf16 or fp16, got both"):
        TrainSettings(bf16=True, fp16=True)
