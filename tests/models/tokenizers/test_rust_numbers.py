"""Numbers are read as the Rust tokenizer reads them."""

from __future__ import annotations

import json
import random

import pytest
from tokenizers import Tokenizer

from models.tokenizers.rust_numbers import rust_float


def test_numbers_are_those_of_the_installed_tokenizers() -> None:
    rng = random.Random(0)
    texts = [
        "0.0",
        "-0.0",
        "-1e-400",
        "-0.1e2",
        "-18446744073709551615.5",
        "-18446744073709551616.5",
        "-1E-5",
    ]
    for _ in range(3000):
        digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 25)))
        texts += [
            repr(-rng.random() * 100),
            f"-{rng.randint(0, 30)}.{digits}",
            f"-{rng.randint(0, 9)}.{digits}e{rng.randint(-330, 30)}",
        ]
    pieces = "".join(f',["p{i}",{text}]' for i, text in enumerate(texts))
    model = f'{{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[["<unk>",0.0]{pieces}]}}'
    read = json.loads(Tokenizer.from_str(f'{{"version":"1.0","model":{model}}}').to_str())["model"]["vocab"]
    assert [rust_float(text) for text in texts] == [score for _, score in read[1:]]
    assert sum(float(text) != rust_float(text) for text in texts) > 1000


@pytest.mark.parametrize("text", ["1e309", "1.5e400", "179769313486231580793e290"])
def test_number_that_is_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"number out of range: {text}"):
        rust_float(text)
