"""CamemBERT's config.json keys and tensors: those of RoBERTa, with other defaults. Imports no TensorFlow."""

from models.encoders.config import Count
from models.encoders.roberta import facts
from models.encoders.roberta.facts import (
    HARMLESS,
    HEAD,
    HEAD_DROPOUT,
    INPUTS,
    MISSPELT,
    OLD_NAMES,
    PARTS,
    PREFIX,
    REFUSED,
    UNREAD,
    WITHOUT_WEIGHTS,
    sizes,
    tensors,
)

__all__ = [
    "HARMLESS",
    "HEAD",
    "HEAD_DROPOUT",
    "INPUTS",
    "MISSPELT",
    "NAME",
    "OLD_NAMES",
    "PARTS",
    "PREFIX",
    "REFUSED",
    "TF_CLASS",
    "UNREAD",
    "WITHOUT_WEIGHTS",
    "Config",
    "sizes",
    "tensors",
]

NAME = "CamemBERT"
TF_CLASS = "TFCamembertForSequenceClassification"


class Config(facts.Config):
    """The keys that determine the forward pass, with CamembertConfig's names and defaults."""

    vocab_size: Count = 30522
