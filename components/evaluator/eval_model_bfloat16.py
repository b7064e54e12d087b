"""Loads a model for the Evaluator, which judges it as the server will compute it with `serve.precision: bfloat16`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_model_analysis.api.types import ModelLoader

from components.evaluator import eval_model
from components.evaluator.unlabelled_rows import custom_extractors
from components.precision import BFLOAT16, load_in

__all__ = ["custom_eval_shared_model", "custom_extractors"]  # TFX looks for both here


def custom_eval_shared_model(
    eval_saved_model_path: str, model_name: str, eval_config: Any, **kwargs: Any
) -> Any:
    """As of `eval_model`, with matrix products in bfloat16; the baseline's, too.

    Raises:
        PipelineError: as in `eval_model`.
    """
    model = eval_model.custom_eval_shared_model(eval_saved_model_path, model_name, eval_config, **kwargs)
    load = functools.partial(load_in, BFLOAT16, Path(eval_saved_model_path), tf.saved_model.load)
    return model._replace(model_loader=ModelLoader(load, model.model_loader.tags))
