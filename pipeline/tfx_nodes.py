"""TFX's own nodes, each with all that does not depend on what is wired to it."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tfx.components.evaluator.component import Evaluator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types.channel import BaseChannel

from components.baseline.last_blessed import last_blessed
from components.model_parts import ModelParts
from components.statistics_options import SketchedStatsOptions
from pipeline.config import Config
from pipeline.custom_config import trainer_config, transform_config
from pipeline.eval_config import MODEL_MODULES, make_eval_config
from pipeline.paths import PipelinePaths


def make_statistics_gen(examples: BaseChannel) -> StatisticsGen:
    """Statistics of every split; output `statistics`."""
    return StatisticsGen(examples=examples, stats_options=SketchedStatsOptions())


def make_transform(
    config: Config, parts: ModelParts, *, examples: BaseChannel, schema: BaseChannel
) -> Transform:
    """Raw text to token ids and labels; outputs `transform_graph` and, of train and eval, `transformed_examples`."""
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        # The model is judged on raw text, so only what the Trainer reads is written transformed.
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        disable_statistics=True,
        custom_config=transform_config(config, parts),
    )


def make_trainer(
    config: Config,
    paths: PipelinePaths,
    parts: ModelParts,
    *,
    examples: BaseChannel,
    transform_graph: BaseChannel,
    schema: BaseChannel,
) -> Trainer:
    """Fine-tunes the checkpoint on transformed examples; outputs `model` and `model_run`, with history.json."""
    return Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=examples,
        transform_graph=transform_graph,
        schema=schema,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config=trainer_config(config, paths, parts),
    )


def last_blessed_of(config: Config, paths: PipelinePaths) -> Callable[[BaseChannel], Resolver]:
    """Returns what makes, of the candidate, the node whose output `model` is the last blessed one, if any."""
    return functools.partial(
        last_blessed,
        serving_dir=config.push.serving_dir,
        name=config.name,
        pipeline_root=paths.pipeline_root,
    )


def make_evaluator(
    config: Config,
    parts: ModelParts,
    *,
    examples: BaseChannel,
    model: BaseChannel,
    baseline_model: BaseChannel,
    schema: BaseChannel,
) -> Evaluator:
    """Holds the model to the thresholds on raw text; outputs `evaluation` and `blessing`."""
    return Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        schema=schema,
        example_splits=[config.evaluate.split],
        eval_config=make_eval_config(
            parts.task, config.evaluate, config.data.label_column, parts.labels, config.serve.precision
        ),
        module_path=MODEL_MODULES[config.serve.precision],
    )
