"""What the facts of all families of encoders have in common. No TensorFlow here.

Every key of config.json that can change a forward pass is either read (a family's `Config`) or refused by name. A
model is built from what is read alone, so no other key can reach it.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

CONFIG_FILE = "config.json"

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Sizes(NamedTuple):
    """What the tokenizer, the config and the freezing of layers have to fit."""

    vocabulary: int  # rows of the word embedding
    positions: int  # most tokens of a row
    layers: int
    token_types: int


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
