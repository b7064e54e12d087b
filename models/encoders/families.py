"""The families of encoders, one row each: `model_type` of config.json -> its package. No TensorFlow here.

A family has two modules. They are imported by name, only for the family that a checkpoint is of, so that an edit of
one family re-trains the models of that family alone:

`facts`: what `Facts` lists; it imports no TensorFlow.
`forward`: what `Forward` lists. A family that has none is trained by the reference way, `models.encoders.reference`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from models.encoders.config import Sizes
from models.files import FromFile

if TYPE_CHECKING:
    import tensorflow as tf


class Facts(Protocol):
    """The names and functions of a family's module `facts`.

    `NAME`: as messages call it, "BERT".
    `TF_CLASS`: of transformers, with a head for sequence classification; holds the variables.
    `INPUTS`: names of the inputs that its forward pass takes.
    `HEAD_DROPOUT`: key of config.json with the dropout before the head.
    `PREFIX`: of the encoder's tensors, in a checkpoint that also has a head.
    `PARTS`: how the names of the encoder's tensors begin without the prefix.
    `HEAD`: how the names of the tensors of a head for classification begin.
    `OLD_NAMES`: part of a tensor's name in older checkpoints -> today's.
    `WITHOUT_WEIGHTS`: tensors that checkpoints may have and the class has no variable for.
    `UNREAD`: layers of the class that its head does not read, as attributes of the encoder: they are not trained.
        `UNREAD_FOR_TOKENS`, which facts may have: names of further layers that no head for tokens reads.
    `MISSPELT`: attributes of transformers' config that the class reads by mistake -> the keys that it means.
    `Config`: the keys of config.json that make the forward pass, with the names and defaults of transformers.
    `REFUSED`: keys that may not be set -> what to do about it.
    `HARMLESS`: keys that its forward pass does not depend on.
    """

    NAME: str
    TF_CLASS: str
    INPUTS: tuple[str, ...]
    HEAD_DROPOUT: str
    PREFIX: str
    PARTS: tuple[str, ...]
    HEAD: tuple[str, ...]
    OLD_NAMES: Mapping[str, str]
    WITHOUT_WEIGHTS: Collection[str]
    UNREAD: Collection[str]
    MISSPELT: Mapping[str, str]
    Config: type[FromFile]
    REFUSED: Mapping[str, str]
    HARMLESS: Collection[str]

    def sizes(self, config: Any) -> Sizes:
        """What other parts of a model have to fit."""

    def tensors(self, config: Any, stored: Collection[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """(name without prefix, shape as PyTorch keeps it) of every tensor that the encoder needs.

        `stored`: the names that the checkpoint has, which tell whether it has an optional part.
        """


class Forward(Protocol):
    """The functions of a family's module `forward`. `model`: an instance of the family's TF class."""

    def classify(
        self,
        model: Any,
        inputs: Mapping[str, tf.Tensor],
        dropout_seed: tf.Tensor | None = None,
        dtype: tf.DType = ...,
    ) -> tf.Tensor:
        """Token ids int32 [rows, tokens], under the names of INPUTS -> logits float32 [rows, classes].

        `inputs` may have other names, too. `dropout_seed`: int64 [2] when training; None means no dropout.
        `dtype`: of the matrix products; layer norms, softmax and the head stay float32.
        """

    def label_tokens(
        self,
        model: Any,
        inputs: Mapping[str, tf.Tensor],
        dropout_seed: tf.Tensor | None = None,
        dtype: tf.DType = ...,
    ) -> tf.Tensor:
        """The same of an instance of the class for token classification -> logits float32 [rows, tokens, labels]."""

    def embeddings(self, model: Any) -> Any:
        """The Keras layer with all embeddings, or the like with `variables`, for `train.freeze.embeddings`.

        What carries them to the first layer belongs to it, such as a projection.
        """

    def layers(self, model: Any) -> Sequence[Any]:
        """The encoder's Keras layers, or the like, from the embeddings on, for `train.freeze.layers`."""

    def is_decayed(self, variable: tf.Variable) -> bool:
        """Whether weight decay applies: to matrices and embeddings, not to biases and layer norms."""


# Values of the config's model.forward.
AUTO: Final = "auto"
REFERENCE: Final = "reference"
_REFERENCE_PACKAGE = "models.encoders.reference"


@dataclass(frozen=True)
class Family:
    """Where a family of encoders lies.

    `facts_name`: the module of the package with its facts. `class_exports`: keys of `export` in the config to which the
    class of transformers has been converted, with equal answers. `labels_tokens`: whether transformers has a class in
    TensorFlow for token classification, too; `token_dropout`: whether its head has dropout. `way`: AUTO, or REFERENCE for
    that class although the package has a forward pass of its own.
    """

    package: str
    facts_name: str = "facts"
    class_exports: tuple[str, ...] = ()
    labels_tokens: bool = True
    token_dropout: bool = True
    way: str = AUTO

    @property
    def facts_module(self) -> str:
        """Dotted path: a fingerprint of code that loads the facts has to name it."""
        return f"{self.package}.{self.facts_name}"

    @property
    def forward_module(self) -> str:
        """Dotted path: a fingerprint of code that loads the forward pass has to name it."""
        return f"{_REFERENCE_PACKAGE if self.way == REFERENCE else self.package}.forward"

    @property
    def has_own_forward(self) -> bool:
        """Whether its forward pass is not the class of transformers."""
        return not self.forward_module.startswith(f"{_REFERENCE_PACKAGE}.")

    def by(self, way: str) -> Family:
        """The same family with the forward pass that `model.forward` asks for."""
        return self if way == self.way else replace(self, way=way)

    def facts(self) -> Facts:
        """Imports the module."""
        return cast(Facts, importlib.import_module(self.facts_module))

    def forward(self) -> Forward:
        """Imports the module, and TensorFlow with it."""
        return cast(Forward, importlib.import_module(self.forward_module))


