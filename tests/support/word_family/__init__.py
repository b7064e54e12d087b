"""A tokenizer family of words between white space, as CONTRIBUTING.md says to add one: this folder and one row."""

from __future__ import annotations

from models.tokenizers.family import Family

WORDS_FAMILY = Family(
    title="word",
    model_type="WordLevel",
    vocabulary_files=(),
    spec="tests.support.word_family.spec",
    graph="tests.support.word_family.graph",
    exports={"onnx": "tests.support.word_family.spec"},
)
