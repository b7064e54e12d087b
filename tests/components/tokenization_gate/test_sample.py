"""Which rows are compared."""

from __future__ import annotations

import pytest

from components.tokenization_gate.sample import sample_sizes, sampled_rows


@pytest.mark.parametrize(
    ("rows", "limit", "sizes"),
    [
        ({"train": 4906, "eval": 546, "test": 500}, 2000, {"train": 954, "eval": 546, "test": 500}),
        ({"train": 4906, "eval": 546, "test": 500}, 100, {"train": 34, "eval": 33, "test": 33}),
        ({"train": 10, "eval": 5}, 2000, {"train": 10, "eval": 5}),
        ({"train": 10, "eval": 0}, 6, {"train": 6, "eval": 0}),
        ({"train": 10, "eval": 10, "test": 10}, 1, {"train": 0, "eval": 0, "test": 1}),
        ({"train": 10, "eval": 5}, 0, {"train": 0, "eval": 0}),
        ({"train": 4906, "eval": 546}, "all", {"train": 4906, "eval": 546}),
        ({}, 2000, {}),
    ],
)
def test_every_split_gives_as_many_rows_and_large_ones_what_small_ones_lack(rows, limit, sizes):
    assert sample_sizes(rows, limit) == sizes
    assert list(sample_sizes(rows, limit)) == list(rows)


@pytest.mark.parametrize(("rows", "size"), [(6, 6), (60, 7), (1000, 999), (7, 1), (5, 0)])
def test_rows_are_one_of_each_stretch_and_always_the_same(rows, size):
    sampled = list(sampled_rows(rows, size))
    stretches = [range(i * rows // size, (i + 1) * rows // size) for i in range(size)]
    assert all(index in stretch for index, stretch in zip(sampled, stretches, strict=True))
    assert sampled == list(sampled_rows(rows, size))


def test_rows_of_a_sample_are_these():
    assert list(sampled_rows(60, 7)) == [1, 10, 22, 32, 34, 49, 58]


def test_data_that_repeats_itself_is_met_at_every_phase():
    assert {index % 10 for index in sampled_rows(5000, 500)} == set(range(10))
