"""Says before a training that its data type is slow here."""

from __future__ import annotations

import tensorflow as tf

from components.processor import computes_in_bfloat16
from components.trainer import progress
from components.trainer.settings import TrainSettings


def warn_of_emulated_products(settings: TrainSettings) -> None:
    """Reports that products in bfloat16 are emulated, if neither processor nor accelerator computes in it."""
    on_cpu = settings.strategy != "tpu" and not tf.config.list_physical_devices("GPU")
    if settings.bf16 and on_cpu and not computes_in_bfloat16():
        progress.say(
            "train.bf16: this processor has neither AVX512_BF16 nor AMX, so training takes several times as long as in "
            "float32; set train.bf16 to false"
        )
