"""The training pipeline: one stanza per node, in execution order. The only place nodes meet."""

from __future__ import annotations

import json
from collections.abc import Callable

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types.channel import BaseChannel

from components.baseline.last_blessed import last_blessed
from components.canary.component import Canary
from components.curated_schema import CuratedSchema
from components.data_gate.component import DataGate
from components.destinations.component import SecondPusher
from components.example_gen.component import TFRecordExampleGen
from components.example_gen.spans import span_number
from components.exports.component import Exporter
from components.exports.format import FORMATS
from components.fingerprints import code_fingerprint, content_fingerprint
from components.pusher.component import VersionedPusher
from components.report.component import Report
from components.settings import DataGateSettings
from components.statistics_options import SketchedStatsOptions
from models.checkpoints.config import read_model_type
from models.encoders.families import FAMILIES as ENCODERS
from models.tasks.label_list import read_labels
from models.tokenizers.family import family_of
from pipeline.beam.arguments import beam_arguments
from pipeline.config import Config, as_json, task_of
from pipeline.eval_config import make_eval_config
from pipeline.paths import PipelinePaths
from pipeline.provenance import model_facts, training_code


def create_pipeline(
    config: Config,
    paths: PipelinePaths,
    find_baseline: Callable[[BaseChannel], BaseNode] | None = None,
    force_push: bool = False,
) -> Pipeline:
    """Builds the pipeline of one config; nothing runs yet.

    Args:
        config: the model.
        paths: where it keeps its state.
        find_baseline: makes the node whose output `model` the candidate is held against; by default the last
            blessed model of the metadata store.
        force_push: push also over the model of a newer run, or over a rollback.

    Raises:
        UsageError: the label list cannot be used.
        CheckpointError: a tokenizer file of the checkpoint is malformed, or its config.json names no encoder
            that is known.
    """
    task = task_of(config)
    data, labels = config.data, read_labels(paths.readable(config.data.label_list))
    checkpoint = paths.readable(paths.checkpoint_dir)
    checkpoint_fingerprint, tokenizer = content_fingerprint(checkpoint), family_of(checkpoint)
    encoder = ENCODERS[read_model_type(checkpoint)]
    # What several nodes read; as JSON, so that the metadata store records it.
    shared = {
        # Without the gate's rules: a change of theirs must not train again. The examples know their span.
        "data": as_json(data.model_copy(update={"gate": DataGateSettings(), "span": None})),
        "transform": as_json(config.transform),
        "checkpoint_dir": str(paths.checkpoint_dir),
        "labels_path": str(data.label_list),
        "task": task.name,
        "inputs_fingerprint": checkpoint_fingerprint + content_fingerprint(paths.readable(data.label_list)),
    }

    example_gen = TFRecordExampleGen(
        input_base=str(data.path),
        splits=data.splits,
        span=None if data.span is None else span_number(data.span),
        code_fingerprint=code_fingerprint("components.example_gen.executor"),
    ).with_id("TFRecordExampleGen")

    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], stats_options=SketchedStatsOptions()
    )

    schema_gen = CuratedSchema(
        schema_file=str(data.data_schema),
        fingerprint=content_fingerprint(paths.readable(data.data_schema)),
    ).with_id("ImportSchemaGen")

    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )

    data_gate = DataGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        anomalies=example_validator.outputs["anomalies"],
        settings=json.dumps({**as_json(data), "task": task.name}),
        refusal_dir=paths.refusal_dir,
        labels_fingerprint=content_fingerprint(paths.readable(data.label_list)),
        code_fingerprint=code_fingerprint("components.data_gate.executor", *task.modules("facts")),
    )

    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        # The model is judged on raw text, so only what the Trainer reads is written transformed.
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        disable_statistics=True,
        custom_config=shared
        | {
            "code_fingerprint": code_fingerprint(
                "components.transform.preprocessing", *tokenizer.modules, *task.modules("facts", "labels")
            )
        },
    )
    transform.add_upstream_node(data_gate)

    trainer = Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config=shared
        | {
            "name": config.name,
            "model": as_json(config.model),
            "train": as_json(config.train),
            "state_dir": str(paths.state_dir),
            "code_fingerprint": code_fingerprint(*training_code(encoder, task)),
        },
    )

    if find_baseline is not None:
        baseline = find_baseline(trainer.outputs["model"])
    else:
        baseline = last_blessed(
            trainer.outputs["model"], config.push.serving_dir, config.name, paths.pipeline_root
        )

    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        schema=schema_gen.outputs["schema"],
        example_splits=[config.evaluate.split],
        eval_config=make_eval_config(
            task,
            config.evaluate,
            data.label_column,
            labels,
            code_fingerprint(
                "components.evaluator.metrics", "components.evaluator.eval_model", *task.modules("facts")
            ),
        ),
        module_path="components.evaluator.eval_model",
    )

    canary = Canary(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        examples=example_gen.outputs["examples"],
        split=config.canary.split,
        settings={key: as_json(getattr(config, key)) for key in ("data", "canary", "serve")}
        | {"name": config.name},
        code_fingerprint=code_fingerprint("components.canary.executor", "components.serving.__main__"),
    )

    pusher = VersionedPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=canary.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        examples=example_gen.outputs["examples"],
        serving_dir=str(config.push.serving_dir),
        name=config.name,
        keep=config.push.keep,
        info=model_facts(config, checkpoint_fingerprint, tokenizer, encoder),
        force=force_push,
        # A baseline that is looked for in the serving folder cannot miss what is served.
        needs_baseline=find_baseline is None
        and config.evaluate.compares()
        and not config.push.replace_uncompared,
        code_fingerprint=code_fingerprint("components.pusher.executor", *task.modules("facts")),
    ).with_id("Pusher")

    second_pusher = SecondPusher(
        pushed_model=pusher.outputs["pushed_model"],
        name=config.name,
        destinations=[as_json(destination) for destination in config.push.destinations],
        keep=config.push.keep,
        checkpoint_dir=str(paths.checkpoint_dir),
        max_length=config.transform.max_length,
        task=task.name,
        code_fingerprint=code_fingerprint(
            "components.destinations.executor", encoder.facts_module, *task.modules("facts")
        ),
    )

    exporters = [
        Exporter(
            model=trainer.outputs["model"],
            pushed_model=pusher.outputs["pushed_model"],
            transformed_examples=transform.outputs["transformed_examples"],
            format_name=format_name,
            settings=settings,
            rows=config.export.rows,
            text_columns=data.text_columns,
            task=task.name,
            checkpoint_dir=paths.checkpoint_dir,
            max_length=config.transform.max_length,
            inputs_fingerprint=checkpoint_fingerprint,
            code_fingerprint=code_fingerprint(
                "components.exports.executor",
                FORMATS[format_name].module,
                tokenizer.exports[format_name],
                *task.modules("facts", "labels", "figures"),
            ),
        ).with_id(FORMATS[format_name].node_id)
        for format_name, settings in config.export.chosen().items()
    ]

    # Nothing depends on it, and among equals nodes run by name: after the Pusher.
    report = Report(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        anomalies=example_validator.outputs["anomalies"],
        data_gate=data_gate.outputs["report"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=canary.outputs["blessing"],
        name=config.name,
        serving_dir=str(config.push.serving_dir),
        settings={
            "data": shared["data"],
            "evaluate": as_json(config.evaluate),
            "report": as_json(config.report),
            "task": task.name,
        },
        code_fingerprint=code_fingerprint("components.report.executor", *task.modules("facts", "figures")),
    )

    nodes = [
        example_gen,
        statistics_gen,
        schema_gen,
        example_validator,
        data_gate,
        transform,
        trainer,
        baseline,
        evaluator,
        canary,
        pusher,
        report,
        *([second_pusher] if config.push.destinations else []),
        *exporters,
    ]
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(beam_arguments(config.beam.node(node.id), str(paths.project_dir)))

    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(paths.pipeline_root),
        metadata_connection_config=sqlite_metadata_connection_config(str(paths.metadata_path)),
        components=nodes,
        enable_cache=True,
    )
