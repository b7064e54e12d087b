"""Every format, and every kind of damage, read row by row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import PipelineError, UsageError
from pipeline.importing.readers import format_of, read_rows
from pipeline.importing.rows import ReadOptions


def read(path: Path, content: bytes | str, columns: tuple[str, ...] = ("text", "label")) -> list[tuple]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    kind = format_of([path])
    return [(number, *values) for number, values in read_rows(path, kind, columns)]


# --- CSV ----------------------------------------------------------------------------------------


def test_csv_with_quotes_commas_line_breaks_and_crlf(tmp_path: Path) -> None:
    content = 'label,text\r\na,"one, ""two""\r\nthree"\r\n\r\nb,four "five" six\r\n'
    assert read(tmp_path / "x.csv", content) == [
        (2, 'one, "two"\r\nthree', "a"),
        (5, 'four "five" six', "b"),
    ]


def test_csv_line_numbers_count_lines_not_records(tmp_path: Path) -> None:
    content = 'text,label\n"a\nb\nc",x\nlast,y\n'
    assert [row[0] for row in read(tmp_path / "x.csv", content)] == [2, 5]


def test_csv_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", b"\xef\xbb\xbftext,label\na,b\n") == [(2, "a", "b")]


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_compressed_csv(tmp_path: Path, suffix: str) -> None:
    import bz2

    packed = {".gz": gzip.compress, ".bz2": bz2.compress}[suffix](b"text,label\na,b\n")
    assert read(tmp_path / f"x.csv{suffix}", packed) == [(2, "a", "b")]


def test_quote_that_never_closes_names_the_line_where_it_opened(tmp_path: Path) -> None:
    content = 'text,label\na,x\n"fine\ntext","never\n' + "b,y\n" * 1000
    with pytest.raises(PipelineError, match=r"x\.csv line 4: the quote opened here .*'text\",\"never'"):
        read(tmp_path / "x.csv", content)


def test_quote_that_never_closes_in_a_large_file_does_not_read_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.importing.delimited.MAX_FIELD_CHARACTERS", 1000)
    with pytest.raises(PipelineError, match=r"x\.csv line 2: the quote opened here"):
        read(tmp_path / "x.csv", 'text,label\n"open,x\n' + "a row of text,y\n" * 1000)


def test_quote_closed_inside_a_word_names_the_line_where_it_opened(tmp_path: Path) -> None:
    content = 'text,label\nok,x\n"Response" is one,x\n'
    with pytest.raises(PipelineError, match=r"x\.csv line 3: the quote opened here .*expected after"):
        read(tmp_path / "x.csv", content)


def test_missing_column_lists_the_columns_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.csv: no column 'text'; columns found: 'body', 'label'"):
        read(tmp_path / "x.csv", "body,label\na,b\n")


def test_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="column 'text' exists 2 times"):
        read(tmp_path / "x.csv", "text,text,label\na,b,c\n")


@pytest.mark.parametrize(("line", "fields"), [("a", 1), ("a,b,c", 3)])
def test_row_of_another_width_names_its_line(tmp_path: Path, line: str, fields: int) -> None:
    with pytest.raises(PipelineError, match=rf"x\.csv line 3: {fields} fields, but the header has 2.*'a'"):
        read(tmp_path / "x.csv", f"text,label\nok,b\n{line}\n")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
@pytest.mark.parametrize("content", ["", "\n\r\n", "\ufeff", "sep=;\n"])
def test_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(
        PipelineError, match=r"empty; a .* file must start with a line of column names"
    ) as caught:
        read(tmp_path / name, content)
    assert caught.value.exit_code == 1


def test_blank_lines_before_the_column_names_are_counted_and_skipped(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", "\n\ntext,label\n\na,b\n") == [(5, "a", "b")]
    assert read(tmp_path / "x.tsv", "\r\ntext\tlabel\na\tb\n") == [(3, "a", "b")]


def test_column_name_over_two_lines(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", 'text,"la\nbel"\na,b\n', ("text", "la\nbel")) == [(3, "a", "b")]


def test_line_ends_of_old_macs_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"x\.csv line 1: not CSV: a line ends with only a carriage return"
    ):
        read(tmp_path / "x.csv", "text,label\ra,b\r")


def test_no_more_than_thirty_columns_are_listed(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(40))
    with pytest.raises(UsageError, match=r"no column 'text'; columns found: 'c0', .*'c29' and 10 more$"):
        read(tmp_path / "x.csv", names + "\n")


@pytest.mark.parametrize(
    ("name", "head"),
    [("x.csv", b"text,label\nok,a\n"), ("x.tsv", b"text\tlabel\nok\ta\n"), ("x.jsonl", b"{}\n{}\n")],
)
def test_bytes_that_are_not_utf8_name_line_and_bytes(tmp_path: Path, name: str, head: bytes) -> None:
    columns = () if name == "x.jsonl" else ("text", "label")
    with pytest.raises(PipelineError, match=rf"{name} line 3: not UTF-8 at byte 3 \(e9 .*'caf"):
        read(tmp_path / name, head + b"caf\xe9 au lait\n", columns)


def test_cut_off_gzip_is_an_error(tmp_path: Path) -> None:
    lines = b"".join(b"%d,a\n" % i for i in range(10_000))
    with pytest.raises(PipelineError, match=r"x\.csv\.gz: the compressed file is damaged or truncated"):
        read(tmp_path / "x.csv.gz", gzip.compress(b"text,label\n" + lines)[:-200])


def test_text_of_one_megabyte(tmp_path: Path) -> None:
    text = "word " * 210_000
    assert read(tmp_path / "x.csv", f'text,label\n"{text}",a\n') == [(2, text, "a")]


def test_reading_leaves_the_process_wide_field_limit_alone(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    read(tmp_path / "x.csv", "text,label\na,b\n")
    assert csv.field_size_limit() == before


# --- TSV ----------------------------------------------------------------------------------------


def test_tsv_takes_quotes_as_characters(tmp_path: Path) -> None:
    content = 'label\ttext\nham\t"Response" is one\nspam\tplain\n'
    assert read(tmp_path / "x.tsv", content) == [(2, '"Response" is one', "ham"), (3, "plain", "spam")]


def test_tsv_row_with_a_tab_too_many_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"x\.tsv line 2: 3 fields, but the header has 2"):
        read(tmp_path / "x.tsv", "text\tlabel\na\tb\tc\n")


# --- JSON Lines ---------------------------------------------------------------------------------


def test_json_lines_keep_integers_and_skip_blank_lines(tmp_path: Path) -> None:
    content = '{"text": "a\\nb", "label": 3}\n\n{"label": 0, "more": [], "text": "c"}\n'
    assert read(tmp_path / "x.jsonl", content) == [(1, "a\nb", 3), (3, "c", 0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label"}', r"x\.jsonl line 2: not JSON \(Expecting ':' .*column 22\)"),
        ("[" * 100_000, r"x\.jsonl line 2: not JSON \(nested too deeply\)"),
        (
            '{"text": "a", "label": ' + "7" * 5000 + "}",
            r"x\.jsonl line 2: not JSON \(an integer of more than 4,300 digits\)",
        ),
        ('["a", "b"]', r"x\.jsonl line 2: not a JSON object: \['a', 'b'\]$"),
        (
            '{"text": "a", "label": 1, "label": 2}',
            r"line 2: the key 'label' occurs twice in one object; remove",
        ),
        (
            '{"text": "a", "label": 1, "x": {"y": 1, "y": 1}}',
            r"line 2: the key 'y' occurs twice in one object",
        ),
        ('{"text": "a"}', r"x\.jsonl line 2: no column 'label'; columns found: 'text'"),
    ],
)
def test_bad_json_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        read(tmp_path / "x.jsonl", '{"text": "ok", "label": 1}\n' + line + "\n")


@pytest.mark.parametrize(
    "content", ['[{"text": "a", "label": 1},\n', '[{"text": "a"}]', '{\n  "text": "a"\n}']
)
def test_one_json_document_is_told_from_json_lines(tmp_path: Path, content: str) -> None:
    with pytest.raises(
        PipelineError, match="the file looks like a single JSON document: write each row as one object"
    ):
        read(tmp_path / "x.jsonl", content)


def test_column_that_the_first_object_lacks_is_wrong_usage_and_a_later_one_bad_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.jsonl line 2: no column 'label'; columns found: 'text', 'lab'"):
        read(tmp_path / "x.jsonl", '\n{"text": "a", "lab": 1}\n')
    with pytest.raises(PipelineError, match=r"x\.jsonl line 2: no column 'label'") as caught:
        read(tmp_path / "x.jsonl", '{"text": "a", "label": 1}\n{"text": "a"}\n')
    assert caught.value.exit_code == 1


# --- Parquet ------------------------------------------------------------------------------------


def test_parquet_strings_dictionaries_and_integers(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"label": [1, 2, 1], "text": pa.array(["a", "b", "a"]).dictionary_encode()})
    pq.write_table(table, path)
    assert list(read_rows(path, "parquet", ["text", "label"])) == [
        (1, ("a", 1)),
        (2, ("b", 2)),
        (3, ("a", 1)),
    ]


def test_parquet_missing_column_lists_the_columns_found(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2]}), path)
    with pytest.raises(UsageError, match=r"x\.parquet: no column 'text'; columns found: 'a', 'b'"):
        list(read_rows(path, "parquet", ["text"]))


def test_parquet_binary_that_is_not_utf8_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": pa.array([b"ok"] * 300 + [b"caf\xe9"])}), path)
    with pytest.raises(PipelineError, match=r"x\.parquet row 301: 'text' is not UTF-8 at byte 3 \(e9\)"):
        list(read_rows(path, "parquet", ["text"]))


def test_parquet_text_that_its_writer_did_not_check_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    buffers = pa.array([b"ok", "né".encode(), b"caf\xe9", None], pa.binary()).buffers()
    pq.write_table(pa.table({"text": pa.Array.from_buffers(pa.string(), 4, buffers)}), path)
    with pytest.raises(PipelineError, match=r"x\.parquet row 3: 'text' is not UTF-8 at byte 3 \(e9\)"):
        list(read_rows(path, "parquet", ["text"]))
    # Only the value that does not fit its column has another encoding.
    rows = read_rows(path, "parquet", ["text"], ReadOptions(encoding="cp1252"))
    assert [values for _, values in rows] == [("ok",), ("né",), ("café",), (None,)]


@pytest.mark.parametrize("buffer_size", [65_536, 70_000])
def test_parquet_column_a_little_longer_than_arrows_buffer_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer_size: int
) -> None:
    texts = [f"{i:06d} some wordssome words" for i in range(3000)]  # 80 KB
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"text": texts}), path, compression="none", data_page_size=1024, use_dictionary=False
    )
    with (
        pytest.raises(pa.ArrowInvalid, match="shrink read buffer"),
        pq.ParquetFile(path, buffer_size=buffer_size, pre_buffer=False) as file,
    ):
        list(file.iter_batches(256, use_threads=False))
    monkeypatch.setattr("pipeline.importing.parquet_files._BUFFER_SIZES", (buffer_size, buffer_size, 0))
    assert [values for _, values in read_rows(path, "parquet", ["text"])] == [(text,) for text in texts]


def test_parquet_values_beyond_python_name_rows_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "day": pa.array([2**31 - 1], pa.date32())}), path)
    with pytest.raises(PipelineError, match=r"x\.parquet rows 1 to 1: 'day' cannot be read: "):
        list(read_rows(path, "parquet", ["text", "day"]))


def test_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"x\.parquet: not a readable Parquet file"):
        read(tmp_path / "x.parquet", b"PAR1 nothing of the sort PAR0")


def test_damaged_parquet_footer_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), path)
    content = bytearray(path.read_bytes())
    content[-60:-8] = b"\xff" * 52
    with pytest.raises(PipelineError, match=r"x\.parquet: not a readable Parquet file: ") as caught:
        read(path, bytes(content))
    assert "\n" not in str(caught.value)


# --- which format -------------------------------------------------------------------------------


def test_mixed_file_types_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.jsonl"]
    for path in paths:
        path.touch()
    with pytest.raises(UsageError, match=r"b\.jsonl is jsonl, but .*a\.csv is csv"):
        format_of(paths)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: no such file or folder"):
        format_of([tmp_path / "none.csv"])


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.gz"])
def test_unknown_file_type_lists_the_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"unknown file type; supported are \.csv, \.tsv, \.jsonl"):
        format_of([tmp_path / name])


def test_no_file_at_all() -> None:
    with pytest.raises(UsageError, match="there is no file to import"):
        format_of([])
