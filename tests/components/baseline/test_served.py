"""The baseline among the served versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.baseline.served import served_baseline, why_incomparable
from components.versions.record import PushRecord
from components.versions.store import publish, versions
from models.errors import PipelineError


def model(folder: Path, content: bytes, fingerprint: bytes = b"1") -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)
    (folder / "fingerprint.pb").write_bytes(fingerprint)
    return folder


def test_nothing_served_gives_none(tmp_path):
    assert served_baseline(str(tmp_path / "serving"), "m", model(tmp_path / "a", b"a")) == 0


def test_newest_version_that_is_not_the_candidate(tmp_path):
    serving = str(tmp_path / "serving")
    for name in ("a", "b", "c"):
        publish(model(tmp_path / name, name.encode()), serving, "m", 5, PushRecord())
    assert served_baseline(serving, "m", model(tmp_path / "new", b"new")) == 3
    assert served_baseline(serving, "m", tmp_path / "c") == 2
    assert served_baseline(serving, "m", tmp_path / "a") == 3


def test_random_fingerprint_of_an_equal_model_does_not_count(tmp_path):
    serving = str(tmp_path / "serving")
    publish(model(tmp_path / "a", b"a", fingerprint=b"1"), serving, "m", 5, PushRecord())
    assert served_baseline(serving, "m", model(tmp_path / "again", b"a", fingerprint=b"2")) == 0


def test_warm_up_requests_that_a_push_added_do_not_count(tmp_path):
    serving = str(tmp_path / "serving")
    warm = model(tmp_path / "warm", b"a")
    (warm / "assets.extra").mkdir()
    (warm / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    publish(warm, serving, "m", 5, PushRecord())
    assert served_baseline(serving, "m", model(tmp_path / "a", b"a")) == 0


def test_damaged_version_is_no_baseline_and_no_older_one_takes_its_place(tmp_path):
    serving = str(tmp_path / "serving")
    for name in ("a", "b"):
        publish(model(tmp_path / name, name.encode()), serving, "m", 5, PushRecord())
    (tmp_path / "serving/m/2/saved_model.pb").write_bytes(b"c")
    with pytest.raises(PipelineError) as caught:
        served_baseline(serving, "m", model(tmp_path / "new", b"new"))
    assert str(caught.value) == (
        f"{serving}/m/2: damaged (saved_model.pb is not the file that was pushed), so no model can be compared with it; "
        "roll back to an intact version and run again"
    )


def with_inputs(
    folder: Path, *names: str, labels: str = "ham\nspam\n", output: str = "probabilities"
) -> Path:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    signature = saved.meta_graphs.add().signature_def["serving_default"]
    for name in names:
        signature.inputs[name].name = name
    signature.outputs[output].name = output
    model(folder, saved.SerializeToString())
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "labels.txt").write_text(labels)
    return folder


@pytest.mark.parametrize(
    ("names", "labels", "why"),
    [
        (("text",), "ham\nspam\n", ""),
        (("text",), "spam\nham\n", "its label list differs (2 labels, the candidate has 2)"),
        (("text",), "ham\n", "its label list differs (1 labels, the candidate has 2)"),
        (("first", "second"), "ham\nspam\n", "it takes first, second, the candidate text"),
        ((), "ham\nspam\n", "it takes no texts, the candidate text"),
    ],
)
def test_metrics_of_a_version_with_other_labels_or_inputs_say_nothing(tmp_path, names, labels, why):
    publish(
        with_inputs(tmp_path / "served", *names, labels=labels), tmp_path / "serving", "m", 5, PushRecord()
    )
    [version] = versions(tmp_path / "serving", "m")
    assert why_incomparable(version, with_inputs(tmp_path / "candidate", "text")) == why


def test_a_version_of_another_task_is_not_comparable(tmp_path):
    other = with_inputs(tmp_path / "served", "text", output="score")
    publish(other, tmp_path / "serving", "m", 5, PushRecord())
    [version] = versions(tmp_path / "serving", "m")
    reason = why_incomparable(version, with_inputs(tmp_path / "candidate", "text"))
    assert reason == "it is of another task: it gives score, the candidate probabilities"


def test_a_served_version_of_another_task_is_an_error_where_it_would_be_the_baseline(tmp_path):
    other = with_inputs(tmp_path / "served", "text", output="score")
    publish(other, tmp_path / "serving", "m", 5, PushRecord())
    with pytest.raises(
        PipelineError, match=r"m/1: it is of another task: it gives score, the candidate prob"
    ):
        served_baseline(str(tmp_path / "serving"), "m", with_inputs(tmp_path / "candidate", "text"))
