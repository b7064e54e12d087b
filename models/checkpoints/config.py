"""What a checkpoint's config.json says about its encoder. No TensorFlow here.

Every key that can change the forward pass is either read (`EncoderConfig`) or refused by name. The model is
built from `EncoderConfig` alone, so a key that is not read here cannot reach it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from models.errors import CheckpointError
from models.files import FromFile, checkpoint_file, read_json, shown, typed

CONFIG_FILE = "config.json"

# model_type -> TF class. A family enters when its tokenizer exists in the graph (components/transform)
# and its forward pass in components/trainer/model.py.
ARCHITECTURES = {"bert": "TFBertForSequenceClassification"}

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

# transformers' names, without those that BERT's layers cannot take (glu halves the width).
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

# Keys that are in the config of many BERT checkpoints and that its forward pass does not depend on: outputs that
# are returned beside the logits, the head, the loss, the tokenizer, text generation, and what no code reads.
HARMLESS = frozenset(
    [
        "architectures",
        "attn_implementation",
        "bad_words_ids",
        "begin_suppress_tokens",
        "bos_token_id",
        "chunk_size_feed_forward",
        "decoder_start_token_id",
        "directionality",
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
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
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

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class EncoderConfig(FromFile):
    """The keys that make the forward pass, with BertConfig's names and defaults."""

    vocab_size: Count = 30522
    hidden_size: Count = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Count = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: Share = 0.1
    attention_probs_dropout_prob: Share = 0.1
    classifier_dropout: Share | None = None
    max_position_embeddings: Count = 512
    type_vocab_size: Count = 2
    initializer_range: NotNegative = 0.02
    layer_norm_eps: NotNegative = 1e-12
    position_embedding_type: str = "absolute"

    @field_validator("hidden_act")
    @classmethod
    def _known_activation(cls, name: str) -> str:
        if name not in ACTIVATIONS:
            raise ValueError(f"only {', '.join(ACTIVATIONS)} exist in TensorFlow")
        return name

    @field_validator("position_embedding_type")
    @classmethod
    def _absolute(cls, kind: str) -> str:
        if kind != "absolute":
            raise ValueError("only 'absolute' is supported")
        return kind

    @model_validator(mode="after")
    def _whole_heads(self) -> EncoderConfig:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}"
            )
        return self


def read_encoder_config(folder: Path) -> EncoderConfig:
    """Reads config.json.

    Raises:
      CheckpointError: it is malformed, the architecture is not known, or a key asks for another forward
        pass; the message names the key.
    """
    path = checkpoint_file(folder, CONFIG_FILE)
    config = read_json(path)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{path}: model_type {shown(kind)} is not one of {sorted(ARCHITECTURES)}, "
            "the families that can be trained and tokenized in the graph"
        )
    _check_refused(path, config)
    return typed(EncoderConfig, path, config)


def unread_keys(folder: Path) -> list[str]:
    """Keys of config.json that neither transformers' BERT nor this project reads; they change nothing."""
    config = read_json(checkpoint_file(folder, CONFIG_FILE))
    known = HARMLESS | REFUSED.keys() | EncoderConfig.model_fields.keys()
    return sorted(key for key in config if key not in known and not key.startswith("_"))


def _check_refused(path: Path, config: Mapping[str, Any]) -> None:
    for key, advice in REFUSED.items():
        if config.get(key):
            raise CheckpointError(f"{path}: {key} is {shown(config[key])}; {advice}")
