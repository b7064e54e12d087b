"""Converts the metrics, thresholds and slices of a config into a `tfma.EvalConfig`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.evaluation import ROUNDING
from components.evaluator.settings import EvaluateSettings, ThresholdSettings, class_metric_name
from components.fingerprints import code_fingerprint
from models import features
from models.own_parts import is_own, module_of
from models.tasks.metric import BY_TASK
from models.tasks.task import Task, metric

METRICS_MODULE = "components.evaluator.metrics"
TASK_METRICS_MODULE, TASK_METRIC = "components.evaluator.task_metrics", "TaskMetric"
OWN_METRICS_MODULE, OWN_METRIC = "components.evaluator.own_metric", "OwnMetric"
CLASS_METRIC_MODULE, CLASS_METRIC = "components.evaluator.class_metric", "ClassMetric"
# `serve.precision` -> the module with which the Evaluator loads a model.
MODEL_MODULES = {
    "float32": "components.evaluator.eval_model",
    "bfloat16": "components.evaluator.eval_model_bfloat16",
}
_TFMA = "tfma."


def make_eval_config(
    task: Task,
    settings: EvaluateSettings,
    label_column: str,
    labels: Sequence[str],
    precision: str = "float32",
) -> config_pb2.EvalConfig:
    """Builds the EvalConfig of a model, which contains a fingerprint of the metrics' code.

    Args:
        task: what the model learned.
        settings: the config's `evaluate` section.
        label_column: raw column with the label.
        labels: the label list; output i of the head belongs to labels[i].
        precision: the config's serve.precision.
    """
    config = config_pb2.EvalConfig()
    own = sorted({module_of(name) for name in settings.names() if is_own(name)})
    modules = (
        METRICS_MODULE,
        TASK_METRICS_MODULE,
        CLASS_METRIC_MODULE,
        MODEL_MODULES[precision],
        *task.evaluation_modules(),
    )
    modules += (OWN_METRICS_MODULE, *task.modules("figures"), *own) if own else ()
    code = code_fingerprint(*modules)
    for name, is_baseline in (("candidate", False), ("baseline", True)):
        config.model_specs.add(
            name=name,
            is_baseline=is_baseline,
            # Loaded as a plain SavedModel: as a Keras model it would be loaded twice, for metrics of its own.
            model_type="tf_generic",
            signature_name=features.SERVING_SIGNATURE,
            label_key=label_column,
            prediction_key=task.facts().ANSWER,
        )
    config.slicing_specs.add()
    for slicing in settings.slices:
        config.slicing_specs.add(feature_keys=slicing.columns)
    _add_metrics(config, task, settings, labels, code)
    _add_class_metrics(config, task, settings, labels, code)
    config.options.include_default_metrics.value = False
    return config


def _add_metrics(
    config: config_pb2.EvalConfig, task: Task, settings: EvaluateSettings, labels: Sequence[str], code: str
) -> None:
    # REPORTED metrics are always computed, because the summary shows them.
    plain = config.metrics_specs.add()
    for name in dict.fromkeys([*task.facts().REPORTED, *settings.names()]):
        if not is_own(name) and task.facts().METRICS[name].one_against_rest:
            spec = config.metrics_specs.add()
            spec.aggregate.macro_average = True
            spec.aggregate.class_weights.update(dict.fromkeys(range(len(labels)), 1.0))
        else:
            spec = plain
        _add_metric(spec, task, name, settings, labels, code)


def _add_metric(
    spec: config_pb2.MetricsSpec,
    task: Task,
    name: str,
    settings: EvaluateSettings,
    labels: Sequence[str],
    code: str,
) -> None:
    class_name, module, options = _computed(task, name, labels, code)
    added = spec.metrics.add(class_name=class_name, module=module, config=json.dumps(options))
    if name in settings.thresholds:
        # Not `metric.threshold`: TFMA applies that one to every slice, not only to the whole split.
        _add_slice_threshold(added, settings.thresholds[name], columns=())
    for slicing in settings.slices:
        if name in slicing.thresholds:
            _add_slice_threshold(added, slicing.thresholds[name], slicing.columns)


def _computed(task: Task, name: str, labels: Sequence[str], code: str) -> tuple[str, str, dict[str, object]]:
    """Class, module and options of a metric, for its MetricConfig."""
    if is_own(name):
        of_own = {"task": task.name, "labels": list(labels)}
        return OWN_METRIC, OWN_METRICS_MODULE, {"name": name, "code": code, **of_own}
    class_name = task.facts().METRICS[name].computed_by
    if class_name.startswith(_TFMA):
        return class_name.removeprefix(_TFMA), "", {"name": name}
    options = {"name": name, "classes": len(labels), "code": code}
    if class_name == BY_TASK:
        return TASK_METRIC, TASK_METRICS_MODULE, {**options, "task": task.name}
    return class_name, METRICS_MODULE, options


def _add_class_metrics(
    config: config_pb2.EvalConfig, task: Task, settings: EvaluateSettings, labels: Sequence[str], code: str
) -> None:
    """Adds the metrics of single labels that have bounds."""
    for (measure, label), bounds in settings.class_bounds.items():
        class_name, module, of_metric = _computed(task, task.facts().PER_CLASS[measure], labels, code)
        options = {
            "name": class_metric_name(measure, label),
            "class_id": labels.index(label),
            "class_name": class_name,
            "module": module,
            "options": of_metric,
        }
        added = config.metrics_specs[0].metrics.add(
            class_name=CLASS_METRIC, module=CLASS_METRIC_MODULE, config=json.dumps(options)
        )
        _add_slice_threshold(added, bounds, columns=())


def _add_slice_threshold(
    configured: config_pb2.MetricConfig, bounds: ThresholdSettings, columns: Sequence[str]
) -> None:
    """Adds bounds for every slice by `columns`, or for the whole split if there are no columns."""
    bound = configured.per_slice_thresholds.add()
    bound.slicing_specs.add(feature_keys=columns)
    bound.threshold.CopyFrom(_threshold(json.loads(configured.config)["name"], bounds))


def _threshold(name: str, bounds: ThresholdSettings) -> config_pb2.MetricThreshold:
    threshold = config_pb2.MetricThreshold()
    if bounds.min is not None:
        threshold.value_threshold.lower_bound.value = bounds.min
    if bounds.max is not None:
        threshold.value_threshold.upper_bound.value = bounds.max
    if bounds.max_worse is not None:
        worse_is_up = metric(name).lower_is_better
        threshold.change_threshold.direction = (
            config_pb2.MetricDirection.LOWER_IS_BETTER
            if worse_is_up
            else config_pb2.MetricDirection.HIGHER_IS_BETTER
        )
        drop = bounds.max_worse + ROUNDING
        threshold.change_threshold.absolute.value = drop if worse_is_up else -drop
    return threshold
