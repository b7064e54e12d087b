from __future__ import annotations

import gzip
import io

import pytest

from components.example_gen.tfrecord import read_records
from models.errors import PipelineError
from tests.support.local_run import tfrecord, tfrecord_gz

RECORDS = [b"first", b"", b"third" * 100]


def read(data: bytes, shard: str = "train-0.tfrecord", sink: io.BytesIO | None = None) -> list[bytes]:
    return list(read_records(io.BytesIO(data), shard, sink))


def error(data: bytes, shard: str = "train-0.tfrecord") -> str:
    with pytest.raises(PipelineError) as caught:
        read(data, shard)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_literal_bytes_of_the_format() -> None:
    data = bytes.fromhex("0300000000000000b099490e6162636e57f121")  # as TensorFlow writes b"abc"
    assert tfrecord([b"abc"]) == data
    assert read(data) == [b"abc"]


def test_plain_and_gzip_give_the_same_records() -> None:
    assert read(tfrecord(RECORDS)) == RECORDS
    assert read(tfrecord_gz(RECORDS), "train-0.tfrecord.gz") == RECORDS


def test_gzip_of_several_members_is_read_to_the_end() -> None:
    two = gzip.compress(tfrecord(RECORDS)) + gzip.compress(tfrecord([b"more"]))
    assert read(two, "train-0.gz") == [*RECORDS, b"more"]


@pytest.mark.parametrize(("shard", "data"), [("a.gz", tfrecord_gz(RECORDS)), ("a", tfrecord(RECORDS))])
def test_sink_gets_every_byte_of_the_shard(shard: str, data: bytes) -> None:
    sink = io.BytesIO()
    read(data, shard, sink)
    assert sink.getvalue() == data


def test_no_record_is_no_error() -> None:
    assert read(b"") == []
    assert read(gzip.compress(b""), "a.gz") == []


def test_file_that_ends_inside_a_record_names_record_and_byte() -> None:
    message = error(tfrecord(RECORDS)[:-10])
    assert message.startswith(
        "train-0.tfrecord: record 2 (byte 37): the file ends inside the record (494 of 504 bytes)"
    )


def test_file_that_ends_inside_a_header_says_so() -> None:
    assert "record 1 (byte 21): the file ends inside the record's header (5 of 12 bytes)" in error(
        tfrecord(RECORDS)[:26]
    )


def test_flipped_bit_in_the_data_is_found() -> None:
    data = bytearray(tfrecord(RECORDS))
    data[14] ^= 1
    assert "record 0 (byte 0): the checksum of its 5 bytes does not match" in error(bytes(data))


def test_flipped_bit_in_a_length_is_found() -> None:
    data = bytearray(tfrecord(RECORDS))
    data[21] ^= 0x80
    assert "record 1 (byte 21): no valid record header" in error(bytes(data))


def test_text_file_is_no_tfrecord() -> None:
    assert "record 0 (byte 0): no valid record header (corrupt data, not a TFRecord" in error(
        b"text,label\nHi,A\n"
    )


def test_truncated_gzip_names_the_record() -> None:
    many = [bytes([i]) * 50 for i in range(200)]
    message = error(tfrecord_gz(many)[:-12], "train-0.gz")
    assert message.startswith("train-0.gz: record 1")  # one of the last hundred
    assert "the gzip data ends early (truncated file)" in message


def test_corrupt_gzip_is_found() -> None:
    data = bytearray(tfrecord_gz([bytes(range(256)) * 4]))
    data[-8] ^= 1  # the checksum of the whole
    assert "train-0.gz: record 1 (byte 1040): the gzip data is corrupt (CRC check failed" in error(
        bytes(data), "train-0.gz"
    )


def test_plain_content_under_a_gz_name_is_a_wrong_compression() -> None:
    assert "record 0 (byte 0): the name ends in .gz but its content is not gzip" in error(
        tfrecord(RECORDS), "a.gz"
    )


def test_gzip_content_under_a_plain_name_is_a_wrong_compression() -> None:
    assert "the content is gzip but the name does not end in .gz" in error(tfrecord_gz(RECORDS), "a.tfrecord")


def test_empty_file_under_a_gz_name_says_that_it_is_empty() -> None:
    assert "the name ends in .gz but it is empty (0 bytes)" in error(b"", "a.gz")
