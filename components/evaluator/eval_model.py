"""Loads a model for the Evaluator, which names this module in `module_path`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow_text  # noqa: F401  # registers the ops of the exported graph
from tensorflow_model_analysis import default_eval_shared_model

from components.evaluator.evaluation import BASELINE
from components.evaluator.unlabelled_rows import custom_extractors
from components.model_files import require_exported

__all__ = ["custom_eval_shared_model", "custom_extractors"]  # TFX looks for both here


def custom_eval_shared_model(
    eval_saved_model_path: str, model_name: str, eval_config: Any, **kwargs: Any
) -> Any:
    """TFMA's own SavedModel loader, called after tensorflow-text has registered its ops.

    Raises:
        PipelineError: the candidate is not, byte for byte, what was exported. A baseline may be a copy of
            what is served, without the export's digests: the runner has checked it.
    """
    if model_name != BASELINE:
        require_exported(Path(eval_saved_model_path))
    return default_eval_shared_model(
        eval_saved_model_path=eval_saved_model_path, model_name=model_name, eval_config=eval_config, **kwargs
    )
