"""What the two DeBERTas have in common: attention with terms for words and for their distance. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator

from models.encoders.config import NamedShape, weight_and_bias

_TERMS = ("c2p", "p2c")  # content to position, position to content


def _terms(value: Any) -> Any:
    """`"p2c|c2p"` -> `["p2c", "c2p"]`, as transformers reads it."""
    terms = [term.strip() for term in value.lower().split("|")] if isinstance(value, str) else value
    if terms is not None and not (isinstance(terms, list) and all(term in _TERMS for term in terms)):
        raise ValueError(f"only {' and '.join(_TERMS)} exist")
    return terms


PositionTerms = Annotated[list[str] | None, BeforeValidator(_terms)]


def distances(config: Any) -> int:
    """How many distances in each direction have an embedding; -1 in config.json means as many as positions."""
    if config.max_relative_positions < 1:
        return int(config.max_position_embeddings)
    return int(config.max_relative_positions)


def embeddings(config: Any) -> Iterator[NamedShape]:
    """The tensors of the embeddings; positions and token types are optional."""
    yield "embeddings.word_embeddings.weight", (config.vocab_size, config.hidden_size)
    if config.position_biased_input:
        yield "embeddings.position_embeddings.weight", (config.max_position_embeddings, config.hidden_size)
    if config.type_vocab_size > 0:
        yield "embeddings.token_type_embeddings.weight", (config.type_vocab_size, config.hidden_size)
    yield from weight_and_bias("embeddings.LayerNorm", config.hidden_size)
