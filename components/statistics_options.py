"""StatisticsGen's options, without importing TensorFlow Data Validation, which takes seconds.

Distinct values are counted by sketches. TFDV's default keeps each distinct value of each column until the end,
and the texts of a dataset are all distinct: 0.9 KiB per row in Beam's in-process runner. The sketches count
exactly up to 1,024 distinct values, and the number of distinct values up to 16,384; beyond that they estimate.
"""

from __future__ import annotations

import json
from typing import Any

# All fields, because `tfdv.StatsOptions.from_json` fills in no defaults; a test compares them with TFDV's own.
_OPTIONS: dict[str, Any] = {
    "TYPE_NAME": "StatsOptions",
    "_add_default_generators": True,
    "_desired_batch_size": None,
    "_experimental_filter_read_paths": False,
    "_experimental_num_feature_partitions": 1,
    "_experimental_result_partitions": 1,
    "_feature_allowlist": None,
    "_generators": None,
    "_num_histogram_buckets": 10,
    "_num_quantiles_histogram_buckets": 10,
    "_num_values_histogram_buckets": 10,
    "_per_feature_stats_config": None,
    "_per_feature_weight_override": None,
    "_sample_rate": None,
    "_schema": None,
    "_semantic_domain_stats_sample_rate": None,
    "_slice_functions": None,
    "_slice_sqls": None,
    "_slicing_config": None,
    "_use_sketch_based_topk_uniques": True,
    "_vocab_paths": None,
    "enable_semantic_domain_stats": False,
    "epsilon": 0.01,
    "frequency_threshold": 1,
    "infer_type_from_schema": False,
    "label_feature": None,
    "num_rank_histogram_buckets": 1000,
    "num_top_values": 20,
    "weight_feature": None,
    "weighted_frequency_threshold": 1.0,
}


class SketchedStatsOptions:
    """Replaces `tfdv.StatsOptions(use_sketch_based_topk_uniques=True)`; StatisticsGen calls only `to_json`."""

    def to_json(self) -> str:
        """The options in TFDV's JSON form."""
        return json.dumps(_OPTIONS)
