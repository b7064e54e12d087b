"""Nodes with the interfaces of Trainer and Evaluator that take no time.

Without `from __future__ import annotations`: TFX reads the annotations of @component functions.
"""

import shutil
from pathlib import Path
from typing import Any, ClassVar

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import component_spec, standard_artifacts

from components import manifest
from components.model_files import write_sums


@component
def TinyTrainer(model: OutputArtifact[standard_artifacts.Model], content: Parameter[str]) -> None:
    """Writes a model folder whose weights are `content`, e.g. "0.7", the model's score."""
    folder = Path(model.uri) / "Format-Serving"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "weights").write_text(content)
    write_sums(folder)
    manifest.record(Path(model.uri))  # as the project's own runner does for every node


class TinyEvaluatorSpec(component_spec.ComponentSpec):
    PARAMETERS: ClassVar = {"bar": component_spec.ExecutionParameter(type=float)}
    INPUTS: ClassVar = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS: ClassVar = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing)}


class TinyEvaluatorExecutor(base_executor.BaseExecutor):
    """Blesses a model whose score is at least `bar` and not below the baseline's."""

    def Do(
        self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]
    ) -> None:
        model, baseline = input_dict["model"][0], input_dict.get("baseline_model") or []
        blessing = output_dict["blessing"][0]
        blessed = score(model) >= max([exec_properties["bar"], *map(score, baseline)])
        blessing.set_int_custom_property("blessed", int(blessed))
        blessing.set_int_custom_property("current_model_id", model.id)
        blessing.set_string_custom_property("baseline", baseline[0].uri if baseline else "")


class TinyEvaluator(base_component.BaseComponent):
    SPEC_CLASS = TinyEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TinyEvaluatorExecutor)

    def __init__(self, model: types.BaseChannel, baseline_model: types.BaseChannel, bar: float) -> None:
        blessing = types.Channel(type=standard_artifacts.ModelBlessing)
        super().__init__(
            TinyEvaluatorSpec(model=model, baseline_model=baseline_model, bar=bar, blessing=blessing)
        )


def score(model: types.Artifact) -> float:
    return float((Path(model.uri) / "Format-Serving/weights").read_text())


@component
def SavedModelTrainer(model: OutputArtifact[standard_artifacts.Model], content: Parameter[str]) -> None:
    """Exports a real SavedModel: `f(x: float32 []) -> x * float(content)`; content "corrupt" exports rubbish."""
    import tensorflow as tf

    folder = Path(model.uri) / "Format-Serving"
    if content == "corrupt":
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"\xff\xff not a graph")
        write_sums(folder)
        return
    module = tf.Module()
    module.factor = tf.Variable(float(content))
    module.f = tf.function(lambda x: x * module.factor, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(folder))
    write_sums(folder)


@component
def InfraJudge(
    model: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    verdict: Parameter[int],
    with_model: Parameter[int] = 0,
) -> None:
    """The output of an InfraValidator: a verdict and, if requested, a copy of the model with warm-up requests."""
    blessing.set_int_custom_property("blessed", verdict)
    blessing.set_int_custom_property("has_model", with_model)
    if with_model:
        copy = Path(blessing.uri) / "stamped_model"
        shutil.copytree(Path(model.uri) / "Format-Serving", copy)
        (copy / "assets.extra/tf_serving_warmup_requests").write_bytes(b"warm up")
        write_sums(copy)
