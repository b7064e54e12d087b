"""The canary on a real exported model and the real server: which models it blesses, and its reasons to reject others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow_serving.apis import prediction_log_pb2
from tfx import types
from tfx.components.infra_validator import error_types
from tfx.components.infra_validator import executor as infra_validator_executor
from tfx.components.infra_validator.component import InfraValidator
from tfx.types import standard_artifacts

from components.canary import executor
from components.canary.component import Canary
from components.canary.local_process_runner import LocalProcessRunner
from components.canary.op_set import TEXT_OPS, foreign_ops
from components.canary.settings import CanarySettings
from components.canary.trial import Expected, try_model
from components.model_files import read_sums, write_sums
from components.serving.settings import ServeSettings
from components.settings import DataSettings
from models.errors import PipelineError
from tests.support.model_server import TEXTS, Exported

SETTINGS = {
    "name": "tiny",
    "data": {"path": "data", "schema": "schema.pbtxt", "label_list": "labels.txt"},
    "canary": {"rows": 5, "start_seconds": 90},
    "serve": {},
}
Judge = Callable[..., tuple[Any, dict[str, Any]]]


def write_split(folder: Path, texts: Sequence[str | bytes]) -> None:
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for text in texts:
            value = text if isinstance(text, bytes) else text.encode()
            feature = {"text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


@pytest.fixture
def judge(exported: tuple[Exported, Exported], tmp_path: Path) -> Judge:
    """`judge(damage, evaluated=1, **canary settings)` -> (the blessing, canary.json).

    A model that is damaged was exported like that, unless `after_export` is true.
    """

    def run(
        damage: Callable[[Path], object] | None = None,
        evaluated: int = 1,
        after_export: bool = False,
        precision: str = "float32",
        **canary: Any,
    ) -> Any:
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / "model")
        saved = tmp_path / "model" / "Format-Serving"
        shutil.copytree(exported[0].path, saved)
        if damage is not None:
            damage(saved)
            if not after_export:
                write_sums(saved)
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        examples.split_names = '["eval"]'
        write_split(tmp_path / "examples" / "Split-eval", [*TEXTS, "left out"])
        verdict = standard_artifacts.ModelBlessing()
        verdict.set_int_custom_property("blessed", evaluated)
        blessing = standard_artifacts.InfraBlessing()
        blessing.uri = str(tmp_path / "blessing")
        changed = {"canary": {**SETTINGS["canary"], **canary}, "serve": {"precision": precision}}
        settings = {**SETTINGS, **changed}
        executor.Executor().Do(
            {"model": [model], "examples": [examples], "model_blessing": [verdict]},
            {"blessing": [blessing]},
            {"settings": json.dumps(settings), "split": "eval", "code_fingerprint": ""},
        )
        return blessing, json.loads((tmp_path / "blessing" / "canary.json").read_text())

    return run


def test_good_model_is_blessed_and_gets_warm_up_requests(judge: Judge, tmp_path: Path) -> None:
    blessing, report = judge()
    assert report["reasons"] == []
    assert blessing.get_int_custom_property("blessed") == 1
    assert blessing.get_int_custom_property("has_model") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    assert report["figures"]["rows"] == 5
    assert report["figures"]["max_difference"] <= 1e-5
    stamped = tmp_path / "blessing" / "stamped_model"
    assert (stamped / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    assert not (tmp_path / "model/Format-Serving/assets.extra/tf_serving_warmup_requests").exists()


def test_warm_up_requests_are_the_first_rows_of_the_split(judge: Judge, tmp_path: Path) -> None:
    judge(enabled=False)
    path = tmp_path / "blessing/stamped_model/assets.extra/tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert [tf.make_ndarray(log.inputs["text"]).tolist() for log in logs] == [
        [TEXTS[0].encode()],
        [text.encode() for text in TEXTS],
    ]
    assert [log.model_spec.signature_name for log in logs] == ["serving_default"] * 2


def test_rows_that_the_server_would_refuse_are_not_asked(tmp_path: Path) -> None:
    write_split(tmp_path / "split", ["a" * 11, b"na\xefve", "naïve", "cat", "dog"])
    rows = executor.read_rows(tmp_path / "split", ["text"], 2, 10)
    assert rows == [{"text": "naïve".encode()}, {"text": b"cat"}]
    write_split(tmp_path / "none", ["a" * 11, b"na\xefve"])
    with pytest.raises(
        error_types.ValidationFailed, match=r"no row in UTF-8 that fits serve\.max_text_bytes 10"
    ):
        executor.read_rows(tmp_path / "none", ["text"], 2, 10)


def test_without_the_server_a_good_model_is_blessed(judge: Judge) -> None:
    blessing, report = judge(enabled=False)
    assert report == {"blessed": True, "reasons": [], "figures": {}}
    assert blessing.get_int_custom_property("has_model") == 1


def test_without_the_server_a_damaged_model_is_still_refused(judge: Judge) -> None:
    blessing, report = judge(truncate, enabled=False)
    assert report["reasons"][0].startswith("the model does not load: ")
    assert blessing.get_string_custom_property("refused") == report["reasons"][0]


def flip(name: str) -> Callable[[Path], None]:
    """Changes one bit in the middle of a file, whose size and time stay."""

    def run(saved: Path) -> None:
        path = saved / name
        status, content = path.stat(), bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x40
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return run


def truncate(saved: Path) -> None:
    (data,) = saved.glob("variables/*.data*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lambda saved: (saved / "saved_model.pb").write_bytes(b"\xff rubbish"),
        lambda saved: shutil.rmtree(saved / "assets"),
    ],
    ids=["half the weights", "rubbish", "no vocabulary"],
)
def test_damaged_model_is_not_blessed_with_the_reason(
    judge: Judge, damage: Callable[[Path], object], tmp_path: Path
) -> None:
    blessing, report = judge(damage)
    assert blessing.get_int_custom_property("blessed") == 0
    assert blessing.get_int_custom_property("has_model") == 0
    assert report["reasons"][0].startswith("the model does not load: ")
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    assert not (tmp_path / "blessing" / "stamped_model").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            flip("variables/variables.data-00000-of-00001"),
            "variables.data-00000-of-00001: not what the Trainer",
        ),
        (
            flip("assets.extra/labels.txt"),
            "assets.extra/labels.txt: not what the Trainer exported (sha256 differs)",
        ),
        (
            lambda saved: (saved / "assets/labels.txt").unlink(),
            "assets/labels.txt: not what the Trainer exported (is gone)",
        ),
        (
            lambda saved: (saved / "assets/more.txt").touch(),
            "assets/more.txt: not what the Trainer exported (was added)",
        ),
        (
            lambda saved: (saved / "assets.extra/SHA256SUMS").unlink(),
            "SHA256SUMS: has no digest of saved_model.pb",
        ),
        (shutil.rmtree, "SHA256SUMS: has no digest of saved_model.pb"),
    ],
    ids=["weights", "label list", "file gone", "file added", "digests gone", "all gone"],
)
def test_model_that_changed_after_its_export_gets_no_verdict(
    judge: Judge, damage: Callable[[Path], object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError) as raised:
        judge(damage, after_export=True)
    assert told in str(raised.value)
    assert list((tmp_path / "blessing").iterdir()) == []


def test_copy_that_is_pushed_has_its_own_digests_with_the_warm_up_requests(
    judge: Judge, tmp_path: Path
) -> None:
    judge(enabled=False)
    exported, stamped = (
        read_sums(tmp_path / name) for name in ("model/Format-Serving", "blessing/stamped_model")
    )
    assert stamped.keys() - exported.keys() == {"assets.extra/tf_serving_warmup_requests"}
    assert exported.items() <= stamped.items()
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "assets.extra/SHA256SUMS"],
        cwd=tmp_path / "blessing/stamped_model",
    )
    assert done.returncode == 0


def test_slow_and_big_model_is_refused_with_every_budget_it_breaks(judge: Judge) -> None:
    blessing, report = judge(max_p99_ms=0.001, max_memory_mb=1)
    assert blessing.get_int_custom_property("blessed") == 0
    latency, memory = report["reasons"]
    assert latency.startswith("p99 latency ")
    assert latency.endswith("is above canary.max_p99_ms 0.001")
    assert memory.endswith("MB is above canary.max_memory_mb 1")


def test_model_that_the_evaluator_refused_is_not_tried(judge: Judge) -> None:
    blessing, report = judge(shutil.rmtree, evaluated=0, after_export=True)
    assert blessing.get_int_custom_property("blessed") == 0
    assert report == {"blessed": False, "reasons": ["the Evaluator did not bless the model"], "figures": {}}


def test_server_with_other_answers_than_the_evaluated_model_is_refused(
    exported: tuple[Exported, Exported],
) -> None:
    rows = [{"text": text.encode()} for text in TEXTS]
    settings = CanarySettings.model_validate(SETTINGS["canary"])
    runner = LocalProcessRunner(exported[0].path, ServeSettings())
    trial = try_model(runner, rows, Expected("probabilities", np.array(exported[1].probabilities)), settings)
    (reason,) = trial.reasons
    assert reason.startswith("the server's probabilities differ by up to ")


def test_bfloat16_is_blessed_within_its_tolerance_of_the_float32_answers(judge: Judge) -> None:
    blessing, report = judge(precision="bfloat16", max_difference=0.05)
    assert report["reasons"] == []
    assert blessing.get_int_custom_property("blessed") == 1
    assert 1e-5 < report["figures"]["max_difference"] < 0.05


def test_bfloat16_beyond_its_tolerance_is_refused(judge: Judge, tmp_path: Path) -> None:
    blessing, report = judge(precision="bfloat16", max_difference=0)
    assert blessing.get_int_custom_property("blessed") == 0
    (reason,) = report["reasons"]
    assert reason.startswith("the server's probabilities differ by up to ")
    assert reason.endswith(" from the exported model's in float32 (canary.max_difference is 0)")
    assert not (tmp_path / "blessing" / "stamped_model").exists()


def test_model_that_only_the_server_cannot_load_is_refused_with_the_servers_words(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"rubbish")
    settings = CanarySettings.model_validate(SETTINGS["canary"])
    runner = LocalProcessRunner(tmp_path, ServeSettings())
    trial = try_model(runner, [{"text": b"cat"}], Expected("probabilities", np.zeros((1, 3))), settings)
    (reason,) = trial.reasons
    assert reason.startswith("the server cannot load the model: ")


def test_answer_that_is_not_a_number_is_refused_with_its_row(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def serve(text: tf.Tensor) -> dict[str, tf.Tensor]:
        probability = tf.where(text == "the dog", float("nan"), 1.0)
        return {"probabilities": probability[:, None], "label": text}

    tf.saved_model.save(tf.Module(), str(tmp_path / "model"), {"serving_default": serve})
    settings = CanarySettings.model_validate(SETTINGS["canary"])
    runner = LocalProcessRunner(tmp_path / "model", ServeSettings())
    trial = try_model(
        runner, [{"text": b"cat"}, {"text": b"the dog"}], Expected("probabilities", np.ones((2, 1))), settings
    )
    assert trial.reasons == ("row 1 got probabilities that are not numbers",)


class Interrupted(LocalProcessRunner):
    """SIGTERM arrives just after the canary's server was started."""

    pids: ClassVar[list[int]] = []

    def WaitUntilRunning(self, deadline: float) -> None:
        assert self._process is not None
        self.pids.append(self._process.pid)
        assert callable(signal.getsignal(signal.SIGTERM))  # or this process would end here
        signal.raise_signal(signal.SIGTERM)


