"""Beam's pipeline options for the nodes of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode

from pipeline.beam.arguments import beam_arguments
from pipeline.beam.settings import BeamSettings


def with_beam_arguments(
    nodes: Sequence[BaseNode], settings: BeamSettings, project_dir: Path
) -> list[BaseNode]:
    """The nodes; each that runs Beam has the options of its engine.

    Args:
        nodes: of one pipeline.
        settings: the config's `beam` section.
        project_dir: where a node's process finds this project.
    """
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(beam_arguments(settings.node(node.id), str(project_dir)))
    return list(nodes)
