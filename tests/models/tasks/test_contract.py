"""The contract of a task, from the raw label to the report; each row of TASKS runs all of it.

What needs no row is also run by `tests/support/toy_task/`, whose labels are numbers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
import yaml
from tensorflow_transform import impl_helper
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from components.evaluator import metrics as own_metrics
from components.evaluator.settings import EvaluateSettings
from components.report.sections import drawn
from models import features
from models.answers import answer_name
from models.errors import PipelineError
from models.tasks.importing import Imported, Spread
from models.tasks.metric import BY_TASK
from models.tasks.objective import Objective
from models.tasks.sections import Judged
from models.tasks.task import DEFAULT_TASK, LOSS, TASKS, Task, every_metric, every_score
from models.tasks.text_words import TextWords


class Sample(NamedTuple):
    """Rows of a task, and logits that answer all of them right.

    `column`: values of the label column. `outside`: parsed rows with a label that cannot be. `raw`: its values' type.
    `word_index`: the words of the rows' tokens, if words are labelled.
    """

    labels: list[str]
    column: list[Any]
    outside: dict[str, Any]
    right: np.ndarray
    raw: tf.DType = tf.string
    several: bool = False
    word_index: tuple[tuple[int, ...], ...] = ()

    def values(self) -> list[list[Any]]:
        """The values of the label column of each row."""
        return self.column if self.several else [[value] for value in self.column]


SAMPLES = {
    "single_label": Sample(
        labels=["HUM", "LOC", "NUM"],
        column=[b"LOC", b"HUM", b"NUM", b"LOC"],
        outside={features.LABEL_ID: tf.constant([0, 3], tf.int64)},
        right=np.array([[0, 9, 0], [9, 0, 0], [0, 0, 9], [0, 9, 0]], np.float32),
    ),
    "multi_label": Sample(
        labels=["HUM", "LOC", "NUM"],
        column=[[b"LOC", b"HUM"], [b"HUM"], [b"NUM", b"LOC"], [b"NUM"]],
        outside={"label_ids": tf.ragged.constant([[0], [1, 3]], tf.int64)},
        right=np.array([[9, 9, -9], [9, -9, -9], [-9, 9, 9], [-9, -9, 9]], np.float32),
        several=True,
    ),
    "token_labels": Sample(
        labels=["O", "B-PER", "I-PER"],
        column=[[b"B-PER", b"O"], [b"O", b"B-PER", b"I-PER"], [b"B-PER"], [b"O", b"B-PER"]],
        outside={
            "tag_ids": tf.ragged.constant([[0], [1, 3]], tf.int64),
            "word_index": tf.ragged.constant([[-1, 0], [-1, 0, 1]], tf.int64),
        },
        right=9.0
        * np.eye(3, dtype=np.float32)[[[0, 1, 1, 0, 0], [0, 0, 1, 2, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]],
        several=True,
        word_index=((-1, 0, 0, 1, -1), (-1, 0, 1, 2, -1), (-1, 0, 0, 0, -1), (-1, 0, 1, -1, -1)),
    ),
    "regression": Sample(
        labels=["stars"],
        column=[4.5, 2.0, 3.25, -4.0],
        outside={"target": tf.constant([1.0, np.nan])},
        right=np.array([[4.5], [2.0], [3.25], [-4.0]], np.float32),
        raw=tf.float32,
    ),
    "toy": Sample(
        labels=["stars"],
        column=[4.5, 2.0, 3.25, -4.0],
        outside={"target": tf.constant([1.0, np.nan])},
        right=np.array([[4.5], [2.0], [3.25], [-4.0]], np.float32),
        raw=tf.float32,
    ),
}
TOY = Task("toy", "tests.support.toy_task")


@pytest.fixture(params=[*sorted(TASKS), "toy"])
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS.get(request.param, TOY)


@pytest.fixture(params=sorted(TASKS))
def row(request: pytest.FixtureRequest) -> Task:
    """A task of the project."""
    return TASKS[request.param]


@pytest.fixture
def sample(task: Task) -> Sample:
    return SAMPLES[task.name]


@pytest.fixture
def label_list(sample: Sample, tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"{label}\n" for label in sample.labels), encoding="utf-8")
    return path


@pytest.fixture
def batch(task: Task, sample: Sample, label_list: Path) -> dict[str, tf.Tensor]:
    """The labels of the sample as Transform writes them and the Trainer reads them."""
    labels, graph = task.labels(), str(label_list.parent / "graph")
    raw_spec = {
        "label": tf.io.VarLenFeature(sample.raw) if sample.several else tf.io.FixedLenFeature([], sample.raw)
    }
    given = tf.ragged.constant(sample.column).to_sparse() if sample.several else tf.constant(sample.column)
    type_spec = (
        tf.SparseTensorSpec([None, None], sample.raw) if sample.several else tf.TensorSpec([None], sample.raw)
    )
    impl_helper.analyze_in_place(
        lambda raw: labels.label_features(raw["label"], label_list),
        force_tf_compat_v1=False,
        feature_specs=raw_spec,
        type_specs={"label": type_spec},
        transform_output_path=graph,
    )
    raw_metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(raw_spec))
    metadata_io.write_metadata(raw_metadata, f"{graph}/metadata")
    transformed = tft.TFTransformOutput(graph).transform_features_layer()({"label": given})
    columns = dict(transformed)
    if sample.word_index:
        columns[features.WORD_INDEX] = tf.ragged.constant(sample.word_index, tf.int64)
    records = [
        _example({name: _of_row(values, i) for name, values in columns.items()})
        for i in range(len(sample.column))
    ]
    rows = tf.io.parse_example(records, labels.parsing_spec())
    return labels.batch(rows, tf.range(len(records)))


def _of_row(values: Any, row: int) -> np.ndarray:
    dense = tf.RaggedTensor.from_sparse(values) if isinstance(values, tf.SparseTensor) else values
    return dense[row].numpy()


def _example(values: dict[str, np.ndarray]) -> bytes:
    """The label features of one row, as Transform writes them."""
    example = tf.train.Example()
    for name, value in values.items():
        feature = example.features.feature[name]
        kind = feature.float_list if value.dtype.kind == "f" else feature.int64_list
        kind.value.extend(np.atleast_1d(value))
    return example.SerializeToString()


def objective(sample: Sample) -> Objective:
    return Objective(labels=tuple(sample.labels))


def served(task: Task, sample: Sample, logits: np.ndarray) -> dict[str, tf.Tensor]:
    """The served outputs of the sample's rows."""
    head, classes = task.head(), tf.constant(sample.labels)
    if not task.facts().OF_WORDS:
        return head.served_outputs(tf.constant(logits), classes)
    texts = tf.ragged.constant([["w"] * len(row) for row in sample.column])
    places = tf.ragged.constant([[*range(len(row))] for row in sample.column], tf.int64)
    index = tf.constant(sample.word_index, tf.int32)
    words = TextWords(texts, places, places + 1, index, sample.labels, logits.shape[1])
    return head.word_outputs(tf.constant(logits), classes, words)


