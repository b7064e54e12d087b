"""Makes a precompiled normalization of what single characters become. `charsmap.py` reads such maps. No TensorFlow here."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Mapping

import sentencepiece

from models.tokenizers.sentencepiece.charsmap import read_charsmap
from models.tokenizers.sentencepiece.model_file import parse_model

_RULES = "nmt_nfkc"  # what SentencePiece does unless it is told otherwise, as for XLM-R


def charsmap_of(characters: Mapping[str, str]) -> str:
    """The map, base64, that makes of each character what `characters` says and leaves all others as they are.

    Clusters, such as a letter and its accent, become what SentencePiece's own rules make of them, unless one of their
    characters becomes something else here than there: it is of a Unicode version that one of the two does not have.
    Clusters of six and more bytes, which the Rust tokenizer does not look up, are left out.
    """
    own = read_charsmap(base64.b64encode(_compiled(normalization_rule_name=_RULES)).decode())
    of_characters = {chr(code): text for code, text in own.characters.items()}
    newer = {
        one for one in of_characters.keys() | characters if of_characters.get(one) != characters.get(one)
    }
    clusters = {text: value for text, value in own.clusters.items() if newer.isdisjoint(text)}
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for text, value in sorted({**clusters, **characters}.items()):
            rules.write(f"{_code_points(text)}\t{_code_points(value)}\n")
        rules.flush()
        return base64.b64encode(_compiled(normalization_rule_tsv=rules.name)).decode()


def _compiled(**rules: str) -> bytes:
    """The map of a model that is trained on a line with these rules: SentencePiece compiles them nowhere else."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f"]),
        model_writer=model,
        vocab_size=16,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **rules,
    )
    return parse_model(model.getvalue()).charsmap


def _code_points(text: str) -> str:
    """`"A "` -> `"41 20"`."""
    return " ".join(f"{ord(character):X}" for character in text)
