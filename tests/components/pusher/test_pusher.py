"""VersionedPusher after nodes with the interfaces of Trainer, Evaluator and InfraValidator."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model, PushedModel

from components.model_files import write_sums
from components.pusher.component import VersionedPusher
from components.pusher.executor import Executor, refuse_uncompared
from components.pusher.lost_pushes import forget_lost_pushes
from components.pusher.settings import PushSettings
from components.versions import store
from components.versions.record import PushRecord, record_of
from models.errors import GateRefused, PipelineError
from models.tasks.task import TASKS
from tests.support.local_run import last_artifact, open_store, run_nodes
from tests.support.tiny_nodes import InfraJudge, SavedModelTrainer, TinyEvaluator, TinyTrainer


def pusher_of(root: Path, serving: str = "serving", **inputs: Any) -> VersionedPusher:
    settings = PushSettings(serving_dir=root / serving, keep=3)
    node = VersionedPusher(settings=settings, name="trec", task=TASKS["single_label"], **inputs)
    return node.with_id("Pusher")


def run(root: Path, content: str, infra: dict[str, int] | None = None, **pusher: Any) -> str:
    """Trains a real SavedModel and pushes it; returns the pusher's state."""
    trainer = SavedModelTrainer(content=content).with_id("Trainer")
    nodes = [trainer]
    if infra is not None:
        nodes.append(InfraJudge(model=trainer.outputs["model"], **infra).with_id("InfraValidator"))
        pusher["infra_blessing"] = nodes[-1].outputs["blessing"]
    nodes.append(pusher_of(root, model=trainer.outputs["model"], **pusher))
    forget_lost_pushes(open_store(root))
    return run_nodes(root, nodes)["Pusher"]


def judged_run(root: Path, content: str, bar: float) -> str:
    trainer = TinyTrainer(content=content).with_id("Trainer")
    evaluator = TinyEvaluator(trainer.outputs["model"], Channel(type=Model, producer_component_id="x"), bar)
    pusher = pusher_of(root, model=trainer.outputs["model"], model_blessing=evaluator.outputs["blessing"])
    return run_nodes(root, [trainer, evaluator, pusher])["Pusher"]


def edit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.pusher.component.code_fingerprint", lambda *modules: "edited")


def served(root: Path) -> list[int]:
    return [version.number for version in store.versions(root / "serving", "trec")]


def pushed(root: Path) -> dict[str, Any]:
    facts = last_artifact(root, "PushedModel").custom_properties
    return {
        k: v.int_value if k == "pushed" else v.string_value
        for k, v in facts.items()
        if k in ("pushed", "pushed_destination", "pushed_version")
    }


def test_pushed_model_loads_in_a_fresh_process_after_the_run_is_deleted(tmp_path: Path) -> None:
    assert run(tmp_path, "2.5", info=PushRecord(other={"accuracy": 0.95})) == "COMPLETE"
    version = tmp_path / "serving/trec/1"
    assert pushed(tmp_path) == {"pushed": 1, "pushed_destination": str(version), "pushed_version": "1"}
    info = json.loads((version / "assets.extra/push.json").read_text())
    assert info["accuracy"] == 0.95
    assert info["run_id"]
    assert info["model_uri"] == str(tmp_path / "artifacts/Trainer/model/1")
    shutil.rmtree(tmp_path / "artifacts")
    code = "import sys, tensorflow as tf; m = tf.saved_model.load(sys.argv[1]); print(float(m.f(tf.constant(4.0))))"
    answer = subprocess.run([sys.executable, "-c", code, str(version)], capture_output=True, text=True)
    assert answer.stdout == "10.0\n", answer.stderr


def test_identical_run_is_cached_and_a_new_model_is_the_next_version(tmp_path: Path) -> None:
    run(tmp_path, "1")
    assert run(tmp_path, "1") == "CACHED"
    assert served(tmp_path) == [1]
    assert run(tmp_path, "2") == "COMPLETE"
    assert (served(tmp_path), pushed(tmp_path)["pushed_version"]) == ([1, 2], "2")


def test_executor_run_again_on_the_newest_model_makes_no_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "1")
    edit_code(monkeypatch)
    assert run(tmp_path, "1") == "COMPLETE"
    assert (served(tmp_path), pushed(tmp_path)["pushed_version"]) == ([1], "1")


def test_push_that_was_deleted_is_pushed_again_with_a_new_number(tmp_path: Path) -> None:
    run(tmp_path, "1")
    shutil.rmtree(tmp_path / "serving/trec/1")
    assert run(tmp_path, "1") == "COMPLETE"
    assert served(tmp_path) == [2]
    assert run(tmp_path, "1") == "CACHED"