def answers(task: Task, sample: Sample, logits: np.ndarray) -> np.ndarray:
    """What the task's figures read of the served outputs."""
    values = [served(task, sample, logits)[name].numpy() for name in task.facts().PREDICTED]
    return np.stack(values, -1) if len(values) > 1 else values[0]


def targets(task: Task, sample: Sample) -> np.ndarray:
    return task.figures().targets(sample.values(), sample.labels)


def test_a_row_names_its_key_and_there_is_a_default():
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    assert DEFAULT_TASK in TASKS
    assert SAMPLES.keys() == {*TASKS, "toy"}


def test_facts_name_metrics_and_scores_of_the_task(task):
    facts = task.facts()
    named = {*facts.DEFAULT_METRICS, *facts.REPORTED, *facts.PER_CLASS.values(), *facts.SLICE_METRICS}
    assert named | {facts.RANKS_SLICES, *facts.EXPORT_METRICS} <= facts.METRICS.keys()
    assert {LOSS, facts.BEST_METRIC} <= facts.SCORES.keys()
    assert set([*facts.PER_CLASS.values()][-1:]) <= set(facts.REPORTED)  # it ranks classes
    assert facts.LOSSES
    assert not facts.METRICS[facts.RANKS_SLICES].over_classes
    assert facts.SCORES[LOSS].lower_is_better


