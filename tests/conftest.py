"""The environment of every test before TensorFlow is imported, and the tiny model that many of them train."""

from __future__ import annotations

import os
import signal

import pytest

# An entry point's duty (see runner_local.py): Hugging Face TF models are Keras 2.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell starts background jobs with Ctrl-C ignored, which the programs that the tests start would inherit: those
# tests that interrupt them would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that fails is not waited for: tests have no network."""
    monkeypatch.setattr("models.checkpoints.wheel_fetch.WAITS", ())