def test_push_whose_saved_model_was_removed_is_pushed_again(tmp_path: Path) -> None:
    run(tmp_path, "1")
    (tmp_path / "serving/trec/1/saved_model.pb").unlink()
    assert run(tmp_path, "1") == "COMPLETE"
    assert pushed(tmp_path)["pushed_version"] == "2"
    assert (tmp_path / "serving/trec/2/saved_model.pb").is_file()


def test_damaged_version_of_the_same_model_is_no_uncompared_model(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    store.publish(tmp_path / "one", tmp_path / "serving", "trec", 3, PushRecord())
    (tmp_path / "serving/trec/1/saved_model.pb").unlink()
    refuse_uncompared(tmp_path / "one", str(tmp_path / "serving"), "trec")
    with pytest.raises(
        GateRefused,
        match=r"version 1 of .*serving/trec is served, .*: it is damaged \(no saved_model\.pb\); roll back",
    ):
        refuse_uncompared(tmp_path / "two", str(tmp_path / "serving"), "trec")


def test_push_whose_weights_were_damaged_is_pushed_again(tmp_path: Path) -> None:
    run(tmp_path, "1")
    [weights] = (tmp_path / "serving/trec/1/variables").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:-1])
    assert run(tmp_path, "1") == "COMPLETE"
    assert pushed(tmp_path)["pushed_version"] == "2"
    assert run(tmp_path, "1") == "CACHED"


def test_push_whose_bytes_changed_without_a_trace_is_lost_when_all_are_read(tmp_path: Path) -> None:
    run(tmp_path, "1")
    flip(tmp_path / "serving/trec/1/variables/variables.data-00000-of-00001")
    assert forget_lost_pushes(open_store(tmp_path)) == []
    assert forget_lost_pushes(open_store(tmp_path), thorough=True) == [str(tmp_path / "serving/trec/1")]


def test_serving_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    run(tmp_path, "1")
    shutil.rmtree(tmp_path / "serving")
    assert run(tmp_path, "1") == "COMPLETE"
    assert served(tmp_path) == [1]


def test_older_config_run_again_is_served_again(tmp_path: Path) -> None:
    run(tmp_path, "1")
    run(tmp_path, "2")
    assert run(tmp_path, "1") == "COMPLETE"
    assert served(tmp_path) == [1, 2, 3]
    assert run(tmp_path, "1") == "CACHED"
    assert run(tmp_path, "2") == "COMPLETE"
    assert served(tmp_path) == [2, 3, 4]


def test_rollback_is_not_undone_by_an_identical_run(tmp_path: Path) -> None:
    run(tmp_path, "1")
    run(tmp_path, "2")
    store.rollback(tmp_path / "serving", "trec")
    assert run(tmp_path, "2") == "CACHED"
    assert served(tmp_path) == [1, 2, 3]


def test_promotion_is_not_undone_by_an_identical_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "1")
    run(tmp_path, "2")
    store.promote(tmp_path / "serving", "trec", 1)
    assert run(tmp_path, "2") == "CACHED"
    edit_code(monkeypatch)
    assert run(tmp_path, "2") == "COMPLETE"
    assert served(tmp_path) == [1, 2, 3]


def test_model_of_a_run_that_started_before_the_served_ones_is_refused_unless_forced(tmp_path: Path) -> None:
    run(tmp_path, "1")
    record = tmp_path / "serving/trec/1/assets.extra/push.json"
    newer = {"run_id": "later", "run_started_at": "2026-11-22T11:00:00Z"}
    record.write_text(json.dumps(json.loads(record.read_text()) | newer))
    run(tmp_path / "other", "2")
    model, pushed_model = Model(), PushedModel()
    model.uri, pushed_model.uri = str(tmp_path / "other/artifacts/Trainer/model/1"), str(tmp_path / "pushed")
    properties = {"serving_dir": str(tmp_path / "serving"), "name": "trec", "keep": 3, "info": "{}"}
    properties["run_started_at"] = "2026-11-22T10:00:00Z"
    artifacts = {"model": [model]}, {"pushed_model": [pushed_model]}
    with pytest.raises(GateRefused, match=r"version 1 is of run later, which started at 2026-11-22T11"):
        Executor().Do(*artifacts, properties)
    assert served(tmp_path) == [1]
    Executor().Do(*artifacts, {**properties, "force": 1})
    assert served(tmp_path) == [1, 2]
    assert pushed_model.get_string_custom_property("run_started_at") == "2026-11-22T10:00:00Z"


