"""What makes the config.json of each architecture without a forward pass of its own small."""

from __future__ import annotations

from typing import Any

_LIKE_BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "vocab_size": 98,
}
_LIKE_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "vocab_size": 98}
DISENTANGLED = {
    "type_vocab_size": 2,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
}

# model_type -> the keys. Two layers (BART: two in each half), a vocabulary of 98, 64 positions.
CONFIGS: dict[str, dict[str, Any]] = {
    "bart": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 40,
        "max_position_embeddings": 64,
        "vocab_size": 98,
    },
    "convbert": {**_LIKE_BERT, "num_attention_heads": 4, "embedding_size": 24, "conv_kernel_size": 3},
    "deberta": {**_LIKE_BERT, **DISENTANGLED},
    "gpt2": {**_LIKE_GPT, "n_inner": 48, "eos_token_id": 97},
    "gptj": {**_LIKE_GPT, "n_inner": 48, "rotary_dim": 8, "eos_token_id": 97},
    "layoutlm": {**_LIKE_BERT, "max_2d_position_embeddings": 40},
    "longformer": {**_LIKE_BERT, "attention_window": [8, 8]},
    "mistral": {**_LIKE_BERT, "num_key_value_heads": 1},
    "mobilebert": {
        **_LIKE_BERT,
        "embedding_size": 24,
        "intra_bottleneck_size": 16,
        "num_feedforward_networks": 2,
    },
    "openai-gpt": {**_LIKE_GPT, "pad_token_id": 97},
    "rembert": {**_LIKE_BERT, "input_embedding_size": 24},
    "roberta-prelayernorm": _LIKE_BERT,
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 48, "vocab_size": 98},
}
