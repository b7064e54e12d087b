"""Every format, and every kind of damage, read row by row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import PipelineError, UsageError
from pipeline.importing.readers import format_of, read_rows


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
    with pytest.raises(PipelineError, match="column 'text' is there 2 times"):
        read(tmp_path / "x.csv", "text,text,label\na,b,c\n")


@pytest.mark.parametrize(("line", "fields"), [("a", 1), ("a,b,c", 3)])
def test_row_of_another_width_names_its_line(tmp_path: Path, line: str, fields: int) -> None:
    with pytest.raises(PipelineError, match=rf"x\.csv line 3: {fields} fields, the header has 2.*'a'"):
        read(tmp_path / "x.csv", f"text,label\nok,b\n{line}\n")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PipelineError, match="empty"):
        read(tmp_path / name, "")


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
    with pytest.raises(PipelineError, match=r"x\.csv\.gz: the compressed file is damaged or cut off"):
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
    with pytest.raises(PipelineError, match=r"x\.tsv line 2: 3 fields, the header has 2"):
        read(tmp_path / "x.tsv", "text\tlabel\na\tb\tc\n")


# --- JSON Lines ---------------------------------------------------------------------------------


def test_json_lines_keep_integers_and_skip_blank_lines(tmp_path: Path) -> None:
    content = '{"text": "a\\nb", "label": 3}\n\n{"label": 0, "more": [], "text": "c"}\n'
    assert read(tmp_path / "x.jsonl", content) == [(1, "a\nb", 3), (3, "c", 0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label"}', r"x\.jsonl line 2: not JSON \(Expecting ':' .*column 22\)"),
        ("[" * 100_000, r"x\.jsonl line 2: not JSON \(nested too deep\)"),
        (
            '{"text": "a", "label": ' + "7" * 5000 + "}",
            r"x\.jsonl line 2: not JSON \(an integer of more than 4,300 digits\)",
        ),
        ('["a", "b"]', r"x\.jsonl line 2: not a JSON object: \['a', 'b'\]"),
        ('{"text": "a"}', r"x\.jsonl line 2: no column 'label'; columns found: 'text'"),
    ],
)
def test_bad_json_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        read(tmp_path / "x.jsonl", '{"text": "ok", "label": 1}\n' + line + "\n")


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


def test_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"x\.parquet: not a readable Parquet file"):
        read(tmp_path / "x.parquet", b"PAR1 nothing of the sort PAR0")


# --- a folder per class -------------------------------------------------------------------------


def test_folder_per_class(tmp_path: Path) -> None:
    for label, name, text in [
        ("neg", "1.txt", "bad\n"),
        ("neg", "2.txt", "so\nso"),
        ("pos", "1.txt", "good"),
    ]:
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / name).write_text(text)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("not a class")
    assert format_of([tmp_path]) == "folder"
    assert sorted(read_rows(tmp_path, "folder", ["text", "label", "file"])) == [
        ("neg/1.txt", ["bad", "neg", "neg/1.txt"]),
        ("neg/2.txt", ["so\nso", "neg", "neg/2.txt"]),
        ("pos/1.txt", ["good", "pos", "pos/1.txt"]),
    ]


def test_class_folder_without_texts_is_named(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.pdf").write_bytes(b"%PDF")
    with pytest.raises(PipelineError, match=r"/pos: holds no \.txt file"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


def test_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"holds no folder; put the \.txt files of each class"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


def test_text_file_that_is_not_utf8_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.txt").write_bytes(b"first\ncaf\xe9")
    with pytest.raises(PipelineError, match=r"pos/1\.txt line 2: not UTF-8 \(e9\)"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


# --- which format -------------------------------------------------------------------------------


def test_mixed_file_types_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.jsonl"]
    for path in paths:
        path.touch()
    with pytest.raises(UsageError, match=r"b\.jsonl is jsonl but .*a\.csv is csv"):
        format_of(paths)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: no such file or folder"):
        format_of([tmp_path / "none.csv"])


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.gz"])
def test_unknown_file_type_lists_the_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"unknown file type; known are \.csv, \.tsv, \.jsonl"):
        format_of([tmp_path / name])


def test_no_file_at_all() -> None:
    with pytest.raises(UsageError, match="no file to import"):
        format_of([])