def test_every_metric_that_rates_a_model_can_choose_the_best_weights(row):
    facts = row.facts()
    rates = {name for name, metric in facts.METRICS.items() if not metric.counts_rows}
    assert rates - set(facts.SCORES) == set()
    for name in rates:
        assert facts.METRICS[name].lower_is_better == facts.SCORES[name].lower_is_better


def test_a_name_means_the_same_in_every_task(row):
    facts = row.facts()
    for name, known in facts.METRICS.items():
        # How it is computed may differ: TFMA's metrics are for single labels.
        computed = {"computed_by": known.computed_by, "one_against_rest": known.one_against_rest}
        assert replace(every_metric()[name], **computed) == known
    assert {name: every_score()[name] for name in facts.SCORES} == facts.SCORES


def test_every_metric_names_a_class_that_computes_it(task):
    for metric_name, known in task.facts().METRICS.items():
        if known.computed_by == BY_TASK:
            assert task.evaluation_modules()[-1].endswith(".evaluation")
            assert metric_name in task.evaluation().NEEDS_ROWS or task.evaluation().from_sums
            continue
        name = known.computed_by.removeprefix("tfma.")
        # TFMA also accepts metrics of Keras.
        places = [own_metrics] if name == known.computed_by else [tfma.metrics, tf.keras.metrics]
        assert any(hasattr(place, name) for place in places), known


def test_starting_thresholds_are_a_gate_of_metrics_of_the_task(row):
    counts = {label: 10 + i for i, label in enumerate(SAMPLES[row.name].labels)}
    spread = Spread()
    for number in (1.0, 2.0, 4.0):
        spread.add(number)
    splits = ("train", "eval", "test")
    imported = Imported(
        dict.fromkeys(splits, counts), dict.fromkeys(splits, 30), dict.fromkeys(splits, spread)
    )
    lines = row.starting().starting_texts(imported).thresholds
    bounds = yaml.safe_load("thresholds:\n" + lines)
    evaluate = EvaluateSettings.model_validate(bounds)
    assert set(evaluate.thresholds) <= row.facts().METRICS.keys()


def test_labels_become_what_the_head_reads(task, sample, batch):
    assert batch.keys() == task.labels().batch_spec().keys()
    for name, spec in task.labels().batch_spec().items():
        assert spec.is_compatible_with(batch[name]), name
    weights = [float(i + 1) for i in range(len(sample.labels))]
    assert task.labels().row_weights(batch, weights).shape == [len(sample.column)]


def test_a_label_that_cannot_be_is_refused_with_its_place(task, sample):
    with pytest.raises(PipelineError, match="shard-7: "):
        task.labels().counts(sample.outside, "shard-7", len(sample.labels))


def test_the_table_gives_the_labels_back(task, sample, label_list):
    table = task.labels().names_table(label_list)
    names = table.lookup(tf.range(len(sample.labels), dtype=tf.int64)).numpy()
    assert [name.decode() for name in names] == sample.labels


def test_losses_are_finite_and_differentiable_and_less_for_right_answers(task, sample, batch):
    head, logits = task.head(), tf.constant(sample.right)
    assert logits.shape[-1] == head.size(sample.labels)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = head.row_losses(logits, batch, objective(sample))
    assert (losses.dtype, losses.shape) == (tf.float32, [len(sample.column)])
    assert np.isfinite(tape.gradient(losses, logits)).all()
    assert (losses.numpy() < head.row_losses(-logits, batch, objective(sample)).numpy()).all()


