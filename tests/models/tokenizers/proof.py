"""Counts the rows that the graph and transformers tokenize differently, and writes the table of docs/tokenization.md.

    python -m tests.models.tokenizers.proof                # every kind of tokenizer: about half an hour
    python -m tests.models.tokenizers.proof "cased" XLNet  # these; the other rows of the table stay

Vocabularies that no package has are trained on the datasets. Datasets, checkpoints and packages are downloaded where
they are missing. The exit code is 1 if a difference has no explanation.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from components.project import PROJECT_DIR
from tests.support.unicode_texts import generated_texts

PAGE = PROJECT_DIR / "docs" / "tokenization.md"
BEGIN, END = "<!-- table of the proof -->\n", "<!-- end of the table -->\n"
DATASETS = {"trec": 5381, "sms_spam": 5171, "rotten_tomatoes": 12752}
ROWS = sum(DATASETS.values())
MAX_LENGTH = 64  # short enough that some rows are cut
UNCUT = 100_000
GENERATED, OF_MARKS = 20_000, 5_000
CODE_POINTS = [*range(0xD800), *range(0xE000, 0x110000)]  # without surrogates
PACKED = 256  # code points of a text
BATCH = 1000

# Why a text may differ -> its explanation in the page.
REORDERED = "reordered marks"
UNEXPLAINED = "unexplained"
NOT_RUN = "not run"
COLUMNS = {
    "rows": f"{ROWS:,} rows",
    "pairs": f"{ROWS:,} pairs",
    "generated": f"{GENERATED:,} generated texts",
    "marks": f"{OF_MARKS:,} texts of marks",
    "alone": "code points alone",
    "between": "code points between letters",
}

Texts = Sequence[Sequence[str]]  # a text of each row, or two
Differing = Callable[[Texts, int], list[int]]  # the rows that differ, cut at a length


def main(names: Sequence[str]) -> int:
    # Of tests only this module runs without pytest, which sets these in conftest.py.
    os.environ["TF_USE_LEGACY_KERAS"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1", "3"
    kinds = _writers()
    if unknown := [name for name in names if name not in kinds]:
        print(f"no kind {unknown[0]!r}; there are: {', '.join(kinds)}", file=sys.stderr)
        return 2
    unexplained = 0
    for name in names or kinds:
        counts = measure(name)
        PAGE.write_text(with_row(PAGE.read_text(), name, counts))
        unexplained += sum(of_text[UNEXPLAINED] for of_text in counts.values())
        print(name, {column: dict(count) for column, count in counts.items()}, flush=True)
    return 1 if unexplained else 0


def _writers() -> dict[str, tuple[str, Callable[[Path], Path]]]:
    """Kind -> its family, and what writes its files."""
    from tests.support.tokenizer_kinds import KINDS, PUBLISHED

    trained = {
        kind: (family, lambda folder, write=write: write(folder, _training_texts()))
        for family, kinds in KINDS.items()
        for kind, write in kinds.items()
    }
    return trained | {
        kind: (family, write) for family, kinds in PUBLISHED.items() for kind, write in kinds.items()
    }


def measure(name: str) -> dict[str, Counter[str]]:
    """Column of the table -> how many of its texts differ, for each reason."""
    _, write = _writers()[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(Path(scratch))
        single, pairs = _differing(folder, 1), _differing(folder, 2)
        rows = [text for dataset in DATASETS for text in real_rows(dataset)]
        other = [text for dataset in DATASETS for text in reversed(real_rows(dataset))]
        return {
            "rows": _reasons([rows], single([rows], MAX_LENGTH)),
            "pairs": _reasons([rows, other], pairs([rows, other], MAX_LENGTH)),
            "generated": _of_texts(single, generated_texts(GENERATED, seed=0)),
            "marks": _of_texts(single, texts_of_marks(OF_MARKS)),
            "alone": _of_words(single, [chr(code) for code in CODE_POINTS]),
            "between": _of_words(single, [f"a{chr(code)}b" for code in CODE_POINTS]),
        }


# --- texts ----------------------------------------------------------------------------------------------


def real_rows(dataset: str) -> list[str]:
    """Every text of a dataset.

    Raises:
        FileNotFoundError: `make data` has not been run.
    """
    from tests.components.transform.test_real_datasets import real_texts

    rows = [text.decode() for text in real_texts(dataset)]
    if len(rows) != DATASETS[dataset]:
        raise FileNotFoundError(f"{dataset} has {len(rows)} rows instead of {DATASETS[dataset]}: `make data`")
    return rows


def _training_texts() -> tuple[str, ...]:
    return (*(text for dataset in DATASETS for text in real_rows(dataset)), *generated_texts(1500, seed=7))


def texts_of_marks(count: int) -> list[str]:
    """Letters with combining marks of all classes, in any order."""
    marks = [chr(code) for code in CODE_POINTS if unicodedata.combining(chr(code))]
    often = [mark for mark in marks if unicodedata.category(mark) != "Mn"]  # no accents
    rng = random.Random(5)
    return [
        "".join(
            rng.choice("aeक한")
            + "".join(rng.choice(rng.choice((marks, often))) for _ in range(rng.randint(1, 4)))
            for _ in range(rng.randint(1, 4))
        )
        for _ in range(count)
    ]


# --- differences ----------------------------------------------------------------------------------------


def _differing(folder: Path, columns: int) -> Differing:
    from models.tokenizers.parity import graph_tokenizer, transformers_tokenizer

    made: dict[int, tuple[Callable, Callable]] = {}

    def differing(texts: Texts, max_length: int) -> list[int]:
        if max_length not in made:
            made[max_length] = (
                graph_tokenizer(folder, columns, max_length),
                transformers_tokenizer(folder, max_length),
            )
        ours, theirs = made[max_length]
        found: list[int] = []
        for start in range(0, len(texts[0]), BATCH):
            batch = [[text.encode() for text in column[start : start + BATCH]] for column in texts]
            both = zip(ours(batch), theirs(batch), strict=True)
            found += [start + place for place, (one, other) in enumerate(both) if one != other]
        return found

    return differing


def _of_texts(differing: Differing, texts: Sequence[str]) -> Counter[str]:
    return _reasons([texts], differing([texts], UNCUT))


def _of_words(differing: Differing, words: Sequence[str]) -> Counter[str]:
    """Words side by side; those of texts that differ are compared one by one."""
    packs = [words[start : start + PACKED] for start in range(0, len(words), PACKED)]
    suspects = [
        word for pack in differing([[" ".join(pack) for pack in packs]], UNCUT) for word in packs[pack]
    ]
    found = differing([suspects], UNCUT)
    if suspects and not found:  # they differ only beside others
        return Counter({UNEXPLAINED: len(suspects)})
    return _reasons([suspects], found)


def _reasons(texts: Texts, rows: Sequence[int]) -> Counter[str]:
    return Counter(
        REORDERED if any(has_reordered_marks(column[row]) for column in texts) else UNEXPLAINED
        for row in rows
    )


def has_reordered_marks(text: str) -> bool:
    """Whether NFD changes the order of marks that stay when accents are stripped: "\\ua9c0\\u302e", but not "\\u0301\\u0323"."""
    classes = [unicodedata.combining(c) for c in text if unicodedata.category(c) != "Mn"]
    return any(after and before > after for before, after in itertools.pairwise(classes))


# --- the table ------------------------------------------------------------------------------------------


def with_row(page: str, kind: str, counts: dict[str, Counter[str]]) -> str:
    """The page with the counts of a kind in its table, which has a row for every kind."""
    before, table, after = parts(page)
    rows = {name: _row(name, [NOT_RUN] * len(COLUMNS)) for name in _writers()}
    known = {name: line for name, line in rows_of(table).items() if name in rows}
    rows |= {**known, kind: _row(kind, _cells(counts))}
    return before + BEGIN + _head() + "".join(rows.values()) + END + after


def parts(page: str) -> tuple[str, str, str]:
    """What is before, inside and behind the markers."""
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    return before, table, after


def rows_of(table: str) -> dict[str, str]:
    """Kind -> its line."""
    lines = table.splitlines(keepends=True)[2:]
    return {line.split(" | ")[1]: line for line in lines}


def _head() -> str:
    columns = ["family", "kind", *COLUMNS.values()]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"


def _row(kind: str, cells: Iterable[str]) -> str:
    from models.tokenizers.family import FAMILIES

    family, _ = _writers()[kind]
    return f"| {' | '.join([FAMILIES[family].title, kind, *cells])} |\n"


def _cells(counts: dict[str, Counter[str]]) -> Iterator[str]:
    for column in COLUMNS:
        of_reasons = [f"{number} {reason}" for reason, number in sorted(counts[column].items())]
        yield ", ".join(of_reasons) or "0"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
