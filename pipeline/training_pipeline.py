"""The training pipeline: one stanza per node, in execution order. Only here are nodes connected."""

from __future__ import annotations

from collections.abc import Callable

from tfx.components.example_validator.component import ExampleValidator
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import BaseChannel

from components.canary.component import Canary
from components.curated_schema import CuratedSchema
from components.data_gate.component import DataGate
from components.destinations.component import SecondPusher
from components.example_gen.component import TFRecordExampleGen
from components.exports.component import Exporter
from components.model_parts import read_parts
from components.pusher.component import VersionedPusher
from components.report.component import Report
from components.tokenization_gate.component import TokenizationGate
from pipeline.beam.nodes import with_beam_arguments
from pipeline.config import Config, task_of
from pipeline.paths import PipelinePaths
from pipeline.provenance import model_facts
from pipeline.tfx_nodes import (
    last_blessed_of,
    make_evaluator,
    make_statistics_gen,
    make_trainer,
    make_transform,
)


def create_pipeline(
    config: Config,
    paths: PipelinePaths,
    find_baseline: Callable[[BaseChannel], BaseNode] | None = None,
    force_push: bool = False,
) -> Pipeline:
    """Builds the pipeline of one config; nothing runs yet.

    Args:
        config: the model.
        paths: where the pipeline keeps its state.
        find_baseline: returns the node whose output `model` the candidate is compared with; by default the last
            blessed model of the metadata store.
        force_push: push even if a newer run's model or a rollback is being served.

    Raises:
        UsageError, CheckpointError: of `read_parts`.
    """
    data = config.data
    parts = read_parts(
        task_of(config), paths.checkpoint_dir, data.label_list, paths.readable, config.model.forward
    )

    example_gen = TFRecordExampleGen(input_base=str(data.path), splits=data.splits, span=data.span)

    statistics_gen = make_statistics_gen(example_gen.outputs["examples"])

    schema_gen = CuratedSchema(schema_file=data.data_schema, readable=paths.readable(data.data_schema))

    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )

    data_gate = DataGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        anomalies=example_validator.outputs["anomalies"],
        data=data,
        task=parts.task,
        words=config.transform.words,
        refusal_dir=paths.refusal_dir,
        labels_fingerprint=parts.labels_fingerprint,
    )

    tokenization_gate = TokenizationGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        settings=config.parity,
        text_columns=data.text_columns,
        max_length=config.transform.max_length,
        stride=config.transform.stride,
        text=config.transform.text,
        words=config.transform.words if parts.task.facts().OF_WORDS else None,
        parts=parts,
        refusal_dir=paths.refusal_dir,
    )
    tokenization_gate.add_upstream_node(data_gate)

    transform = make_transform(
        config, parts, examples=example_gen.outputs["examples"], schema=schema_gen.outputs["schema"]
    )
    transform.add_upstream_node(tokenization_gate)

    trainer = make_trainer(
        config,
        paths,
        parts,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
    )

    baseline = (find_baseline or last_blessed_of(config, paths))(trainer.outputs["model"])

    evaluator = make_evaluator(
        config,
        parts,
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        schema=schema_gen.outputs["schema"],
    )

    canary = Canary(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        examples=example_gen.outputs["examples"],
        name=config.name,
        settings=config.canary,
        data=data,
        serve=config.serve,
    )

    pusher = VersionedPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=canary.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        examples=example_gen.outputs["examples"],
        settings=config.push,
        name=config.name,
        task=parts.task,
        info=model_facts(config, parts),
        force=force_push,
        # The `find_baseline` of Kubeflow looks in the serving folder, so it cannot miss the served version.
        needs_baseline=find_baseline is None and config.needs_baseline(),
    )

    second_pusher = SecondPusher(
        pushed_model=pusher.outputs["pushed_model"],
        name=config.name,
        destinations=config.push.destinations,
        keep=config.push.keep,
        max_length=config.transform.max_length,
        parts=parts,
    )

    exporters = [
        Exporter(
            model=trainer.outputs["model"],
            pushed_model=pusher.outputs["pushed_model"],
            transformed_examples=transform.outputs["transformed_examples"],
            format_name=format_name,
            settings=config.export,
            text_columns=data.text_columns,
            max_length=config.transform.max_length,
            parts=parts,
        )
        for format_name in config.export.chosen()
    ]

    # No node depends on the report. Nodes of the same layer run in order of their names: after the Pusher.
    report = Report(
        examples=example_gen.outputs["examples"],
        statistics=statistics_gen.outputs["statistics"],
        anomalies=example_validator.outputs["anomalies"],
        data_gate=data_gate.outputs["report"],
        tokenization_gate=tokenization_gate.outputs["report"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=canary.outputs["blessing"],
        name=config.name,
        serving_dir=str(config.push.serving_dir),
        settings=config.report,
        data=data,
        evaluate=config.evaluate,
        task=parts.task,
    )

    of_data = [example_gen, statistics_gen, schema_gen, example_validator, data_gate, tokenization_gate]
    of_model = [transform, trainer, baseline, evaluator, canary]
    of_push = [pusher, report, *([second_pusher] if config.push.destinations else []), *exporters]
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(paths.pipeline_root),
        metadata_connection_config=sqlite_metadata_connection_config(str(paths.metadata_path)),
        components=with_beam_arguments([*of_data, *of_model, *of_push], config.beam, paths.project_dir),
        enable_cache=True,
    )