def test_scores_add_up_over_batches_and_rows_of_weight_0_do_not_count(task, sample, batch):
    head, wrong = task.head(), tf.constant(np.concatenate([sample.right[:3], -sample.right[3:]]))
    whole = head.score_sums(wrong, batch, tf.ones([4]), objective(sample))
    parts = [
        head.score_sums(
            wrong[i:j], {k: v[i:j] for k, v in batch.items()}, tf.ones([j - i]), objective(sample)
        )
        for i, j in ((0, 2), (2, 4))
    ]
    np.testing.assert_allclose(whole, parts[0] + parts[1], rtol=1e-6)
    assert head.scores(whole.numpy()).keys() == task.facts().SCORES.keys()
    three = head.score_sums(wrong, batch, tf.constant([1.0, 1.0, 1.0, 0.0]), objective(sample))
    best = head.scores(three.numpy())
    score = task.facts().SCORES[task.facts().BEST_METRIC]
    assert best[task.facts().BEST_METRIC] == pytest.approx(0 if score.lower_is_better else score.highest)
    assert all(value == pytest.approx(1) for name, value in best.items() if every_score()[name].bounded)


def test_the_answer_is_the_only_served_output_with_numbers(task, sample):
    outputs = served(task, sample, sample.right)
    specs = {name: tf.TensorSpec.from_tensor(value) for name, value in outputs.items()}
    assert answer_name(specs) == task.facts().ANSWER
    assert {value.shape[0] for value in outputs.values()} == {len(sample.column)}


def test_figures_of_right_answers_have_no_mistake_and_can_be_drawn(task, sample):
    facts, figures, given = task.facts(), task.figures(), answers(task, sample, sample.right)
    ids, labels = targets(task, sample), [facts.label_text(values) for values in sample.values()]
    for name in facts.EXPORT_METRICS:
        known = facts.METRICS[name]
        best = 0.0 if known.lower_is_better else known.highest
        assert figures.measure(name, ids, given) == pytest.approx(best)
    if facts.EXPORT_METRICS:
        assert figures.agreement(given, given) == 1.0
    texts = [["a text"]] * len(labels)
    assert list(figures.mistakes(texts, labels, ids, given, sample.labels)) == []
    computed = figures.figures(ids, given, sample.labels)
    json.dumps([figures.scalars(computed), figures.dashboard(computed)], allow_nan=False)
    judged = Judged(len(labels), len(labels))
    sections = [*figures.answer_sections(computed, judged), *figures.confidence_sections(computed, judged)]
    assert [str(drawn(section)).startswith("<section><h2>") for section in sections] == [True] * len(sections)


def test_targets_of_rows_are_those_that_transform_writes(task, sample, batch):
    np.testing.assert_array_equal(task.labels().targets(batch), targets(task, sample))


def test_a_mistake_says_what_was_right_and_what_was_answered(task, sample):
    facts, figures = task.facts(), task.figures()
    given, labels = (
        answers(task, sample, -sample.right),
        [facts.label_text(values) for values in sample.values()],
    )
    texts = [["a text"]] * len(labels)
    found = list(figures.mistakes(texts, labels, targets(task, sample), given, sample.labels))
    assert len(found) == len(labels)
    assert found[0].texts == ("a text",)
    assert np.isfinite(figures.gravity(found[0]))
    assert labels[0] in [label for _, label, _ in figures.describe_mistake(found[0])]


def test_served_outputs_of_classes_are_those_that_the_servers_read():
    sample = SAMPLES["single_label"]
    outputs = (
        TASKS["single_label"].head().served_outputs(tf.constant(sample.right), tf.constant(sample.labels))
    )
    assert outputs.keys() == {features.PROBABILITIES, features.CLASSES, features.PREDICTED_LABEL}
    assert (outputs[features.PROBABILITIES].dtype, outputs[features.PROBABILITIES].shape) == (
        tf.float32,
        [len(sample.column), len(sample.labels)],
    )
    assert outputs[features.CLASSES].numpy().tolist() == [[x.encode() for x in sample.labels]] * 4
