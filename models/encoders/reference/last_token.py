"""Decoders: the class reads the last token of a row that is not padding, and knows padding by its id. No TensorFlow here."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from models.encoders.config import Count
from models.files import FromFile


class Config(FromFile):
    """Makes `eos_token_id` the padding of a decoder that was trained without, as users of transformers do."""

    vocab_size: Count
    eos_token_id: int | None = Field(None, ge=0)
    pad_token_id: int = Field(ge=0)

    @model_validator(mode="before")
    @classmethod
    def _padded(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("pad_token_id") is not None:
            return values
        end = values.get("eos_token_id")
        if end is None:
            end = cls.model_fields["eos_token_id"].default
        if end is None:
            raise ValueError(
                "pad_token_id is missing, by which the class finds the last token of a row; set it to the id of a token "
                "that ends no text, such as that of <unk>"
            )
        return {**values, "pad_token_id": end}

    @model_validator(mode="after")
    def _inside(self) -> Config:
        if self.pad_token_id >= self.vocab_size:
            raise ValueError(
                f"pad_token_id {self.pad_token_id} has no row in the embedding of {self.vocab_size}"
            )
        return self
