"""LatestOtherBlessedModelStrategy in real pipelines of a trainer, the resolver and an evaluator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.components.common.resolver import Resolver
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components import manifest
from components.baseline.strategy import LatestOtherBlessedModelStrategy
from components.versions import store
from components.versions.record import PushRecord
from tests.support.local_run import last_artifact, open_store, run_nodes
from tests.support.tiny_nodes import TinyEvaluator, TinyTrainer


def run(root: Path, content: str, bar: float = 0.5, serving: bool = False) -> str:
    """Trains and judges a model of this score; returns the evaluator's state, baseline and verdict.

    "COMPLETE, baseline 0.7, blessed"
    """
    trainer = TinyTrainer(content=content).with_id("Trainer")
    served = {"serving_dir": str(root / "serving"), "name": "trec", "folder": str(root / "served")}
    resolver = Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        config=served if serving else {},
        candidate=trainer.outputs["model"],
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("BaselineResolver")
    evaluator = TinyEvaluator(trainer.outputs["model"], resolver.outputs["model"], bar).with_id("Evaluator")
    state = run_nodes(root, [trainer, resolver, evaluator])["Evaluator"]
    facts = last_artifact(root, "ModelBlessing").custom_properties
    uri = facts["baseline"].string_value
    baseline = (Path(uri) / "Format-Serving/weights").read_text() if uri else "none"
    return f"{state}, baseline {baseline}, {'blessed' if facts['blessed'].int_value else 'not blessed'}"


def test_first_run_has_no_baseline_and_the_very_next_is_cached(tmp_path: Path) -> None:
    assert run(tmp_path, "0.7") == "COMPLETE, baseline none, blessed"
    assert run(tmp_path, "0.7") == "CACHED, baseline none, blessed"


def test_better_candidate_is_compared_with_the_previous_and_the_very_next_run_is_cached(
    tmp_path: Path,
) -> None:
    run(tmp_path, "0.7")
    assert run(tmp_path, "0.8") == "COMPLETE, baseline 0.7, blessed"
    assert run(tmp_path, "0.8") == "CACHED, baseline 0.7, blessed"


def test_unblessed_model_never_becomes_the_baseline(tmp_path: Path) -> None:
    run(tmp_path, "0.7")
    assert run(tmp_path, "0.6") == "COMPLETE, baseline 0.7, not blessed"
    assert run(tmp_path, "0.6") == "CACHED, baseline 0.7, not blessed"
    assert run(tmp_path, "0.9") == "COMPLETE, baseline 0.7, blessed"


def test_older_config_run_again_is_compared_with_the_newer_model(tmp_path: Path) -> None:
    run(tmp_path, "0.7")
    run(tmp_path, "0.8")
    assert run(tmp_path, "0.7") == "COMPLETE, baseline 0.8, not blessed"
    assert run(tmp_path, "0.7") == "CACHED, baseline 0.8, not blessed"
    assert run(tmp_path, "0.8") == "CACHED, baseline 0.7, blessed"


def test_baseline_is_the_model_blessed_last_also_from_the_cache(tmp_path: Path) -> None:
    run(tmp_path, "0.70")
    run(tmp_path, "0.8")
    assert run(tmp_path, "0.70", bar=0.1) == "COMPLETE, baseline 0.8, not blessed"
    assert run(tmp_path, "0.80") == "COMPLETE, baseline 0.8, blessed"  # 0.80 equals 0.8 but is another model
    assert run(tmp_path, "0.8") == "COMPLETE, baseline 0.80, blessed"
    assert run(tmp_path, "0.80") == "CACHED, baseline 0.8, blessed"
    assert run(tmp_path, "0.9") == "COMPLETE, baseline 0.80, blessed"


def test_model_whose_folder_is_gone_is_skipped(tmp_path: Path) -> None:
    run(tmp_path, "0.7")
    run(tmp_path, "0.8")
    shutil.rmtree(last_artifact(tmp_path, "Model", key="model").uri)
    assert run(tmp_path, "0.9") == "COMPLETE, baseline 0.7, blessed"


def push(root: Path, score: str) -> Path:
    """A served version of this score, as another machine may have pushed it; returns its folder."""
    model = root / f"pushed {score}"
    model.mkdir()
    (model / "saved_model.pb").write_text("graph")
    (model / "weights").write_text(score)
    return root / "serving" / "trec" / str(store.publish(model, root / "serving", "trec", 5, PushRecord()))


def test_served_version_is_the_baseline_of_a_store_that_knows_no_blessed_model(tmp_path: Path) -> None:
    push(tmp_path, "0.8")
    assert run(tmp_path, "0.7", serving=True) == "COMPLETE, baseline 0.8, not blessed"
    assert run(tmp_path, "0.7", serving=True) == "CACHED, baseline 0.8, not blessed"
    assert run(tmp_path, "0.9", serving=True) == "COMPLETE, baseline 0.8, blessed"
    assert run(tmp_path, "0.85", serving=True) == "COMPLETE, baseline 0.9, not blessed"


def test_served_version_stands_in_for_the_last_blessed_model_whose_folder_is_gone(tmp_path: Path) -> None:
    run(tmp_path, "0.7")
    run(tmp_path, "0.8")
    push(tmp_path, "0.8")
    shutil.rmtree(last_artifact(tmp_path, "Model", key="model").uri)
    # Not the older one, which a worse model would beat.
    assert run(tmp_path, "0.75", serving=True) == "COMPLETE, baseline 0.8, not blessed"


def test_served_version_stands_in_for_a_last_blessed_model_that_is_damaged(tmp_path: Path) -> None:
    run(tmp_path, "0.8")
    push(tmp_path, "0.8")
    uri = Path(last_artifact(tmp_path, "Model", key="model").uri)
    (uri / "Format-Serving/weights").write_text("0.1")
    assert run(tmp_path, "0.7", serving=True) == "COMPLETE, baseline 0.8, not blessed"


def test_served_version_stands_in_for_a_last_blessed_model_of_before_digests_were_kept(
    tmp_path: Path,
) -> None:
    run(tmp_path, "0.8")
    push(tmp_path, "0.8")
    manifest.manifest_path(Path(last_artifact(tmp_path, "Model", key="model").uri)).unlink()
    assert run(tmp_path, "0.7", serving=True) == "COMPLETE, baseline 0.8, not blessed"


def test_older_model_is_no_stand_in_for_a_served_version_that_is_damaged_too(tmp_path: Path) -> None:
    run(tmp_path, "0.7")
    run(tmp_path, "0.8")
    (push(tmp_path, "0.8") / "weights").write_text("0.1")
    shutil.rmtree(last_artifact(tmp_path, "Model", key="model").uri)
    # No baseline: the Pusher refuses to replace the version, and names the damage.
    assert run(tmp_path, "0.75", serving=True) == "COMPLETE, baseline none, blessed"


def test_copy_of_a_served_version_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    push(tmp_path, "0.8")
    run(tmp_path, "0.7", serving=True)
    [copy] = (tmp_path / "served").glob("1-*/Format-Serving/weights")
    copy.write_text("0.1")
    store = open_store(tmp_path)
    [artifact] = store.get_artifacts_by_uri(str(copy.parents[1]))
    artifact.state = mlmd.Artifact.DELETED  # as the runner marks it when a node was to read it
    store.put_artifacts([artifact])
    assert run(tmp_path, "0.75", serving=True) == "COMPLETE, baseline 0.8, not blessed"


def test_served_version_that_is_damaged_or_of_another_task_is_no_baseline(tmp_path: Path) -> None:
    version = push(tmp_path, "0.8")
    (version / "weights").write_text("0.1")
    assert run(tmp_path, "0.7", serving=True) == "COMPLETE, baseline none, blessed"
    other = push(tmp_path, "0.9")
    (other / "assets.extra/labels.txt").write_text("yes\nno\n")
    assert run(tmp_path, "0.75", serving=True) == "COMPLETE, baseline 0.7, blessed"


@pytest.mark.parametrize("content", ["0.7", "0.70"])
def test_equal_content_is_no_baseline_even_from_another_training(tmp_path: Path, content: str) -> None:
    run(tmp_path, "0.7")
    trained_again = tmp_path / "artifacts/Trainer/model/1/Format-Serving"
    (trained_again / "fingerprint.pb").write_text("a random id, which is no difference")
    manifest.record(trained_again.parent)
    trainer = TinyTrainer(content=content).with_id("OtherTrainer")
    resolver = Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        candidate=trainer.outputs["model"],
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("BaselineResolver")
    evaluator = TinyEvaluator(trainer.outputs["model"], resolver.outputs["model"], 0.5).with_id("Evaluator")
    run_nodes(tmp_path, [trainer, resolver, evaluator])
    baseline = last_artifact(tmp_path, "ModelBlessing").custom_properties["baseline"].string_value
    assert bool(baseline) == (content == "0.70")
