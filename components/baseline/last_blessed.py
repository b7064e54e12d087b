"""The baseline for orchestrators with a metadata store: the last blessed model."""

from __future__ import annotations

from pathlib import Path

from tfx import types
from tfx.dsl.components.common.resolver import Resolver
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.baseline.strategy import LatestOtherBlessedModelStrategy


def last_blessed(candidate: types.BaseChannel, serving_dir: Path, name: str, pipeline_root: Path) -> Resolver:
    """Returns the node whose output `model` is the last blessed model that is not `candidate`, if any.

    Args:
        candidate: Model of the Trainer.
        serving_dir: folder that the model server watches; the served version replaces a blessed model that is lost.
        name: name of the served model.
        pipeline_root: folder that has one folder per node.
    """
    node_id = "BaselineResolver"
    return Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        config={
            "serving_dir": str(serving_dir),
            "name": name,
            "folder": str(pipeline_root / node_id / "served"),
        },
        candidate=candidate,
        model=types.Channel(type=Model),
        model_blessing=types.Channel(type=ModelBlessing),
    ).with_id(node_id)
