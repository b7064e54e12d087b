"""Span metrics through TFMA: slices, confidence intervals, thresholds and values by type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator import eval_model
from components.evaluator.evaluation import Evaluation, read_evaluation
from components.evaluator.settings import EvaluateSettings, SliceSettings, ThresholdSettings
from models.tasks.task import TASKS, Task, every_metric
from pipeline.eval_config import make_eval_config

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
# Tags, the answered tags, which are the text, and the source. The second answer is of a text that was cut.
ROWS = [
    ("B-PER I-PER O B-LOC", "B-PER I-PER O O", "x"),
    ("B-LOC O B-PER", "B-LOC", "x"),
    ("O B-PER", "B-PER B-PER", "y"),
    ("B-PER", "B-PER", "y"),
]


class Tagger(tf.Module):
    """Answers with the tags that the text is."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        tags = tf.strings.split(text).to_tensor("", shape=[None, 6])
        return {
            "tags": tags,
            "scores": tf.cast(tags != "", tf.float32),
            "all_classes": tf.tile(tf.constant([LABELS]), [tf.size(text), 1]),
        }


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """The task as a row of TASKS, which it is not yet."""
    row = Task("token_labels", "models.tasks.token_labels")
    monkeypatch.setitem(TASKS, row.name, row)
    every_metric.cache_clear()
    yield row
    every_metric.cache_clear()


def evaluated(folder: Path, task: Task, rows: list[tuple[str, str, str]]) -> Evaluation:
    """Runs TFMA as the Evaluator does, and reads its files."""
    model = Tagger()
    tf.saved_model.save(model, str(folder / "model"), signatures={"serving_default": model.serve})
    with tf.io.TFRecordWriter(str(folder / "rows.tfrecord")) as writer:
        for tags, text, source in rows:
            example = tf.train.Example()
            for name, values in (("text", [text]), ("source", [source]), ("label", tags.split())):
                example.features.feature[name].bytes_list.value.extend(value.encode() for value in values)
            writer.write(example.SerializeToString())
    settings = EvaluateSettings.model_construct(
        metrics=["span_f1"],
        thresholds={"span_f1": ThresholdSettings(min=0.75)},
        slices=[SliceSettings(columns=["source"])],
    )
    config = make_eval_config(task, settings, "label", LABELS)
    del config.model_specs[1]
    config.options.compute_confidence_intervals.value = True
    shared = eval_model.default_eval_shared_model(
        str(folder / "model"), eval_config=config, model_name="candidate"
    )
    tfma.run_model_analysis(
        shared,
        eval_config=config,
        data_location=str(folder / "rows.tfrecord"),
        output_path=str(folder / "out"),
    )
    return read_evaluation(folder / "out", "label")


def test_spans_have_figures_by_slice_and_by_type_with_confidence_intervals(
    task: Task, tmp_path: Path
) -> None:
    found = evaluated(tmp_path, task, ROWS * 20)
    # Of four rows, PER: 3 right, 4 predicted, 4 labelled; LOC: 1 right, 1 predicted, 2 labelled. Words: 3/4, 2/3, 1/2, 1/1.
    assert found.metrics == pytest.approx(
        {
            "span_f1": 2 * 4 / (5 + 6),
            "span_precision": 4 / 5,
            "span_recall": 4 / 6,
            "token_accuracy": 7 / 10,
            "example_count": 80,
        }
    )
    assert found.per_class["f1"] == pytest.approx({1: 6 / 8, 3: 2 / 3})
    assert {name: values["span_f1"] for name, values in found.slices.items()} == pytest.approx(
        {"source=x": 4 / 6, "source=y": 4 / 5}
    )
    assert found.refusals == ("span_f1 0.7273 is below the threshold 0.75",)
    whole = dict(tfma.load_eval_result(str(tmp_path / "out")).slicing_metrics)[()]
    bounds = whole[""][""]["span_f1"]["boundedValue"]
    assert bounds["lowerBound"] < bounds["value"] < bounds["upperBound"]