def test_sigterm_leaves_no_server_no_verdict_and_no_handler(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(executor, "LocalProcessRunner", Interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(PipelineError, match="the canary received SIGTERM before its verdict; run again"):
        judge()
    assert signal.getsignal(signal.SIGTERM) is before
    (pid,) = Interrupted.pids
    assert not Path(f"/proc/{pid}").exists()
    assert [path.name for path in (tmp_path / "blessing").iterdir()] == ["stamped_model"]


def test_canary_is_an_infra_validator_in_name_and_in_kind() -> None:
    canary = Canary(
        model=types.Channel(type=standard_artifacts.Model),
        examples=types.Channel(type=standard_artifacts.Examples),
        name="tiny",
        settings=CanarySettings.model_validate(SETTINGS["canary"]),
        data=DataSettings.model_validate(SETTINGS["data"]),
        serve=ServeSettings(),
    )
    assert canary.exec_properties["split"] == "eval"
    assert json.loads(canary.exec_properties["settings"]).keys() == SETTINGS.keys()
    assert isinstance(canary, InfraValidator)
    assert issubclass(executor.Executor, infra_validator_executor.Executor)
    assert canary.id == "Canary"
    assert canary.executor_spec.class_path == "components.canary.executor.Executor"
    assert canary.outputs["blessing"].type is standard_artifacts.InfraBlessing


def with_op(op: str) -> Callable[[Path], None]:
    """Renames the first op of the first function of the graph's library to `op`."""

    def rename(saved: Path) -> None:
        path = saved / "saved_model.pb"
        graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        graph.meta_graphs[0].graph_def.library.function[0].node_def[0].op = op
        path.write_bytes(graph.SerializeToString())

    return rename


def test_graph_with_an_op_that_tf_serving_does_not_link_is_refused_and_the_op_named(judge: Judge) -> None:
    blessing, report = judge(with_op("Acme>Tokenize"))
    assert blessing.get_int_custom_property("blessed") == 0
    assert report["reasons"] == ["TF Serving 2.20 does not link ops of its graph: Acme>Tokenize"]


def test_op_of_the_users_own_build_of_tf_serving_is_let_through_the_check(
    exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    shutil.copytree(exported[0].path, tmp_path / "model")
    assert foreign_ops(tmp_path / "model") == []
    with_op("Acme>Tokenize")(tmp_path / "model")
    assert foreign_ops(tmp_path / "model") == ["Acme>Tokenize"]
    assert foreign_ops(tmp_path / "model", allowed=["Acme>Tokenize"]) == []


def test_every_op_that_tensorflow_text_is_said_to_have_is_one_of_its_ops() -> None:
    assert [op for op in sorted(TEXT_OPS) if op_def_registry.get(op) is None] == []
    assert [op for op in sorted(TEXT_OPS) if hasattr(tf.raw_ops, op)] == []
