"""StatisticsGen's options are TFDV's own plus sketches, and small data is still counted exactly."""

from __future__ import annotations

import json

import pyarrow as pa
import tfx  # noqa: F401  # puts in place a module of tfx_bsl that TFDV imports and the wheel lacks

from components.statistics_options import SketchedStatsOptions


def test_options_are_those_of_tfdv_with_sketches():
    import tensorflow_data_validation as tfdv

    expected = tfdv.StatsOptions(use_sketch_based_topk_uniques=True).to_json()
    assert json.loads(SketchedStatsOptions().to_json()) == json.loads(expected)


def test_labels_and_distinct_texts_are_counted_exactly():
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory

    texts = [[f"text {number}".encode()] for number in range(5000)]
    labels = [[b"yes" if number % 4 else b"no"] for number in range(5000)]
    batch = pa.RecordBatch.from_arrays([pa.array(texts), pa.array(labels)], ["text", "label"])
    options = tfdv.StatsOptions.from_json(SketchedStatsOptions().to_json())
    statistics = generate_statistics_in_memory(batch, options).datasets[0]
    found = {feature.path.step[0]: feature.string_stats for feature in statistics.features}
    assert found["text"].unique == 5000
    buckets = {bucket.label: bucket.sample_count for bucket in found["label"].rank_histogram.buckets}
    assert buckets == {"yes": 3750, "no": 1250}
