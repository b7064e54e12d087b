"""The baseline among the served versions."""

from __future__ import annotations

from pathlib import Path

from components.baseline.served import served_baseline
from components.pusher.versions import publish


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
        publish(model(tmp_path / name, name.encode()), serving, "m", 5, {})
    assert served_baseline(serving, "m", model(tmp_path / "new", b"new")) == 3
    assert served_baseline(serving, "m", tmp_path / "c") == 2
    assert served_baseline(serving, "m", tmp_path / "a") == 3


def test_random_fingerprint_of_an_equal_model_does_not_count(tmp_path):
    serving = str(tmp_path / "serving")
    publish(model(tmp_path / "a", b"a", fingerprint=b"1"), serving, "m", 5, {})
    assert served_baseline(serving, "m", model(tmp_path / "again", b"a", fingerprint=b"2")) == 0


def test_warm_up_requests_that_a_push_added_do_not_count(tmp_path):
    serving = str(tmp_path / "serving")
    warm = model(tmp_path / "warm", b"a")
    (warm / "assets.extra").mkdir()
    (warm / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    publish(warm, serving, "m", 5, {})
    assert served_baseline(serving, "m", model(tmp_path / "a", b"a")) == 0
