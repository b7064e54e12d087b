"""Which split a row belongs to."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from pipeline.importing.splits import split_of


def test_split_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert [split_of(f"text {i}".encode()) for i in range(8)] == [
        "train",
        "train",
        "train",
        "train",
        "eval",
        "train",
        "eval",
        "train",
    ]


def test_split_shares_are_80_10_10() -> None:
    counts = Counter(split_of(str(i).encode()) for i in range(20_000))
    assert abs(counts["train"] - 16_000) < 250
    assert abs(counts["eval"] - 2_000) < 200
    assert abs(counts["test"] - 2_000) < 200


def test_no_group_crosses_splits(import_csv, rows_of) -> None:
    lines = "".join(f"text {i},{i % 2},movie {i % 40}\n" for i in range(2000))
    _, out = import_csv("text,label,movie\n" + lines, group="movie")
    splits = defaultdict(set)
    for split in ("train", "eval", "test"):
        for row in rows_of(out, split):
            splits[row["movie"]].add(split)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())


def test_texts_alike_but_for_case_and_white_space_share_a_split(import_csv, rows_of) -> None:
    lines = "".join(f"Sentence {i},{i % 2}\nsentence   {i} ,{i % 2}\n" for i in range(300))
    _, out = import_csv("text,label\n" + lines)
    splits = defaultdict(list)
    for split in ("train", "eval", "test"):
        for row in rows_of(out, split):
            splits[row["text"].split()[1]].append(split)
    assert all(len(found) == 2 and found[0] == found[1] for found in splits.values())


def test_label_does_not_decide_the_split(tmp_path: Path, import_csv, rows_of) -> None:
    lines = [f"text {i}" for i in range(300)]
    texts = []
    for index, labels in enumerate(("ab", "ba")):
        content = "".join(f"{line},{labels[i % 2]}\n" for i, line in enumerate(lines))
        _, out = import_csv("text,label\n" + content, out_dir=tmp_path / str(index))
        texts.append({row["text"] for row in rows_of(out, "test")})
    assert len(texts[0]) > 20
    assert texts[0] == texts[1]
