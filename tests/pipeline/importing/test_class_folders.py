"""One folder per class: nothing outside it is read, and files that are not read are reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.errors import PipelineError, UsageError
from pipeline.importing.importer import import_files
from pipeline.importing.readers import format_of, read_rows
from pipeline.importing.rows import ReadNotes, ReadOptions, Row


def read(folder: Path, notes: ReadNotes | None = None, **options) -> list[Row]:
    return sorted(read_rows(folder, "folder", ["text", "label"], ReadOptions(**options), notes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """data/ with the classes neg and pos, two texts each; next to it secret.txt and the folder secrets."""
    for label in ("neg", "pos"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / "data" / label / f"{number}.txt").write_text(f"{label} {number}\n")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "1.txt").write_text("secret")
    return tmp_path / "data"


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
    with pytest.raises(PipelineError, match=r"/pos: contains no \.txt file"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


def test_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"contains no folder; put the \.txt files of each class"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


def test_text_file_that_is_not_utf8_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.txt").write_bytes(b"first\ncaf\xe9")
    with pytest.raises(PipelineError, match=r"pos/1\.txt line 2: not UTF-8 \(e9\)"):
        list(read_rows(tmp_path, "folder", ["text", "label"]))


# --- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["../../secret.txt", "/etc/hostname", "detour"])
def test_link_to_a_file_outside_is_refused(folder: Path, target: str) -> None:
    (folder / "pos" / "detour").symlink_to("../../secret.txt")
    (folder / "pos" / "3.txt").symlink_to(target)
    with pytest.raises(
        PipelineError, match=r"data/pos/3\.txt: a link to /.*, which is outside of .*/data: replace it"
    ):
        read(folder)


@pytest.mark.parametrize("target", ["../secrets", "/etc"])
def test_link_to_a_folder_outside_is_refused(folder: Path, target: str) -> None:
    (folder / "zzz").symlink_to(target)
    with pytest.raises(
        PipelineError, match=r"data/zzz: a link to /.*, which is outside of .*/data: replace it"
    ):
        read(folder)


@pytest.mark.parametrize(
    ("link", "target"), [("pos/3.txt", "nowhere"), ("pos/3.txt", "3.txt"), ("zzz", "zzz")]
)
def test_link_that_leads_nowhere_is_named(folder: Path, link: str, target: str) -> None:
    (folder / link).symlink_to(target)
    with pytest.raises(PipelineError, match=rf"data/{link}: a broken link \(to {target}\): remove it"):
        read(folder)


def test_links_inside_are_followed_and_told(folder: Path) -> None:
    (folder / "pos" / "3.txt").symlink_to("../neg/1.txt")
    (folder / "same").symlink_to("pos")
    notes = ReadNotes()
    assert [values for _, values in read(folder, notes) if values[1] == "same"] == [
        ["pos 1", "same"],
        ["pos 2", "same"],
        ["neg 1", "same"],
    ]
    # The third text of `same` is a link in a folder that is one.
    assert sorted(Path(place).relative_to(folder).as_posix() for place in notes.links.places) == [
        "pos/3.txt",
        "same",
        "same/3.txt",
    ]


def test_folder_that_is_itself_a_link_is_the_users_own_choice(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("data")
    assert len(read(tmp_path / "link")) == 4


def test_loop_of_folders_ends(folder: Path) -> None:
    (folder / "pos" / "loop").symlink_to("..")
    notes = ReadNotes()
    assert len(read(folder, notes)) == 4
    assert notes.not_read.places == [f"{folder}/pos/loop"]


def test_links_that_are_not_read_are_none_of_our_business(folder: Path) -> None:
    (folder / "README").symlink_to("/etc/hostname")
    (folder / "pos" / "notes").symlink_to("/etc")
    assert len(read(folder)) == 4


# --- what is not read ---------------------------------------------------------------------------


def test_entries_that_are_not_read_are_told(folder: Path) -> None:
    (folder / "pos" / "deeper").mkdir()
    (folder / "pos" / "deeper" / "9.txt").write_text("too deep")
    (folder / "pos" / "4.md").write_text("another type")
    (folder / "pos" / "._5.txt").write_bytes(b"\0\xff")
    os.mkfifo(folder / "pos" / "6.txt")
    (folder / "7.txt").write_text("beside the classes")
    (folder / "pos" / ".DS_Store").write_bytes(b"\xff")
    notes = ReadNotes()
    assert len(read(folder, notes)) == 4
    assert sorted(place.removeprefix(f"{folder}/") for place in notes.not_read.places) == [
        "7.txt",
        "pos/._5.txt",
        "pos/4.md",
        "pos/6.txt",
        "pos/deeper",
    ]


def test_suffix_in_capitals_is_a_text_too(folder: Path) -> None:
    (folder / "pos" / "3.TXT").write_text("pos 3")
    assert ("pos/3.TXT", ["pos 3", "pos"]) in read(folder)


def test_folder_of_tables_is_told_from_one_of_classes(tmp_path: Path) -> None:
    (tmp_path / "part-0.parquet").touch()
    with pytest.raises(
        PipelineError, match=r"to import the files in it, name them, such as .*/part-0\.parquet"
    ):
        read(tmp_path)


def test_column_that_folders_do_not_have_is_wrong_usage(folder: Path) -> None:
    with pytest.raises(UsageError, match="no column 'stars'; columns found: 'text', 'label', 'file'"):
        list(read_rows(folder, "folder", ["text", "stars"]))


# --- bytes --------------------------------------------------------------------------------------


def test_texts_of_another_encoding_are_read_with_a_way_on(folder: Path) -> None:
    (folder / "pos" / "3.txt").write_bytes(b"first\n\xa310\n")
    with pytest.raises(PipelineError, match=r"--encoding cp1252, or use --replace-undecodable"):
        read(folder)
    assert ("pos/3.txt", ["first\n£10", "pos"]) in read(folder, encoding="cp1252")
    notes = ReadNotes()
    assert ("pos/3.txt", ["first\n\ufffd10", "pos"]) in read(folder, notes, replace_undecodable=True)
    assert (notes.replaced.count, notes.replaced.places) == (1, [f"{folder}/pos/3.txt"])


def test_texts_in_utf16_are_read_and_told(folder: Path) -> None:
    (folder / "pos" / "3.txt").write_text("naïve", encoding="utf-16")
    notes = ReadNotes()
    assert ("pos/3.txt", ["naïve", "pos"]) in read(folder, notes)
    assert notes.recoded["UTF-16-LE"].places == [f"{folder}/pos/3.txt"]


# --- imported -----------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for label in ("neg", "pos"):
        (tmp_path / "many" / label).mkdir(parents=True)
        for number in range(40):
            (tmp_path / "many" / label / f"{number}.txt").write_text(f"{label} {number}")
    return tmp_path / "many"


def test_import_tells_of_links_of_what_it_did_not_read_and_of_replaced_bytes(
    many: Path, tmp_path: Path
) -> None:
    (many / "pos" / "link.txt").symlink_to("1.txt")
    (many / "pos" / "notes.md").touch()
    (many / "pos" / "bad.txt").write_bytes(b"caf\xe9")
    (many / "pos" / os.fsdecode(b"\xff.txt")).write_text("a name that is not UTF-8")
    report = import_files([many], out_dir=tmp_path / "out", options=ReadOptions(replace_undecodable=True))
    assert report.notes == [f"links inside the folder that were followed: {many}/pos/link.txt"]
    assert report.warnings[:2] == [
        f"bytes that could not be decoded were replaced with U+FFFD: {many}/pos/bad.txt",
        f"not read, because only .txt files directly in the folder of a class are read, and no hidden ones: {many}/pos/notes.md",
    ]


def test_output_inside_the_folder_would_be_a_class_of_the_next_import(many: Path) -> None:
    with pytest.raises(UsageError, match=r"--out .*/many/out: is inside of .*/many, which is being imported"):
        import_files([many], out_dir=many / "out")
