"""A blessed model whose answers mean something else than the candidate's is no baseline."""

from __future__ import annotations

from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig
from tensorflow.core.protobuf import saved_model_pb2
from tfx.types import standard_artifacts

from components import manifest
from components.baseline.strategy import LatestOtherBlessedModelStrategy


def model(folder: Path, number: int, *outputs: str) -> standard_artifacts.Model:
    saved = saved_model_pb2.SavedModel()
    signature = saved.meta_graphs.add().signature_def["serving_default"]
    for name in outputs:
        signature.outputs[name].name = name
    (folder / "Format-Serving").mkdir(parents=True)
    (folder / "Format-Serving/saved_model.pb").write_bytes(saved.SerializeToString())
    (folder / "Format-Serving/weights").write_text(str(number))
    manifest.record(folder)
    artifact = standard_artifacts.Model()
    artifact.uri, artifact.id = str(folder), number
    return artifact


@pytest.mark.parametrize(
    ("outputs", "baselines"),
    [(("probabilities", "label"), [1]), (("probabilities", "labels"), []), (("value", "name"), [])],
)
def test_only_a_model_with_the_same_outputs_is_the_baseline(tmp_path, caplog, outputs, baselines):
    config = ConnectionConfig()
    config.fake_database.SetInParent()
    blessing = standard_artifacts.ModelBlessing()
    blessing.id = 3
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", 1)
    given = {
        "candidate": [model(tmp_path / "new", 2, "probabilities", "label")],
        "model": [model(tmp_path / "old", 1, *outputs)],
        "model_blessing": [blessing],
    }
    found = LatestOtherBlessedModelStrategy().resolve_artifacts(MetadataStore(config), given)
    assert [artifact.id for artifact in found["model"]] == baselines
    why = f"is no baseline: it is of another task: it gives {', '.join(sorted(outputs))}, the candidate label, prob"
    assert (why in caplog.text) == (not baselines)
