"""Compares tokenizers by rows per second and by rows that differ: ours in the graph, Hugging Face fast, tf-text.

For each tokenizer, batches of 1,000 texts with special tokens, truncated to 128 tokens, without padding. Every system has its own process;
they take turns pass by pass, so that a busy machine affects all of them alike, and the best pass counts. Hugging Face
fast is Rust on all cores and is measured twice: as usually called (`tokenizer(texts)`) and through its fastest function
(`encode_batch_fast`). A row is a mismatch if its ids are not those of `tokenizer(texts)`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.workspace import real_dataset
from components.project import PROJECT_DIR
from models.checkpoints.settings import CheckpointSettings
from models.checkpoints.source import checkpoint_folder

DATASETS = ("trec", "sms_spam", "rotten_tomatoes")
# Tokenizer -> what is measured.
TOKENIZERS = {
    "wordpiece": ("ours", "hf_fast", "hf_fast_backend", "tf_text_fast_bert"),
    "byte_bpe": ("ours", "hf_fast", "hf_fast_backend"),
    "unigram, 8,000 pieces": ("ours", "hf_fast", "hf_fast_backend"),
    "unigram, 250,002 pieces": ("ours", "hf_fast", "hf_fast_backend"),
}
RECIPES = {"wordpiece": "all-MiniLM-L6-v2", "unigram, 250,002 pieces": "multilingual-e5-small"}
BYTE_BPE_SIZE, UNIGRAM_SIZE = 30_000, 8_000  # of trained vocabularies
REFERENCE = "hf_fast"
BATCH = 1000
MAX_LENGTH = 128

Ids = list[list[int]]
# Three functions: tokenize a prepared batch; prepare a batch, which is not timed; convert the result to lists of ids.
System = tuple[Callable[[Any], Any], Callable[[list[str]], Any], Callable[[Any], Ids]]


def run(quick: bool, datasets: tuple[str, ...] = DATASETS) -> list[dict[str, Any]]:
    """Returns one dict per dataset, size and system. Quick: three passes over the rows; full: seven, also at 10x rows."""
    for name in datasets:
        real_dataset(name)
    scales, passes = ([1], 3) if quick else ([1, 10], 7)
    summaries: list[dict[str, Any]] = []
    for tokenizer, systems in TOKENIZERS.items():
        with contextlib.ExitStack() as alive:
            scratch = Path(alive.enter_context(tempfile.TemporaryDirectory()))
            checkpoint = _checkpoint(tokenizer, scratch)
            workers = {system: Worker(system, checkpoint, scratch) for system in systems}
            for worker in workers.values():
                alive.callback(worker.close)
            for name in datasets:
                for scale in scales:
                    rows = _compare(workers, {"dataset": name, "scale": scale}, passes)
                    summaries += [{**row, "tokenizer": tokenizer} for row in rows]
    return summaries


def _checkpoint(tokenizer: str, scratch: Path) -> Path:
    """The folder of a tokenizer; what no package has is trained on the datasets, by a process of its own."""
    if recipe := RECIPES.get(tokenizer):
        return checkpoint_folder(
            CheckpointSettings(recipe=recipe),
            PROJECT_DIR / "data" / "checkpoints",
            PROJECT_DIR / "checkpoints",
        )
    folder = scratch / "trained"
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.tokenization", f"train {tokenizer}", str(folder)]
    subprocess.run(command, cwd=PROJECT_DIR, check=True, capture_output=True, text=True)
    return folder


def _compare(workers: dict[str, Worker], what: dict[str, Any], passes: int) -> Iterator[dict[str, Any]]:
    ids = {system: worker.ask({**what, "do": "ids"})["ids"] for system, worker in workers.items()}
    turns = [
        {s: worker.ask({**what, "do": "pass"})["seconds"] for s, worker in workers.items()}
        for _ in range(passes)
    ]
    best = {system: min(turn[system] for turn in turns) for system in workers}
    rows = len(ids[REFERENCE]) * what["scale"]
    for system, worker in workers.items():
        yield {
            "benchmark": "tokenization",
            "dataset": what["dataset"],
            "system": system,
            "rows": rows,
            "rows_per_second": round(rows / best[system]),
            "ours_relative": round(best[system] / best["ours"], 2),  # our speed relative to the system's
            "mismatches": sum(a != b for a, b in zip(ids[system], ids[REFERENCE], strict=True)),
            "peak_mib": round(worker.ask({"do": "peak"})["peak_mib"]),
        }


class Worker:
    """A process that tokenizes with one system, one pass per request."""

    def __init__(self, system: str, checkpoint: Path, scratch: Path) -> None:
        self._errors = scratch / f"{system}.stderr"
        environment = {
            "TF_USE_LEGACY_KERAS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TOKENIZERS_PARALLELISM": "true",
        }
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.tokenization", system, str(checkpoint)],
                cwd=PROJECT_DIR,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args!r} ended:\n{self._errors.read_text()[-3000:]}")
        return json.loads(answer)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


# --- one system, in its own process ---------------------------------------------------------------


def serve(system: str, checkpoint: Path) -> None:
    """Answers requests, one JSON object per line: `{"do": "pass", "dataset": "trec", "scale": 1}`."""
    tokenize, prepare, to_ids = _systems()[system](checkpoint)

    @functools.cache
    def batches(dataset: str, scale: int) -> list[Any]:
        rows = list(_texts(dataset)) * scale
        return [prepare(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]

    for line in sys.stdin:
        question = json.loads(line)
        match question["do"]:
            case "pass":
                prepared = batches(question["dataset"], question["scale"])
                answer: dict[str, Any] = {"seconds": _seconds(tokenize, prepared)}
            case "ids":
                answer = {
                    "ids": [
                        ids for batch in batches(question["dataset"], 1) for ids in to_ids(tokenize(batch))
                    ]
                }
            case _:
                answer = {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        print(json.dumps(answer), flush=True)


def _seconds(tokenize: Callable[[Any], Any], batches: list[Any]) -> float:
    start = time.perf_counter()
    for batch in batches:
        tokenize(batch)
    return time.perf_counter() - start


def _texts(name: str) -> Iterator[str]:
    import tensorflow as tf

    files = sorted(str(file) for file in (PROJECT_DIR / "datasets" / name).glob("*.tfrecord.gz"))
    if not files:
        raise FileNotFoundError(f"no shard of {name}: `make data` creates it")
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        yield tf.train.Example.FromString(record).features.feature["text"].bytes_list.value[0].decode()


def _systems() -> dict[str, Callable[[Path], System]]:
    return {
        "ours": _ours,
        "hf_fast": _hugging_face,
        "hf_fast_backend": _hugging_face_backend,
        "tf_text_fast_bert": _tf_text,
    }


def _ours(checkpoint: Path) -> System:
    from models.features import INPUT_IDS
    from models.tokenizers.family import family_of, load_spec
    from models.tokenizers.packing import encode

    tokenize, spec = family_of(checkpoint).load_graph().tokenize, load_spec(checkpoint)
    return _graph(lambda texts: encode([texts], tokenize, spec, MAX_LENGTH)[INPUT_IDS])


def _tf_text(checkpoint: Path) -> System:
    import tensorflow as tf
    import tensorflow_text as tf_text

    from models.tokenizers.family import load_spec

    spec = load_spec(checkpoint)
    lower_case = json.loads((checkpoint / "tokenizer_config.json").read_text()).get("do_lower_case", True)
    tokenizer = tf_text.FastBertTokenizer(list(spec.vocab), lower_case_nfd_strip_accents=lower_case)
    (cls_id, _), _, (sep_id, _) = spec.single

    def encode(texts: tf.Tensor) -> tf.RaggedTensor:
        tokens = tokenizer.tokenize(texts)[:, : MAX_LENGTH - 2]
        return tf_text.combine_segments([tokens], cls_id, sep_id)[0]

    return _graph(encode)


def _graph(encode: Callable[[Any], Any]) -> System:
    import tensorflow as tf

    function = tf.function(encode, input_signature=[tf.TensorSpec([None], tf.string)])

    def tokenize(batch: tf.Tensor) -> tf.RaggedTensor:
        ids = function(batch)
        ids.flat_values.numpy()  # waits for the result
        return ids

    return tokenize, tf.constant, lambda ids: ids.to_list()


def _hugging_face(checkpoint: Path) -> System:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return (
        functools.partial(tokenizer, truncation=True, max_length=MAX_LENGTH),
        list,
        lambda out: out["input_ids"],
    )


def _hugging_face_backend(checkpoint: Path) -> System:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer
    tokenizer.enable_truncation(MAX_LENGTH)
    tokenizer.no_padding()
    return tokenizer.encode_batch_fast, list, lambda encodings: [encoding.ids for encoding in encodings]


def _train_byte_bpe(folder: Path) -> None:
    """RoBERTa's files with a vocabulary of the datasets' texts."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = [text for name in DATASETS for text in _texts(name)]
    tokenizer.train_from_iterator(
        texts, BYTE_BPE_SIZE, min_frequency=1, show_progress=False, special_tokens=special
    )
    tokenizer.save_model(str(folder))
    RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)


def _train_unigram(folder: Path) -> None:
    """XLM-RoBERTa's files with a vocabulary of the datasets' texts."""
    import sentencepiece
    from transformers import XLMRobertaTokenizerFast

    with (folder / "sentencepiece.bpe.model").open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(text for name in DATASETS for text in _texts(name)),
            model_writer=model,
            vocab_size=UNIGRAM_SIZE,
            minloglevel=2,
        )
    XLMRobertaTokenizerFast.from_pretrained(folder).save_pretrained(folder)


_TRAINERS = {"train byte_bpe": _train_byte_bpe, "train unigram, 8,000 pieces": _train_unigram}


if __name__ == "__main__":
    if sys.argv[1] in _TRAINERS:
        _TRAINERS[sys.argv[1]](Path(sys.argv[2]))
    else:
        serve(sys.argv[1], Path(sys.argv[2]))