def test_record_and_store_tell_what_the_model_was_made_from(tmp_path: Path) -> None:
    canonical = b'{"data": {"path": "/data"}, "name": "trec"}'
    info = {
        "config": {"name": "trec", "data": {"path": "/data"}},
        "code": "0011",
        "checkpoint": {"name": "m"},
    }
    run(tmp_path, "1", info=record_of(info))
    record = json.loads((tmp_path / "serving/trec/1/assets.extra/push.json").read_text())
    assert record["config"] == info["config"]
    assert record["config_sha256"] == hashlib.sha256(canonical).hexdigest()
    assert {"saved_model.pb", "fingerprint.pb"} < record["files"].keys()
    stored = last_artifact(tmp_path, "PushedModel").custom_properties
    assert json.loads(stored["config"].string_value) == info["config"]
    assert json.loads(stored["checkpoint"].string_value) == {"name": "m"}
    assert stored["code"].string_value == "0011"
    assert stored["config_sha256"].string_value == record["config_sha256"]
    assert stored["run_id"].string_value == record["run_id"]


def test_lost_pushes_are_named(tmp_path: Path) -> None:
    assert forget_lost_pushes(open_store(tmp_path)) == []
    run(tmp_path, "1")
    assert forget_lost_pushes(open_store(tmp_path)) == []
    shutil.rmtree(tmp_path / "serving/trec/1")
    assert forget_lost_pushes(open_store(tmp_path)) == [str(tmp_path / "serving/trec/1")]
    assert forget_lost_pushes(open_store(tmp_path)) == []


def test_model_that_was_not_blessed_is_not_pushed(tmp_path: Path) -> None:
    assert judged_run(tmp_path, "0.4", bar=0.5) == "COMPLETE"
    assert pushed(tmp_path) == {"pushed": 0}
    assert served(tmp_path) == []
    record = Path(last_artifact(tmp_path, "PushedModel").uri) / "pushed.json"
    assert "model_blessing of" in json.loads(record.read_text())["refused"][0]
    assert judged_run(tmp_path, "0.4", bar=0.5) == "CACHED"


def test_model_that_failed_the_canary_is_not_pushed(tmp_path: Path) -> None:
    run(tmp_path, "1", infra={"verdict": 0})
    assert (pushed(tmp_path), served(tmp_path)) == ({"pushed": 0}, [])


def test_model_with_warm_up_requests_is_pushed_with_them(tmp_path: Path) -> None:
    run(tmp_path, "1", infra={"verdict": 1, "with_model": 1})
    extra = tmp_path / "serving/trec/1/assets.extra"
    found = sorted(p.name for p in extra.iterdir())
    assert found == ["SHA256SUMS", "push.json", "tf_serving_warmup_requests"]


def flip(path: Path) -> None:
    """Changes one bit; size and time stay as they are."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("infra", [None, {"verdict": 1, "with_model": 1}], ids=["trained", "tried"])
def test_model_that_changed_after_it_was_judged_is_not_pushed(
    tmp_path: Path, infra: dict[str, int] | None
) -> None:
    run(tmp_path, "1", infra=infra)
    folder = "Trainer/model/1/Format-Serving" if infra is None else "InfraValidator/blessing/2/stamped_model"
    for name in ("variables/variables.data-00000-of-00001", "saved_model.pb", "assets.extra/SHA256SUMS"):
        changed = tmp_path / "artifacts" / folder / name
        flip(changed)
        with pytest.raises(
            PipelineError, match=r"not what the Trainer exported \((sha256 differs|was added|is gone)"
        ):
            run(tmp_path, "1", infra=infra, serving="elsewhere")
        assert not (tmp_path / "elsewhere").exists()
        flip(changed)
    assert run(tmp_path, "1", infra=infra, serving="elsewhere") == "COMPLETE"


def test_tried_copy_of_another_model_than_the_evaluated_one_is_not_pushed(tmp_path: Path) -> None:
    run(tmp_path, "1", infra={"verdict": 1, "with_model": 1})
    weights = tmp_path / "artifacts/Trainer/model/1/Format-Serving/variables/variables.data-00000-of-00001"
    flip(weights)
    write_sums(weights.parents[1])
    with pytest.raises(PipelineError, match="stamped_model: not the model that the Evaluator judged"):
        run(tmp_path, "1", infra={"verdict": 1, "with_model": 1}, serving="elsewhere")


def test_corrupt_model_is_an_error_and_what_is_served_stays(tmp_path: Path) -> None:
    run(tmp_path, "1")
    with pytest.raises(PipelineError, match=r"saved_model\.pb is not a SavedModel") as caught:
        run(tmp_path, "corrupt")
    assert "\n" not in str(caught.value)
    assert served(tmp_path) == [1]
    assert not list((tmp_path / "serving/trec").glob(".staging-*"))
