"""What check_checkpoint says of encoders other than BERT: pairs, positions, layers, heads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.checkpoints.checks import check_checkpoint, separated
from models.errors import CheckpointError, CheckpointUsageError
from tests.models.checkpoints.conftest import change_config, change_weights
from tests.support.tiny_encoders import write_encoder

# Tokenizers of these classes are read by the same rules; only the first gives token types.
TYPES, NO_TYPES = "BertTokenizer", "DistilBertTokenizer"


def checkpoint_of(checkpoint: Path, model_type: str, tokenizer_class: str = TYPES, **values: object) -> Path:
    path = checkpoint / "tokenizer_config.json"
    changes = {"tokenizer_class": tokenizer_class}
    if model_type == "roberta":
        changes["pad_token"] = "[UNK]"  # has the id 1, as RoBERTa's padding
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return write_encoder(checkpoint, model_type, **values)


@pytest.mark.parametrize("model_type", ["distilbert", "mpnet"])
@pytest.mark.parametrize("tokenizer_class", [TYPES, NO_TYPES])
def test_encoder_without_token_types_takes_pairs_that_special_tokens_separate(
    checkpoint: Path, model_type: str, tokenizer_class: str
) -> None:
    folder = checkpoint_of(checkpoint, model_type, tokenizer_class)
    assert check_checkpoint(folder, allow_pickle=False, text_pair=True) == []


def test_roberta_needs_no_token_types_for_pairs(checkpoint: Path) -> None:
    folder = checkpoint_of(checkpoint, "roberta", NO_TYPES, type_vocab_size=1)
    assert check_checkpoint(folder, allow_pickle=False, text_pair=True) == []


def test_second_token_type_without_an_embedding_is_refused(checkpoint: Path) -> None:
    folder = checkpoint_of(checkpoint, "roberta", TYPES, type_vocab_size=1)
    assert check_checkpoint(folder, allow_pickle=False) == []
    with pytest.raises(CheckpointUsageError, match="gives two token types, type_vocab_size is 1"):
        check_checkpoint(folder, allow_pickle=False, text_pair=True)


@pytest.mark.parametrize("model_type", ["albert", "electra"])
def test_encoder_that_was_pretrained_on_token_types_needs_them_for_pairs(
    checkpoint: Path, model_type: str
) -> None:
    folder = checkpoint_of(checkpoint, model_type, NO_TYPES)
    with pytest.raises(CheckpointUsageError, match="its tokenizer gives no token types"):
        check_checkpoint(folder, allow_pickle=False, text_pair=True)


def test_texts_are_separated_by_a_special_token_between_them() -> None:
    assert separated(((0, 0), ("A", 0), (2, 0), (2, 0), ("B", 0), (2, 0)))
    assert not separated(((0, 0), ("A", 0), ("B", 0), (2, 0)))


@pytest.mark.parametrize("model_type", ["roberta", "mpnet"])
def test_two_positions_are_no_tokens(checkpoint: Path, model_type: str) -> None:
    folder = checkpoint_of(checkpoint, model_type)
    assert check_checkpoint(folder, allow_pickle=False, max_length=62) == []
    with pytest.raises(CheckpointUsageError, match="max_length 63 is more than the 62 positions"):
        check_checkpoint(folder, allow_pickle=False, max_length=63)


def test_layers_that_share_their_weights_are_frozen_together(checkpoint: Path) -> None:
    folder = checkpoint_of(checkpoint, "albert", num_hidden_layers=12, num_hidden_groups=1)
    assert check_checkpoint(folder, allow_pickle=False, frozen_layers=1) == []
    with pytest.raises(
        CheckpointUsageError, match=r"the 1 layers of .*; 12 layers share the weights of each"
    ):
        check_checkpoint(folder, allow_pickle=False, frozen_layers=2)


def test_layers_that_share_their_weights_have_no_learning_rates_of_their_own(checkpoint: Path) -> None:
    folder = checkpoint_of(checkpoint, "albert", num_hidden_layers=12, num_hidden_groups=1)
    with pytest.raises(CheckpointUsageError) as error:
        check_checkpoint(folder, allow_pickle=False, layer_lr_decay=0.9)
    assert str(error.value) == (
        f"train.layer_lr_decay is 0.9, but 12 layers of {folder} share the weights of each, so that none has a learning "
        "rate of its own; remove the key, or use another checkpoint"
    )
    checkpoint_of(checkpoint, "albert", num_hidden_layers=2, num_hidden_groups=2)
    assert check_checkpoint(folder, allow_pickle=False, layer_lr_decay=0.9) == []


@pytest.mark.parametrize(
    ("model_type", "missing"),
    [
        ("albert", "encoder.albert_layer_groups.1.albert_layers.0.full_layer_layer_norm.bias"),
        ("distilbert", "transformer.layer.1.sa_layer_norm.weight"),
        ("electra", "embeddings_project.weight"),
        ("mpnet", "encoder.relative_attention_bias.weight"),
        ("roberta", "encoder.layer.1.output.dense.bias"),
    ],
)
def test_missing_tensor_is_named(checkpoint: Path, model_type: str, missing: str) -> None:
    folder = checkpoint_of(checkpoint, model_type)
    change_weights(folder, lambda tensors: tensors.pop(missing))
    with pytest.raises(CheckpointError, match=f"the weights lack tensor {missing}; "):
        check_checkpoint(folder, allow_pickle=False)


@pytest.mark.parametrize(
    ("model_type", "prefix", "head", "told"),
    [
        ("bert", "bert.", {"classifier.weight": (5, 32)}, "classifier.weight [5, 32]"),
        (
            "distilbert",
            "distilbert.",
            {"pre_classifier.weight": (32, 32), "pre_classifier.bias": (32,), "classifier.weight": (5, 32)},
            "classifier.weight [5, 32], pre_classifier.weight [32, 32]",
        ),
        (
            "roberta",
            "roberta.",
            {"classifier.out_proj.weight": (5, 32)},
            "classifier.out_proj.weight [5, 32]",
        ),
    ],
)
def test_head_of_another_training_is_told_and_dropped(
    checkpoint: Path, model_type: str, prefix: str, head: dict[str, tuple[int, ...]], told: str
) -> None:
    folder = checkpoint_of(checkpoint, model_type)
    path = folder / "model.safetensors"
    tensors = {f"{prefix}{name}": values for name, values in load_file(path).items()}
    tensors |= {name: np.ones(shape, np.float32) for name, shape in head.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    assert check_checkpoint(folder, allow_pickle=False) == [
        f"{folder}: the weights have a head of another training ({told}), which is dropped; "
        "training starts with a new head for your labels"
    ]


def test_keys_of_first_checkpoints_that_nothing_reads_are_not_told(checkpoint: Path) -> None:
    folder = checkpoint_of(checkpoint, "albert")
    change_config(folder, gap_size=0, net_structure_type=0, layers_to_keep=[], down_scale_factor=1)
    assert check_checkpoint(folder, allow_pickle=False) == []
