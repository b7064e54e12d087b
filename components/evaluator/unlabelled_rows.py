"""Rows without a label, in the Evaluator.

TensorFlow Model Analysis takes a batch in which no row has a value of the label column for a batch of no rows
(`VarLenTensorValue.DenseRowIterator` ends at once), so its rows have no label entry and every metric fails. How rows
are divided into batches depends on timing. Rows without labels in a batch with others have an empty array.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants, default_extractors
from tensorflow_model_analysis.extractors.extractor import Extractor
from tensorflow_model_analysis.extractors.unbatch_extractor import UNBATCH_EXTRACTOR_STAGE_NAME


def custom_extractors(
    eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any
) -> list[Extractor]:
    """TFMA's default extractors; after the batches are divided into rows, a row without a label gets an empty array."""
    extractors = default_extractors(
        eval_shared_model=eval_shared_model,
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )
    rows = 1 + [extractor.stage_name for extractor in extractors].index(UNBATCH_EXTRACTOR_STAGE_NAME)
    return [*extractors[:rows], Extractor("FillMissingLabels", beam.Map(_with_labels)), *extractors[rows:]]


def _with_labels(extracts: dict[str, Any]) -> dict[str, Any]:
    return {constants.LABELS_KEY: np.array([])} | extracts
