"""Checks that a checkpoint can be trained and that tokenizer, encoder, weights and settings match.

Imports no TensorFlow, so that a run with an unusable checkpoint ends within a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models import features
from models.checkpoints.config import Encoder, read_encoder, unread_keys
from models.checkpoints.tensor import Tensor
from models.checkpoints.weights import (
    check_finite,
    check_no_adapter,
    check_pickle,
    encoder_tensors,
    head_tensors,
    is_no_pickle,
)
from models.encoders.config import CONFIG_FILE
from models.errors import CheckpointError, CheckpointUsageError
from models.files import check_links, one_line, shown
from models.tokenizers.family import FIRST, SECOND, Spec, Template, load_spec, special_tokens


def check_checkpoint(
    folder: Path,
    allow_pickle: bool,
    max_length: int | None = None,
    text_pair: bool = False,
    frozen_layers: int = 0,
    layer_lr_decay: float = 1.0,
    stride: int = 0,
) -> list[str]:
    """Refuses a checkpoint that cannot be trained, without TensorFlow and with one pass over the weights.

    Args:
        folder: what `checkpoint_folder` returned.
        allow_pickle: accept `pytorch_model.bin`, which can run code when it is loaded.
        max_length: maximum tokens per text or pair; checked against the position embeddings.
        text_pair: whether a row has two texts, which the encoder has to tell apart.
        frozen_layers: train.freeze.layers.
        layer_lr_decay: train.layer_lr_decay.
        stride: tokens that windows share, 0 without windows.

    Returns:
        Notes for the user about an accepted checkpoint, one line each; usually none.

    Raises:
        CheckpointError: a file is missing, malformed, cut short or leads out of the folder, the folder is an
            adapter's, config.json asks for another forward pass, a weight is not a finite float, the tokenizer
            cannot be reproduced, one of its ids has no embedding, or the weights are a pickle.
        CheckpointUsageError: `max_length`, `stride`, `text_pair`, `frozen_layers` or `layer_lr_decay` asks for more
            than the checkpoint has.
    """
    check_links(folder)
    check_no_adapter(folder)
    encoder = read_encoder(folder)
    tensors: dict[str, Tensor] = {}
    if is_no_pickle(folder):
        tensors = encoder_tensors(folder, encoder, allow_pickle)
    else:
        check_pickle(folder, allow_pickle)  # the Trainer checks the contents when it loads them
    spec = load_spec(folder)
    _check_embeddings(folder, spec, rows=encoder.facts.sizes(encoder.config).vocabulary)
    _check_padding(folder, encoder, spec)
    _check_settings(folder, encoder, spec, max_length, text_pair, frozen_layers, stride)
    _check_layer_lr_decay(folder, encoder, layer_lr_decay)
    check_finite(tensors)
    return list(_notes(folder, encoder))


def _check_embeddings(folder: Path, spec: Spec, rows: int) -> None:
    """Checks that every token id has a row in the embedding."""
    if len(spec.vocab) > rows:
        raise CheckpointError(
            f"{spec.file}: {len(spec.vocab)} tokens do not fit the embedding of {rows} rows; "
            "tokenizer and weights belong to different models"
        )
    for token, index in spec.added_tokens:
        if index >= rows:
            raise CheckpointError(
                f"{folder}: Hugging Face gives the token {shown(token)} the id {index}, but the embedding has "
                f"{rows} rows; give the weights that were trained with it, or add it to none of the tokenizer's files"
            )


def _check_padding(folder: Path, encoder: Encoder, spec: Spec) -> None:
    """Some encoders know padding by its id, where the model is used later as here."""
    pad_id = getattr(encoder.config, "pad_token_id", spec.pad_id)
    if pad_id != spec.pad_id:
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: pad_token_id is {pad_id}, but the tokenizer pads with {shown(spec.pad_token)}, which "
            f"has the id {spec.pad_id}; {encoder.facts.NAME} knows padding by its id, so make the two agree"
        )


def _check_settings(
    folder: Path,
    encoder: Encoder,
    spec: Spec,
    max_length: int | None,
    text_pair: bool,
    frozen_layers: int,
    stride: int,
) -> None:
    sizes = encoder.facts.sizes(encoder.config)
    if max_length is not None and max_length > sizes.positions:
        raise CheckpointUsageError(
            f"transform.max_length {max_length} is more than the {sizes.positions} positions of {folder}; "
            f"set it to at most {sizes.positions}"
        )
    template = spec.pair if text_pair else spec.single
    if max_length is not None and max_length <= special_tokens(template):
        raise CheckpointUsageError(
            f"transform.max_length {max_length} has no room for text beside the {special_tokens(template)} special tokens of "
            f"{spec.file}; set it to at least {special_tokens(template) + 1}"
        )
    room = None if max_length is None else max_length - special_tokens(template)
    if room is not None and stride >= room:
        raise CheckpointUsageError(
            f"transform.window.stride {stride} is as long as a window, which has room for {room} tokens of text "
            f"(transform.max_length {max_length}); set it to at most {room - 1}"
        )
    if frozen_layers > sizes.layers:
        raise CheckpointUsageError(
            f"train.freeze.layers {frozen_layers} is more than the {sizes.layers} layers of {folder}"
            + (f"; {sizes.sharing} layers share the weights of each" if sizes.sharing > 1 else "")
        )
    if text_pair:
        _check_pairs(folder, encoder, spec)


def _check_layer_lr_decay(folder: Path, encoder: Encoder, decay: float) -> None:
    """Weights that several layers share have no learning rate of one of them."""
    sizes = encoder.facts.sizes(encoder.config)
    if decay != 1.0 and sizes.sharing > 1:
        raise CheckpointUsageError(
            f"train.layer_lr_decay is {decay}, but {sizes.sharing} layers of {folder} share the weights of each, so that none "
            "has a learning rate of its own; remove the key, or use another checkpoint"
        )


def _check_pairs(folder: Path, encoder: Encoder, spec: Spec) -> None:
    """Token types tell the texts of a pair apart where the encoder learnt to read them, special tokens elsewhere."""
    sizes = encoder.facts.sizes(encoder.config)
    taken = features.TOKEN_TYPE_IDS in encoder.facts.INPUTS
    if sizes.pairs_by_type and not spec.token_types:
        missing = "its tokenizer gives no token types"
    elif taken and sizes.token_types == 1 and spec.token_types:
        missing = "its tokenizer gives two token types, type_vocab_size is 1"
    elif not separated(spec.pair):
        missing = "its tokenizer puts no special token between them"
    else:
        return
    raise CheckpointUsageError(
        f"data.text_pair: {folder} cannot tell two texts apart ({missing}); take another checkpoint, or one text"
    )


def separated(pair: Template) -> bool:
    """Whether a special token stands between the texts: `(("A", 0), (2, 0), ("B", 0))` -> True"""
    pieces = [piece for piece, _ in pair]
    return pieces.index(SECOND) - pieces.index(FIRST) > 1


def _notes(folder: Path, encoder: Encoder) -> Iterator[str]:
    facts, unread = encoder.facts, unread_keys(folder, encoder.facts)
    if unread:
        yield f"{folder / CONFIG_FILE}: {facts.NAME} does not read {shown(unread)}, here as in transformers"
    head = head_tensors(folder, encoder) if is_no_pickle(folder) else {}
    if head:
        named = [
            f"{one_line(name)} {list(shape)}"
            for name, shape in sorted(head.items())
            if name.endswith("weight")
        ]
        yield (
            f"{folder}: the weights have a head of another training ({', '.join(named)}), which is dropped; "
            "training starts with a new head for your labels"
        )
