"""Writes the files shipped with a TFLite or ONNX model: labels, tokenizer and a runnable Python example."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from components.exports import classify
from components.exports.served import served_answer, served_inputs
from components.model_files import EXTRAS
from models import features
from models.tasks.label_list import read_labels

LABELS = features.LABELS_FILE
VOCABULARY = "vocab.txt"
TOKENIZER = "tokenizer.json"
EXAMPLE = "classify.py"
REQUIREMENTS = "requirements.txt"


def write_shipped_files(
    saved_model: Path,
    checkpoint: Path,
    max_length: int,
    text_columns: Sequence[str],
    models: Sequence[str],
    runtime: str,
    out: Path,
) -> None:
    """Writes labels.txt, vocab.txt, tokenizer.json, classify.py, requirements.txt and README.md into `out`.

    Args:
        saved_model: has the label list.
        checkpoint: has the tokenizer files.
        max_length: maximum tokens per text or pair, special tokens included.
        text_columns: one, or two for text pairs.
        models: names of the model files.
        runtime: package that runs them, such as "onnxruntime".
        out: existing folder.

    Raises:
        PipelineError: the label list or the tokenizer files cannot be read.
    """
    from models.tokenizers.family import load_spec

    labels = read_labels(saved_model / EXTRAS / LABELS)
    shutil.copyfile(saved_model / EXTRAS / LABELS, out / LABELS)
    if (saved_model / EXTRAS / features.ANSWER_FILE).is_file():
        shutil.copyfile(saved_model / EXTRAS / features.ANSWER_FILE, out / features.ANSWER_FILE)
    write_tokenizer(checkpoint, max_length, out)
    shutil.copyfile(classify.__file__, out / EXAMPLE)
    packages = [f"{name}=={version(name)}" for name in ("numpy", "tokenizers", runtime)]
    (out / REQUIREMENTS).write_text("".join(f"{line}\n" for line in packages), encoding="utf-8")
    inputs = served_inputs(saved_model)
    shows_pairs = features.TOKEN_TYPE_IDS in inputs and not any(
        kind for _, kind in load_spec(checkpoint).single
    )
    readme = _readme(
        labels, max_length, text_columns, inputs, models, shows_pairs, served_answer(saved_model)
    )
    (out / "README.md").write_text(readme, encoding="utf-8")


def write_tokenizer(checkpoint: Path, max_length: int, out: Path) -> None:
    """Writes tokenizer.json, which truncates and pads as serving does, and its vocabulary, one token per line.

    The vocabulary is for people and tools that look ids up by line number: a line end in a token, which Unigram's may have,
    is written as \\n or \\r, as a token of a backslash and a letter is.

    `Tokenizer.from_file("tokenizer.json").encode_batch([...])` then gives the ids of the transform graph.
    """
    from models.tokenizers.hugging_face import hugging_face_tokenizer, verified_spec

    spec = verified_spec(checkpoint)
    tokenizer = hugging_face_tokenizer(checkpoint).backend_tokenizer
    # The checkpoint's own truncation and padding do not apply: all-MiniLM-L6-v2 pads to 128.
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    tokenizer.enable_padding(pad_id=spec.pad_id, pad_token=spec.pad_token)
    tokenizer.save(str(out / TOKENIZER))
    lines = (token.replace("\n", "\\n").replace("\r", "\\r") for token in spec.tokens)
    (out / VOCABULARY).write_bytes("".join(f"{line}\n" for line in lines).encode())


def _readme(
    labels: Sequence[str],
    max_length: int,
    text_columns: Sequence[str],
    inputs: Sequence[str],
    models: Sequence[str],
    shows_pairs: bool,
    answer: tuple[str, int],
) -> str:
    pair = len(text_columns) > 1
    texts = '"first text" "second text"' if pair else '"a text"'
    if pair and not shows_pairs:
        texts = f"--pairs {texts}"
    name, rank = answer
    shape = f"[batch, {len(labels)}]" if rank > 1 else "[batch]"
    columns = " and ".join(f"`{name}`" for name in text_columns)
    return f"""# A text classifier

    pip install -r {REQUIREMENTS}
    python {EXAMPLE} {texts}

prints the answer as a line of JSON: the label or labels that apply and the probability of each of them, or a number.
In Python, use `Classifier` from `{EXAMPLE}`.

| file | contains |
|---|---|
| {", ".join(f"`{name}`" for name in models)} | the model; the name says how its weights are stored |
| `{TOKENIZER}` | the tokenizer: truncates to {max_length} tokens, pads to the longest text of a batch |
| `{VOCABULARY}` | its vocabulary; the id is the line number, starting at 0 |
| `{LABELS}` | the labels, in the order of the probabilities, or the name of the number |
| `{features.ANSWER_FILE}` | only for some tasks: constants of the answer, such as the decision thresholds of labels |
| `export.json` | version, metric, size and latency, compared with those of the served model |

- Inputs: {", ".join(f"`{name}`" for name in inputs)}, int32 [batch, tokens]: any number of rows, up to {max_length} tokens.
- Output: `{name}`, float32 {shape}.
- Trained on the column{"s" if pair else ""} {columns}.
"""
