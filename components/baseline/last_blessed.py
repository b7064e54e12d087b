"""The baseline where a metadata store can be asked: the last blessed model."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.common.resolver import Resolver
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.baseline.strategy import LatestOtherBlessedModelStrategy


def last_blessed(candidate: types.BaseChannel) -> Resolver:
    """Returns the node whose output `model` is the last blessed model that is not `candidate`, if any."""
    return Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        candidate=candidate,
        model=types.Channel(type=Model),
        model_blessing=types.Channel(type=ModelBlessing),
    ).with_id("BaselineResolver")
