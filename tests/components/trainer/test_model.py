"""The forward pass, loss, optimizer and step: against the Hugging Face class, NumPy and literal values."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import transformers
from safetensors.numpy import load_file, save_file

from components.settings import CheckpointSettings, ModelSettings
from components.trainer.dataset import ROW_WEIGHT
from components.trainer.model import Dropout, classify, trained_variables
from components.trainer.optimizer import AdamW, is_decayed, learning_rate
from components.trainer.settings import FreezeSettings, TrainSettings
from components.trainer.step import TrainStep
from models.checkpoints.config import ACTIVATIONS
from models.checkpoints.source import load_classifier
from models.errors import CheckpointError, PipelineError
from models.tasks.single_label.head import row_losses
from tests.components.trainer.conftest import LABELS

STRATEGY = tf.distribute.get_strategy()


def load(folder: Path, dropout: float | None = None, seed: int = 0) -> Any:
    settings = ModelSettings(checkpoint=CheckpointSettings(path=folder), dropout=dropout)
    return load_classifier(folder, LABELS, settings, seed)


def without_dropout(model: Any) -> Any:
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.config.classifier_dropout = 0.0
    return model


def some_batch(rows: int = 6, tokens: int = 9, seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int32)
    return {
        "input_ids": tf.constant(rng.integers(5, 60, (rows, tokens)) * mask, tf.int32),
        "attention_mask": tf.constant(mask),
        "label_id": tf.constant(rng.integers(0, 3, rows), tf.int32),
        ROW_WEIGHT: tf.ones([rows]),
    }


def rows_of(batch: dict[str, tf.Tensor], start: int, stop: int) -> dict[str, tf.Tensor]:
    return {name: value[start:stop] for name, value in batch.items()}


# --- loading without torch ------------------------------------------------------------------------


def test_pytorch_weights_arrive_transposed_where_tensorflow_wants_it(checkpoint: Path) -> None:
    model, tensors = load(checkpoint), load_file(checkpoint / "model.safetensors")
    layer = model.bert.encoder.layer[1]
    np.testing.assert_array_equal(
        model.bert.embeddings.weight.numpy(), tensors["embeddings.word_embeddings.weight"]
    )
    np.testing.assert_array_equal(
        layer.intermediate.dense.kernel.numpy(), tensors["encoder.layer.1.intermediate.dense.weight"].T
    )
    np.testing.assert_array_equal(
        layer.attention.self_attention.key.kernel.numpy(),
        tensors["encoder.layer.1.attention.self.key.weight"].T,
    )


def test_prefixed_names_of_an_older_checkpoint_load_alike(checkpoint: Path, tmp_path: Path) -> None:
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(checkpoint / "model.safetensors")
    rng = np.random.default_rng(1)
    for name in tensors:
        if "LayerNorm" in name:
            tensors[name] = rng.normal(size=tensors[name].shape).astype(np.float32)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    expected = classify(load(tmp_path), some_batch()).numpy()
    old = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in tensors.items()
    }
    old["classifier.weight"] = np.ones((7, 32), np.float32)  # another task's head is not taken over
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(classify(load(tmp_path), some_batch()).numpy(), expected)


def test_shards_load_like_one_file(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    for path in checkpoint.iterdir():
        if path.name != "model.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    names = sorted(tensors)
    shards = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for shard, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, tmp_path / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, inside in shards.items() for name in inside}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    expected = classify(load(checkpoint), some_batch()).numpy()
    np.testing.assert_array_equal(classify(load(tmp_path), some_batch()).numpy(), expected)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "encoder.layer.1.output.dense.weight",
            None,
            r"the weights lack tensor encoder\.layer\.1\.output\.dense",
        ),
        ("encoder.layer.0.output.dense.weight", (16, 16), r"has shape \[16, 16\], config\.json asks for"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_named(
    checkpoint: Path, tmp_path: Path, name: str, change: tuple[int, int] | None, message: str
) -> None:
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(checkpoint / "model.safetensors")
    del tensors[name]
    if change:
        tensors[name] = np.zeros(change, np.float32)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_head_is_fresh_and_the_same_for_the_same_seed(checkpoint: Path) -> None:
    first, again, other = (load(checkpoint, seed=s).classifier.kernel.numpy() for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.001
    assert np.abs(first).max() <= 0.04 + 1e-6  # two standard deviations of initializer_range 0.02


# --- forward pass ---------------------------------------------------------------------------------


def test_logits_and_gradients_equal_the_hugging_face_class(checkpoint: Path) -> None:
    model, batch = without_dropout(load(checkpoint)), some_batch()
    with tf.GradientTape(persistent=True) as tape:
        ours = classify(model, batch)
        theirs = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], training=False
        ).logits
        losses = [tf.reduce_sum(row_losses(logits, batch)) for logits in (ours, theirs)]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=2e-6)
    variables = trained_variables(model, FreezeSettings())
    assert len(variables) == len(model.trainable_variables) == 41
    for mine, other in zip(
        tape.gradient(losses[0], variables), tape.gradient(losses[1], variables), strict=True
    ):
        np.testing.assert_allclose(tf.convert_to_tensor(mine), tf.convert_to_tensor(other), atol=2e-6)


ALL_ACTIVATIONS = [{"hidden_act": name} for name in ACTIVATIONS]
READ = [
    *(
        {"layer_norm_eps": 0.1},
        {"num_attention_heads": 8},
        {"num_attention_heads": 1},
        {"classifier_dropout": 0.3},
    ),
    {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "initializer_range": 0.5},
]
# What BERT returns beside the logits, its loss, and what other models or another framework read.
WITHOUT_EFFECT = [
    *(
        {"output_attentions": True},
        {"output_hidden_states": True},
        {"use_cache": False},
        {"torchscript": True},
    ),
    *(
        {"return_dict": False},
        {"chunk_size_feed_forward": 3},
        {"tie_word_embeddings": False},
        {"pad_token_id": 7},
    ),
    *(
        {"problem_type": "regression"},
        {"problem_type": "nonsense"},
        {"torch_dtype": "float16"},
        {"dtype": "int4"},
    ),
    *(
        {"id2label": {"x": 1}, "num_labels": 9},
        {"architectures": ["BertLMHeadModel"]},
        {"rotary_base": 10000},
    ),
]


@pytest.mark.parametrize("values", [*ALL_ACTIVATIONS, *READ, *WITHOUT_EFFECT], ids=str)
def test_logits_equal_the_hugging_face_class_whatever_the_config_says(
    checkpoint: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "encoder"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    model, batch = load(folder), some_batch()
    # Its own class, with its own reading of the file; of these two it would make an error, not another model.
    own = {key: value for key, value in values.items() if value not in ("nonsense", {"x": 1})}
    theirs = transformers.TFBertForSequenceClassification(
        transformers.BertConfig(**{**config, **own, "num_labels": len(LABELS)})
    )
    theirs.build_in_name_scope()
    for variable, value in zip(theirs.variables, model.variables, strict=True):
        variable.assign(value)
    answer = theirs(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], return_dict=True, training=False
    )
    np.testing.assert_allclose(classify(model, batch).numpy(), answer.logits.numpy(), atol=2e-6)


def test_values_that_are_no_finite_number_do_not_reach_the_model(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "encoder"))
    tensors = load_file(folder / "model.safetensors")
    tensors["pooler.dense.bias"][0] = np.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"tensor pooler\.dense\.bias: 1 of 32 values are infinite or NaN"
    ):
        load(folder)


def test_token_types_reach_the_embedding(checkpoint: Path) -> None:
    model, batch = load(checkpoint), some_batch()
    types = tf.cast(tf.range(9) > 4, tf.int32)[None] * batch["attention_mask"]
    ours = classify(model, {**batch, "token_type_ids": types}).numpy()
    theirs = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], token_type_ids=types
    ).logits.numpy()
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert np.abs(ours - classify(model, batch).numpy()).max() > 1e-4


def test_padding_changes_nothing(checkpoint: Path) -> None:
    model, batch = load(checkpoint), some_batch()
    padded = {name: tf.pad(batch[name], [[0, 0], [0, 5]]) for name in ("input_ids", "attention_mask")}
    np.testing.assert_allclose(classify(model, padded).numpy(), classify(model, batch).numpy(), atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_half_precision_stays_near_float32(checkpoint: Path, dtype: tf.DType) -> None:
    model, batch = load(checkpoint), some_batch()
    half = classify(model, batch, dtype=dtype)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half.numpy(), classify(model, batch).numpy(), atol=0.01)


def test_dropout_keeps_the_mean_and_repeats_by_seed() -> None:
    values = tf.ones([200, 200])
    first, again = (Dropout(tf.constant([5, 0], tf.int64))(values, 0.1).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert sorted(set(first.ravel().round(4))) == [0.0, 1.1111]
    assert abs(first.mean() - 1.0) < 0.01
    dropout = Dropout(tf.constant([5, 0], tf.int64))
    assert np.abs(dropout(values, 0.1) - dropout(values, 0.1)).max() > 0  # each call its own mask
    assert Dropout(None)(values, 0.1) is values


def test_dropout_setting_replaces_the_checkpoints(checkpoint: Path) -> None:
    assert load(checkpoint).config.classifier_dropout is None
    assert load(checkpoint, dropout=0.4).config.classifier_dropout == 0.4


# --- loss -----------------------------------------------------------------------------------------


def test_label_smoothing_literal() -> None:
    logits = tf.constant([[math.log(3.0), 0.0]])  # probabilities 0.75, 0.25
    plain = row_losses(logits, {"label_id": tf.constant([0])}).numpy()
    smooth = row_losses(logits, {"label_id": tf.constant([0])}, smoothing=0.1).numpy()
    assert plain == pytest.approx([-math.log(0.75)], abs=1e-6)
    assert smooth == pytest.approx([-(0.95 * math.log(0.75) + 0.05 * math.log(0.25))], abs=1e-6)


# --- optimizer ------------------------------------------------------------------------------------


def train_settings(**values: Any) -> TrainSettings:
    return TrainSettings(**{"clip_norm": None, "warmup_ratio": 0.0, "schedule": "constant", **values})


def test_adamw_follows_the_published_update() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 3)).astype("f"), rng.normal(size=3).astype("f")
    variables = [tf.Variable(kernel, name="dense/kernel"), tf.Variable(bias, name="dense/bias")]
    settings = train_settings(weight_decay=0.1, adam_epsilon=1e-3)
    optimizer = AdamW(variables, settings)
    expected = [kernel.astype("d"), bias.astype("d")]
    moments = [[np.zeros_like(e), np.zeros_like(e)] for e in expected]
    for step in range(1, 5):
        gradients = [rng.normal(size=e.shape).astype("f") for e in expected]
        optimizer.apply([tf.constant(2.0 * g) for g in gradients], tf.constant(2.0), tf.constant(0.01))
        for i, g in enumerate(gradients):
            m, v = moments[i]
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g.astype("d") ** 2
            decay = 0.1 if i == 0 else 0.0
            update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-3)
            expected[i] = expected[i] * (1 - 0.01 * decay) - 0.01 * update
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=2e-5, atol=2e-6)
    assert optimizer.step.numpy() == 4


def test_gradients_are_clipped_to_the_global_norm() -> None:
    variable = tf.Variable([0.0, 0.0], name="kernel")
    optimizer = AdamW([variable], train_settings(clip_norm=1.0))
    norm = optimizer.apply([tf.constant([6.0, 8.0])], tf.constant(2.0), tf.constant(0.0))
    assert norm.numpy() == pytest.approx(5.0)  # of the mean gradient [3, 4]
    np.testing.assert_allclose(optimizer.first_moments[0].numpy(), [0.06, 0.08], rtol=1e-5)


def test_biases_and_layer_norms_are_not_decayed(checkpoint: Path) -> None:
    decayed = {v.name for v in load(checkpoint).trainable_variables if is_decayed(v)}
    assert not [name for name in decayed if "LayerNorm" in name or "bias" in name]
    assert len(decayed) == 3 + 2 * 6 + 2  # embeddings, six kernels a layer, pooler and head


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.0, 0.5, 1.0, 0.8536, 0.5, 0.1464]),
    ],
)
def test_learning_rate_literal(schedule: str, expected: list[float]) -> None:
    settings = TrainSettings(learning_rate=1.0, warmup_ratio=1 / 3, schedule=schedule)
    assert [learning_rate(settings, step, 6) for step in range(6)] == pytest.approx(expected, abs=1e-4)


def test_overflow_skips_the_step_and_halves_the_loss_scale() -> None:
    variable = tf.Variable([1.0], name="kernel")
    optimizer = AdamW([variable], train_settings(mixed_precision="float16"))
    before = optimizer.loss_scale.numpy()
    optimizer.apply([tf.constant([math.inf])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy().tolist() == [1.0]
    assert optimizer.loss_scale.numpy() == before / 2
    optimizer.apply([tf.constant([before / 2])], tf.constant(1.0), tf.constant(0.1))
    assert variable.numpy()[0] == pytest.approx(0.9 - 0.001, abs=1e-5)


# --- step -----------------------------------------------------------------------------------------


def make_step(model: Any, settings: TrainSettings) -> TrainStep:
    variables = trained_variables(model, settings.freeze)
    return TrainStep(model, variables, AdamW(variables, settings), settings, STRATEGY, text_pairs=False)


def weights(model: Any) -> list[np.ndarray]:
    return [v.numpy() for v in model.trainable_variables]


RATE = tf.constant(0.01)


def test_accumulated_passes_equal_the_big_batch(checkpoint: Path) -> None:
    batch = some_batch(rows=7)
    batch[ROW_WEIGHT] = tf.constant([1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 0.0])
    big, small = (without_dropout(load(checkpoint)) for _ in range(2))
    # A large epsilon: Adam's division would blow rounding up where a gradient is nearly nothing.
    settings = {"clip_norm": 1.0, "adam_epsilon": 0.1}
    big_step = make_step(big, train_settings(**settings))
    step = make_step(small, train_settings(gradient_accumulation=3, **settings))
    for _ in range(2):  # the second round shows that the sums were emptied
        loss = big_step.update(batch, 0, RATE)
        step.accumulate(rows_of(batch, 0, 3), 0)
        step.accumulate(rows_of(batch, 3, 5), 1)
        assert step.update(rows_of(batch, 5, 7), 2, RATE).numpy() == pytest.approx(loss.numpy(), abs=1e-5)
        for mine, other in zip(weights(small), weights(big), strict=True):
            np.testing.assert_allclose(mine, other, atol=5e-6)


def test_zero_weight_rows_do_not_count(checkpoint: Path) -> None:
    full, part = (without_dropout(load(checkpoint)) for _ in range(2))
    batch = some_batch(rows=6)
    batch[ROW_WEIGHT] = tf.constant([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    settings = train_settings(adam_epsilon=0.1)
    first = make_step(full, settings).update(batch, 0, RATE)
    second = make_step(part, settings).update(rows_of(batch, 0, 4), 0, RATE)
    assert first.numpy() == pytest.approx(second.numpy(), abs=1e-6)
    for mine, other in zip(weights(full), weights(part), strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-6)


def test_batch_of_weight_zero_changes_no_weight_and_no_moment(checkpoint: Path) -> None:
    model = load(checkpoint)
    before = weights(model)
    batch = some_batch(rows=3)
    batch[ROW_WEIGHT] = tf.constant([0.0, 0.0, 0.0])
    settings = train_settings(class_weights={"animal": 0.0}, weight_decay=0.1)
    variables = trained_variables(model, settings.freeze)
    optimizer = AdamW(variables, settings)
    step = TrainStep(model, variables, optimizer, settings, STRATEGY, text_pairs=False)
    assert step.update(batch, 0, RATE).numpy() == 0.0
    assert (optimizer.step.numpy(), optimizer.updates.numpy()) == (1, 0)
    for mine, other in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    batch[ROW_WEIGHT] = tf.constant([0.0, 1.0, 0.0])
    assert step.update(batch, 1, RATE).numpy() > 0.0
    assert (optimizer.step.numpy(), optimizer.updates.numpy()) == (2, 1)


def test_row_weights_weigh_the_loss(checkpoint: Path) -> None:
    model = without_dropout(load(checkpoint))
    batch = some_batch(rows=2)
    losses = row_losses(classify(model, batch), batch).numpy()
    batch[ROW_WEIGHT] = tf.constant([3.0, 1.0])
    loss = make_step(model, train_settings()).update(batch, 0, RATE).numpy()
    assert loss == pytest.approx((3 * losses[0] + losses[1]) / 4, abs=1e-5)


def test_frozen_parts_keep_their_weights(checkpoint: Path) -> None:
    model = load(checkpoint)
    settings = train_settings(freeze=FreezeSettings(embeddings=True, layers=1))
    before = {v.name: v.numpy() for v in model.trainable_variables}
    make_step(model, settings).update(some_batch(), 0, RATE)
    same = {v.name for v in model.trainable_variables if np.array_equal(before[v.name], v.numpy())}
    frozen = {name for name in before if "/embeddings/" in name or "layer_._0" in name}
    assert same == frozen


def test_freezing_more_layers_than_there_are_is_refused(checkpoint: Path) -> None:
    with pytest.raises(PipelineError, match=r"train\.freeze\.layers 3 is more than the 2 layers"):
        trained_variables(load(checkpoint), FreezeSettings(layers=3))


@pytest.mark.parametrize(
    "values", [{"mixed_precision": "bfloat16"}, {"mixed_precision": "float16"}, {"xla": True}]
)
def test_other_ways_to_compute_lower_the_loss(checkpoint: Path, values: dict[str, Any]) -> None:
    step, batch = make_step(load(checkpoint), train_settings(**values)), some_batch()
    losses = [float(step.update(batch, i, tf.constant(0.003))) for i in range(12)]
    assert losses[-1] < 0.7 * losses[0]