FAMILIES = {
    "albert": Family("models.encoders.albert"),
    "bert": Family("models.encoders.bert"),
    "camembert": Family("models.encoders.roberta", "facts_camembert"),
    "deberta-v2": Family("models.encoders.deberta_v2"),
    "distilbert": Family("models.encoders.distilbert"),
    "electra": Family("models.encoders.electra"),
    "mpnet": Family("models.encoders.mpnet"),
    "roberta": Family("models.encoders.roberta"),
    "xlm-roberta": Family("models.encoders.roberta", "facts_xlm_roberta"),
    "bart": Family(_REFERENCE_PACKAGE, "facts_bart", class_exports=("onnx", "tflite"), labels_tokens=False),
    "convbert": Family(_REFERENCE_PACKAGE, "facts_convbert", class_exports=("onnx", "tflite")),
    "deberta": Family(_REFERENCE_PACKAGE, "facts_deberta"),
    "gpt2": Family(_REFERENCE_PACKAGE, "facts_gpt2", class_exports=("onnx", "tflite"), labels_tokens=False),
    "gptj": Family(_REFERENCE_PACKAGE, "facts_gptj", class_exports=("tflite",), labels_tokens=False),
    "layoutlm": Family(_REFERENCE_PACKAGE, "facts_layoutlm", class_exports=("onnx", "tflite")),
    "longformer": Family(_REFERENCE_PACKAGE, "facts_longformer", class_exports=("onnx",)),
    "mistral": Family(_REFERENCE_PACKAGE, "facts_mistral", class_exports=("tflite",), labels_tokens=False),
    "mobilebert": Family(_REFERENCE_PACKAGE, "facts_mobilebert", class_exports=("onnx", "tflite")),
    "openai-gpt": Family(
        _REFERENCE_PACKAGE, "facts_openai_gpt", class_exports=("onnx", "tflite"), labels_tokens=False
    ),
    "rembert": Family(_REFERENCE_PACKAGE, "facts_rembert", class_exports=("onnx", "tflite")),
    "roberta-prelayernorm": Family(
        _REFERENCE_PACKAGE, "facts_roberta_prelayernorm", class_exports=("onnx", "tflite")
    ),
    "xlnet": Family(_REFERENCE_PACKAGE, "facts_xlnet", class_exports=("onnx", "tflite"), token_dropout=False),
}

# model types that have a class in TensorFlow, too, and cannot be trained here -> why. Lines are of transformers 4.57.6.
_PYTHON_ONLY = "its tokenizer is Python code, which no graph reproduces and no Rust tokenizer checks"
NOT_TRAINED = {
    "ctrl": f"{_PYTHON_ONLY} (tokenization_ctrl.py)",
    "esm": f"it reads proteins, not text; {_PYTHON_ONLY} (tokenization_esm.py)",
    "flaubert": f"{_PYTHON_ONLY} (tokenization_flaubert.py:217, sacremoses)",
    "funnel": "its class has no gradient for batches of changing length (modeling_tf_funnel.py:214, a branch of two shapes)",
    "gpt-sw3": f"{_PYTHON_ONLY} (tokenization_gpt_sw3.py)",
    "layoutlmv3": "it reads pages: without boxes and images its class cannot be called (modeling_tf_layoutlmv3.py:161)",
    "roformer": "its tokenizer splits with Jieba in Python (tokenization_utils.py), and tokenizer.json says otherwise",
    "tapas": f"it reads tables; {_PYTHON_ONLY} (tokenization_tapas.py)",
    "transfo-xl": f"{_PYTHON_ONLY}; its class is unfinished for div_val 1 (modeling_tf_transfo_xl.py:359)",
    "xlm": f"{_PYTHON_ONLY} (tokenization_xlm.py, sacremoses)",
}


def forward_of(model: Any) -> Forward:
    """The forward pass for a model that `models.encoders.weights.build_classifier` made."""
    return FAMILIES[model.config.model_type].by(model.forward_way).forward()


def logits_of(model: Any) -> Callable[..., tf.Tensor]:
    """`label_tokens` of the forward pass if the model was built to label tokens, else `classify`.

    The user's head takes the place of one for tokens, see `models.encoders.layers.token_labeller`.
    """
    forward = forward_of(model)
    return forward.label_tokens if model.labels_tokens else forward.classify


def token_class(facts: Facts) -> str:
    """`TFBertForTokenClassification`, by the name of the class for sequence classification."""
    return facts.TF_CLASS.replace("ForSequenceClassification", "ForTokenClassification")
