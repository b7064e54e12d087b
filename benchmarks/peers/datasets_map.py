"""Peer of the Transform node: `datasets.map` with the Hugging Face fast tokenizer, then TFRecords.

    .venv-bench/bin/python -m benchmarks.peers.datasets_map DATASET LABELS CHECKPOINT OUT MAX_LENGTH

Reads the same raw shards and writes the same rows (token ids without padding, label id) of the same
splits, also compressed. Both sides are timed from reading to closing the last file, without imports.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets  # isort: skip  (the project may or may not have a folder of that name)
from transformers import BertTokenizerFast

from benchmarks.processes import peak_mib, print_result, reset_peak
from benchmarks.tfexample import digest_of_ids, encode_ids, read_texts
from models.features import INPUT_IDS, LABEL_ID
from pipeline.importing.tfrecord import ShardWriter

SPLITS = ("train", "eval")
_BATCH = 1000  # of map; its default
_SHARD_BYTES = 64 << 20


def main() -> None:
    """Prints {"seconds", "map_seconds", "peak_mib", "rows", "digest"}."""
    folder, labels_path, checkpoint, out = map(Path, sys.argv[1:5])
    max_length = int(sys.argv[5])
    out.mkdir(parents=True)
    datasets.disable_progress_bars()
    tokenizer = BertTokenizerFast.from_pretrained(checkpoint)
    labels = labels_path.read_text(encoding="utf-8").split("\n")
    reset_peak()
    started, in_map = time.perf_counter(), 0.0
    for split in SPLITS:
        rows = _rows(folder, split, out)
        before = time.perf_counter()
        mapped = _map(rows, tokenizer, labels, max_length)
        in_map += time.perf_counter() - before
        _write(mapped, out, split)
    seconds, peak = time.perf_counter() - started, peak_mib()
    count, digest = digest_of_ids(sorted(out.glob("*.tfrecord.gz")), (INPUT_IDS, LABEL_ID))
    print_result(
        {"seconds": seconds, "map_seconds": in_map, "peak_mib": peak, "rows": count, "digest": digest}
    )


def _rows(folder: Path, split: str, cache: Path) -> datasets.Dataset:
    """Writes the raw rows to the Arrow file that `map` reads."""

    def generate() -> Iterator[dict[str, str]]:
        for text, label in read_texts(sorted(folder.glob(f"{split}-*")), ("text", "label")):
            yield {"text": text, "label": label}

    return datasets.Dataset.from_generator(generate, cache_dir=str(cache / f"cache-{split}"))


def _map(rows: datasets.Dataset, tokenizer: Any, labels: list[str], max_length: int) -> datasets.Dataset:
    ids = {label: index for index, label in enumerate(labels)}

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = tokenizer(
            batch["text"],
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return {INPUT_IDS: encoded["input_ids"], LABEL_ID: [ids[label] for label in batch["label"]]}

    return rows.map(encode, batched=True, batch_size=_BATCH, remove_columns=["text", "label"])


def _write(rows: datasets.Dataset, out: Path, split: str) -> None:
    writer = ShardWriter(out, split, _SHARD_BYTES)
    for batch in rows.iter(_BATCH):
        for ids, label in zip(batch[INPUT_IDS], batch[LABEL_ID], strict=True):
            writer.write(encode_ids({INPUT_IDS: ids, LABEL_ID: [label]}))
    writer.close()


if __name__ == "__main__":
    main()
