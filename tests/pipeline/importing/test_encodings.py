"""Encodings and separators: detected if the file allows it and reported, or set by the user."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.errors import PipelineError, UsageError
from pipeline.importing.readers import check_options, format_of, read_rows
from pipeline.importing.rows import ReadNotes, ReadOptions
from pipeline.importing.text_files import sniffed_encoding

ROWS = [(2, "naïve, or so", "a"), (3, "日本 €", "b")]


def read(path: Path, content: bytes, **options) -> tuple[list[tuple], list[str]]:
    path.write_bytes(content)
    kind, notes = format_of([path]), ReadNotes()
    checked = check_options(kind, ReadOptions(**options))
    rows = list(read_rows(path, kind, ["text", "label"], checked, notes))
    return [(number, *values) for number, values in rows], [
        note.removeprefix(f"{path}: ") for note in notes.detected
    ]


def table(separator: str) -> str:
    quote = '"' if separator == "," else ""
    lines = ["text,label", f"{quote}naïve, or so{quote};a", "日本 €;b"]
    return "\r\n".join([lines[0].replace(",", separator), *(x.replace(";", separator) for x in lines[1:])])


# --- separators ---------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separator_is_found_by_the_columns_asked_for_and_told(tmp_path: Path, separator: str) -> None:
    rows, told = read(tmp_path / "x.csv", table(separator).encode())
    assert rows == ROWS
    assert told == [f"read with {separator!r} as the column separator"]


def test_commas_in_a_tsv_file_are_found_too(tmp_path: Path) -> None:
    rows, told = read(tmp_path / "x.tsv", table(",").encode())
    assert (rows, told) == (ROWS, ["read with ',' as the column separator"])


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=; "])
def test_excels_line_about_the_separator_is_obeyed_and_is_no_row(tmp_path: Path, line: str) -> None:
    rows, told = read(tmp_path / "x.csv", f"{line}\r\n{table(';')}".encode())
    assert rows == [(number + 1, *values) for number, *values in ROWS]
    assert told == ["read with ';' as the column separator"]


def test_usual_separators_are_not_told(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", table(",").encode()) == (ROWS, [])
    assert read(tmp_path / "x.tsv", table("\t").encode()) == (ROWS, [])


def test_separator_of_the_user_is_taken_whatever_the_file_says(tmp_path: Path) -> None:
    content = table("~").encode()
    with pytest.raises(
        UsageError, match=r"columns found: 'text~label'; does the file need another --delimiter\?"
    ):
        read(tmp_path / "x.csv", content)
    assert read(tmp_path / "x.csv", content, delimiter="~") == (ROWS, [])
    assert (
        read(tmp_path / "x.csv", b"sep=;\r\n" + table("\t").encode(), delimiter="tab")[0][0][1]
        == "naïve, or so"
    )


def test_column_that_no_separator_gives_lists_those_of_the_likeliest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no column 'label'; columns found: 'text', 'stars', 'day'$"):
        read(tmp_path / "x.csv", b"text;stars;day\n")


def test_quotes_under_another_separator(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "x.csv", b'"text";"label"\n"a;""b""\nc";x\n')
    assert rows == [(2, 'a;"b"\nc', "x")]
    with pytest.raises(PipelineError, match=r"x\.csv line 2: the quote opened here is not closed properly"):
        read(tmp_path / "x.csv", b'text;label\n"a" b;x\n')


@pytest.mark.parametrize(
    ("delimiter", "shown"), [("", "''"), (";;", "';;'"), ('"', "'\"'"), ("\n", r"'\\n'"), ("\0", r"'\\x00'")]
)
def test_delimiter_that_cannot_separate_is_wrong_usage(delimiter: str, shown: str) -> None:
    with pytest.raises(UsageError, match=f"--delimiter must be one character or `tab`, .* got {shown}$"):
        check_options("csv", ReadOptions(delimiter=delimiter))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "folder"])
def test_delimiter_for_a_format_without_one_is_wrong_usage(kind: str) -> None:
    with pytest.raises(UsageError, match=f"--delimiter is for CSV and TSV; {kind} has no delimiter"):
        check_options(kind, ReadOptions(delimiter=";"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("x.csv", "a text that contains ',' must be in double quotes"), ("x.tsv", "not contain tabs")],
)
def test_row_with_too_many_fields_says_what_a_text_may_hold(tmp_path: Path, name: str, hint: str) -> None:
    separator = "," if name == "x.csv" else "\t"
    with pytest.raises(PipelineError, match=rf"{name} line 2: 3 fields, but the header has 2; .*{hint}"):
        read(tmp_path / name, separator.join(["text", "label\na", "b", "c\n"]).encode())


# --- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "mark", "told"),
    [
        ("utf-8", b"\xef\xbb\xbf", []),
        ("utf-16-le", b"\xff\xfe", ["read as UTF-16-LE"]),
        ("utf-16-be", b"\xfe\xff", ["read as UTF-16-BE"]),
        ("utf-32-le", b"\xff\xfe\0\0", ["read as UTF-32-LE"]),
        ("utf-32-be", b"\0\0\xfe\xff", ["read as UTF-32-BE"]),
        ("utf-16-le", b"", ["read as UTF-16-LE, without a byte order mark"]),
        ("utf-16-be", b"", ["read as UTF-16-BE, without a byte order mark"]),
    ],
)
def test_unicode_encodings_are_found_and_told(
    tmp_path: Path, encoding: str, mark: bytes, told: list[str]
) -> None:
    content = mark + table(",").encode(encoding)
    assert read(tmp_path / "x.csv", content) == (ROWS, told)
    assert read(tmp_path / "x.csv.gz", gzip.compress(content)) == (ROWS, told)


def test_utf16_and_another_separator_together(tmp_path: Path) -> None:
    rows, told = read(tmp_path / "x.csv", table("\t").encode("utf-16"))
    assert (rows, told) == (ROWS, ["read as UTF-16-LE", "read with '\\t' as the column separator"])


def test_json_lines_in_utf16(tmp_path: Path) -> None:
    content = '{"text": "日本", "label": 1}\r\n{"text": "b", "label": 2}\r\n'.encode("utf-16")
    assert read(tmp_path / "x.jsonl", content) == ([(1, "日本", 1), (2, "b", 2)], ["read as UTF-16-LE"])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"t",
        b"a\0b",
        b"text,label\n\0\0\0\0,a\n",
        "日本語,日本語\n".encode() * 50,
        b"nul \0 inside " * 50,
    ],
)
def test_utf8_with_and_without_nul_bytes_is_utf8(head: bytes) -> None:
    assert sniffed_encoding(head) == ("utf-8", 0)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("cp1252", "cp1252"),
        ("latin-1", "latin-1"),
        ("Shift_JIS", "shift_jis"),
        ("UTF16", "utf-16"),
        ("utf8", "utf-8"),
    ],
)
def test_encoding_of_the_user_is_taken_and_not_told(tmp_path: Path, name: str, encoding: str) -> None:
    text = "日本" if name == "Shift_JIS" else "café"
    content = f"text,label\n{text},a\n".encode(encoding)
    assert read(tmp_path / "x.csv", content, encoding=name) == ([(2, text, "a")], [])


@pytest.mark.parametrize("name", ["", "klingon", "base64", "rot13", "utf-8\0"])
def test_unknown_encoding_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match=r"--encoding .* is unknown; use one such as utf-8, utf-16, cp1252"):
        check_options("csv", ReadOptions(encoding=name))


def test_bytes_that_the_encoding_does_not_have_name_the_line_and_the_ways_on(tmp_path: Path) -> None:
    bad = b"text,label\n" + b"fine,a\n" * 3000 + b"caf\xe9,b\n"
    with pytest.raises(
        PipelineError, match=r"line 3002: not UTF-8 at byte 3 \(e9 .*--encoding cp1252, or use --r"
    ):
        read(tmp_path / "x.csv", bad)
    with pytest.raises(PipelineError, match=r"x\.csv line 3002: not UTF-16-LE \(58\) near"):
        read(tmp_path / "x.csv", bad.replace(b"caf\xe9,b\n", b"").decode().encode("utf-16") + b"X")
    with pytest.raises(PipelineError, match=r"x\.csv line 3002: not CP1252 \(81 "):
        read(tmp_path / "x.csv", bad.replace(b"\xe9", b"\x81"), encoding="cp1252")


@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_undecodable_bytes_are_replaced_where_the_user_says_so_and_their_lines_noted(
    tmp_path: Path, encoding: str | None
) -> None:
    (tmp_path / "x.csv").write_bytes(b"text,label\ngood,a\nbad \x81,b\n")
    notes = ReadNotes()
    options = check_options("csv", ReadOptions(encoding=encoding, replace_undecodable=True))
    rows = list(read_rows(tmp_path / "x.csv", "csv", ["text", "label"], options, notes))
    assert rows == [(2, ["good", "a"]), (3, ["bad \ufffd", "b"])]
    assert (notes.replaced.count, notes.replaced.places) == (1, [f"{tmp_path}/x.csv line 3"])


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04", "a ZIP archive (an Excel workbook?): save it as CSV UTF-8"),
        (b"\x1f\x8b\x08", "compressed with gzip: its name must end in .gz"),
        (b"PAR1\x15\x04", "a Parquet file: its name must end in .parquet"),
    ],
)
def test_file_of_another_type_is_told_what_it_is(tmp_path: Path, head: bytes, what: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read(tmp_path / "x.csv", head)
    assert str(caught.value) == f"{tmp_path}/x.csv: not a text file, but {what}"
