"""Rows of a split, all of them or some."""

from __future__ import annotations

from components.example_gen.rows import read_examples, read_some_examples, text_of
from tests.support.local_run import example, tfrecord, tfrecord_gz


def test_rows_come_in_the_order_of_the_shards_and_the_wanted_ones_with_their_index(tmp_path):
    rows = [example(text=b"row %d" % i) for i in range(6)]
    (tmp_path / "data-1.gz").write_bytes(tfrecord_gz(rows[4:]))
    (tmp_path / "data-0").write_bytes(tfrecord(rows[:4]))
    assert [text_of(row, "text") for row in read_examples(tmp_path)] == [b"row %d" % i for i in range(6)]
    some = [(index, text_of(row, "text")) for index, row in read_some_examples(tmp_path, [1, 3, 5])]
    assert some == [(1, b"row 1"), (3, b"row 3"), (5, b"row 5")]
    assert list(read_some_examples(tmp_path, [])) == []
