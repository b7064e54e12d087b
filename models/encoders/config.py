"""What the facts of all families of encoders have in common. No TensorFlow here.

Every key of config.json that can change a forward pass is either read (a family's `Config`) or refused by name. A
model is built from what is read alone, so no other key can reach it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from models.files import FromFile

CONFIG_FILE = "config.json"

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Sizes(NamedTuple):
    """What the tokenizer, the config and the freezing of layers have to fit."""

    vocabulary: int  # rows of the word embedding
    positions: int  # most tokens of a row
    layers: int  # with weights of their own
    token_types: int  # 0: the encoder takes none
    sharing: int = 1  # layers that run with the weights of each of `layers`
    pairs_by_type: bool = False  # it was pretrained on pairs whose texts have different token types


# name of a tensor without the model's prefix, shape as PyTorch keeps it
NamedShape = tuple[str, tuple[int, ...]]


# Keys that, with any value that Python calls true, say that the weights are of another model -> what to do.
_ENCODERS_ONLY = "only encoders are trained; give an encoder's checkpoint, or remove the key if this is one"
_FLOATS_ONLY = "quantized weights cannot be trained; give the checkpoint that they were made from"
REFUSED = {
    "is_decoder": _ENCODERS_ONLY,
    "add_cross_attention": _ENCODERS_ONLY,
    "cross_attention_hidden_size": _ENCODERS_ONLY,
    "is_encoder_decoder": _ENCODERS_ONLY,
    "tie_encoder_decoder": _ENCODERS_ONLY,
    "pruned_heads": "layers with fewer heads do not exist in TensorFlow; give the checkpoint before the pruning",
    "quantization_config": _FLOATS_ONLY,
    "compression_config": _FLOATS_ONLY,
    # These two name files that transformers reads in place of the usual ones.
    "configuration_files": f"only {CONFIG_FILE} is read; make the file that you want {CONFIG_FILE}, without this key",
    "transformers_weights": "only files with the usual names are read; rename that file, and remove the key",
    "auto_map": "code that comes with a checkpoint is not run; give a checkpoint of a class of transformers",
}

# transformers' names, without those that a dense layer cannot take (glu halves the width).
ACTIVATIONS = (
    "gelu",
    "gelu_10",
    "gelu_fast",
    "gelu_new",
    "mish",
    "quick_gelu",
    "relu",
    "sigmoid",
    "silu",
    "swish",
    "tanh",
)


def _known_activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f"only {', '.join(ACTIVATIONS)} exist in TensorFlow")
    return name


def _absolute(kind: str) -> str:
    if kind != "absolute":
        raise ValueError("only 'absolute' is supported")
    return kind


Activation = Annotated[str, AfterValidator(_known_activation)]
AbsolutePositions = Annotated[str, AfterValidator(_absolute)]

# Keys of transformers' PretrainedConfig, and of many checkpoints, that no forward pass depends on: outputs that are
# returned beside the logits, the head, the loss, the tokenizer, text generation, and what no code reads.
HARMLESS = frozenset(
    [
        "architectures",
        "attn_implementation",
        "bad_words_ids",
        "begin_suppress_tokens",
        "bos_token_id",
        "chunk_size_feed_forward",
        "decoder_start_token_id",
        "diversity_penalty",
        "do_sample",
        "dtype",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "eos_token_id",
        "exponential_decay_length_penalty",
        "finetuning_task",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "label2id",
        "language",
        "length_penalty",
        "loss_type",
        "max_length",
        "min_length",
        "model_type",
        "name_or_path",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_labels",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_scores",
        "pad_token_id",
        "prefix",
        "problem_type",
        "remove_invalid_values",
        "repetition_penalty",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "sentence_transformers",
        "suppress_tokens",
        "task_specific_params",
        "temperature",
        "tf_legacy_loss",
        "tie_word_embeddings",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "typical_p",
        "use_bfloat16",
        "use_cache",
        "use_return_dict",
    ]
)


class LayersConfig(FromFile):
    """The keys by which BERT and its relatives describe their layers, with BertConfig's defaults."""

    vocab_size: Count = 30522
    hidden_size: Count = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Count = 3072
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: Share = 0.1
    attention_probs_dropout_prob: Share = 0.1
    max_position_embeddings: Count = 512
    initializer_range: NotNegative = 0.02
    layer_norm_eps: NotNegative = 1e-12

    @model_validator(mode="after")
    def _whole_heads(self) -> LayersConfig:
        check_heads("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        return self


def check_heads(width_key: str, width: int, heads_key: str, heads: int) -> None:
    """Raises ValueError if the heads do not divide the width."""
    if width % heads:
        raise ValueError(f"{width_key} {width} is no multiple of {heads_key} {heads}")


# --- fairseq's positions ------------------------------------------------------------------------------

# RoBERTa's, XLM-RoBERTa's, CamemBERT's and MPNet's: padding has the position 1 as it has the id 1, and other tokens
# count on from 2.
PADDING = 1
FairseqPositions = Annotated[int, Field(ge=PADDING + 2)]


# --- tensors ------------------------------------------------------------------------------------------

OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# Older PyTorch versions saved these two.
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


def weight_and_bias(name: str, *shape: int) -> Iterator[NamedShape]:
    """`("pooler.dense", 3, 4)` -> `("pooler.dense.weight", (3, 4)), ("pooler.dense.bias", (3,))`."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def bert_layers(config: LayersConfig) -> Iterator[NamedShape]:
    """The tensors of the encoder layers, where they have BERT's names; layer by layer."""
    hidden, inner = config.hidden_size, config.intermediate_size
    for layer in (f"encoder.layer.{i}" for i in range(config.num_hidden_layers)):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from weight_and_bias(f"{layer}.attention.{part}", hidden, hidden)
        yield from weight_and_bias(f"{layer}.attention.output.LayerNorm", hidden)
        yield from weight_and_bias(f"{layer}.intermediate.dense", inner, hidden)
        yield from weight_and_bias(f"{layer}.output.dense", hidden, inner)
        yield from weight_and_bias(f"{layer}.output.LayerNorm", hidden)


def has_part(stored: Collection[str], part: str) -> bool:
    """Whether a checkpoint has tensors whose names begin so: `pooler.`"""
    return any(name.startswith(part) for name in stored)
