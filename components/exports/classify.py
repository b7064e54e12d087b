"""Classifies texts with an exported model, without TensorFlow and without other files of the project.

    python classify.py "How far is the moon?"
    python classify.py --model model.int8.tflite "How far is the moon?" "Who was Galileo?"
    python classify.py "first text" "second text"        for a model of text pairs: two texts per row
    python classify.py --pairs "first text" "second text"        if the model's inputs do not show that it takes pairs

Prints one line of JSON per row: {"label": "NUM", "probabilities": {"ABBR": 0.001, ...}}, of a model with several labels
{"labels": ["ad", "spam"], "probabilities": {...}}, and of one that predicts a number {"name": "price", "value": 12.5}.
Requires numpy, tokenizers and, for .tflite, ai-edge-litert, for .onnx, onnxruntime (requirements.txt). Reads
labels.txt, tokenizer.json, which has the maximum length of a text, and answer.json, if the answer has decision thresholds, from
its own folder.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
VARIANTS = ("float32", "float16", "int8")  # the first one that exists is used
Tokens = Mapping[str, np.ndarray]
_NO_BYTE = re.compile(
    "[\ud800-\udc7f\udd00-\udfff]"
)  # the surrogates that do not stand for a byte of a command line


class Runtime(NamedTuple):
    """A loaded model.

    `inputs`: names of the inputs. `output`: name of the output. `predict`: inputs, int32 [rows, tokens] -> probabilities
    float32 [rows, classes], or numbers float32 [rows].
    """

    inputs: Sequence[str]
    output: str
    predict: Callable[[Tokens], np.ndarray]


class Classifier:
    """A model with its tokenizer and its labels: `Classifier(folder / "model.int8.onnx")(["Who was Galileo?"])`."""

    def __init__(self, model: Path) -> None:
        self._runtime = open_onnx(model) if model.suffix == ".onnx" else open_tflite(model)
        self._tokenizer = Tokenizer.from_file(str(model.with_name("tokenizer.json")))
        # Only "\n" ends a label, unlike in splitlines().
        self._labels = model.with_name("labels.txt").read_bytes().decode().removesuffix("\n").split("\n")
        constants = model.with_name("answer.json")
        answer = json.loads(constants.read_text(encoding="utf-8")) if constants.is_file() else {}
        self._thresholds = answer.get("thresholds")  # of a model with several labels
        # Some tokenizers give even a single text token types.
        types_of_one = self._tokenizer.encode("").type_ids
        self.takes_pairs = "token_type_ids" in self._runtime.inputs and not any(types_of_one)

    def __call__(self, rows: Sequence[str] | Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Returns the answer to each text or pair of texts, as `python classify.py` prints it."""
        return [self._answer(row) for row in self._runtime.predict(self._tokens(rows))]

    def _answer(self, row: np.ndarray) -> dict[str, Any]:
        if self._runtime.output == "value":
            return {"name": self._labels[0], "value": float(row)}
        shares = {name: float(share) for name, share in zip(self._labels, row, strict=True)}
        if self._thresholds is None:
            return {"label": self._labels[int(row.argmax())], "probabilities": shares}
        limits = np.array(self._thresholds, np.float32)
        order = np.argsort(-row, kind="stable")
        return {"labels": [self._labels[i] for i in order if row[i] >= limits[i]], "probabilities": shares}

    def _tokens(self, rows: Sequence[str] | Sequence[tuple[str, str]]) -> Tokens:
        """Token ids, truncated to the maximum length of the model and padded to the longest row."""
        encoded = self._tokenizer.encode_batch([_readable(row) for row in rows])
        tokens = {
            "input_ids": [row.ids for row in encoded],
            "attention_mask": [row.attention_mask for row in encoded],
            "token_type_ids": [row.type_ids for row in encoded],
        }
        return {name: np.array(tokens[name], np.int32) for name in self._runtime.inputs}


def _readable(row: str | tuple[str, str]) -> str | tuple[str, str]:
    """Replaces lone surrogates, which come from a command line or JSON that is not valid Unicode."""
    if isinstance(row, str):
        escaped = _NO_BYTE.sub("\ufffd", row)
        return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    first, second = row
    return str(_readable(first)), str(_readable(second))


def open_tflite(path: Path) -> Runtime:
    """Loads a .tflite file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=usable_cores())
    runner = interpreter.get_signature_runner()
    indexes = {name: detail["index"] for name, detail in runner.get_input_details().items()}
    [(name, output)] = runner.get_output_details().items()
    shape: list[int] = []

    def predict(tokens: Tokens) -> np.ndarray:
        inputs = {index: np.asarray(tokens[key], np.int32) for key, index in indexes.items()}
        rows, length = next(iter(inputs.values())).shape
        if shape != [rows, length]:  # resizing takes as long as classifying a short text
            for index in inputs:
                interpreter.resize_tensor_input(index, [rows, length])
            interpreter.allocate_tensors()
            shape[:] = [rows, length]
        for index, values in inputs.items():
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(output["index"]))

    return Runtime(list(indexes), name, predict)


def open_onnx(path: Path) -> Runtime:
    """Loads an .onnx file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [info.name for info in session.get_inputs()]
    [output] = [info.name for info in session.get_outputs()]

    def predict(tokens: Tokens) -> np.ndarray:
        inputs = {name: np.asarray(tokens[name], np.int32) for name in names}
        [answers] = session.run([output], inputs)
        return np.asarray(answers)

    return Runtime(names, output, predict)


def usable_cores() -> int:
    """The cores of this process; a container may have fewer than the machine, which both runtimes ignore."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_model() -> Path | None:
    paths = (HERE / f"model.{variant}.{kind}" for variant in VARIANTS for kind in ("tflite", "onnx"))
    return next((path for path in paths if path.is_file()), None)


def main() -> int:
    """Returns the exit code: 0, or 2 for an invalid command line."""
    parser = argparse.ArgumentParser(description="Classifies texts with an exported model.")
    parser.add_argument(
        "--model", type=Path, help="a .tflite or .onnx file; default: the most precise one in this folder"
    )
    parser.add_argument(
        "--pairs", action="store_true", help="two texts per row; detected if the model takes token types"
    )
    parser.add_argument("text", nargs="+", help="one text per row; two for a model of text pairs")
    options = parser.parse_args()
    model = options.model or _first_model()
    if model is None or not model.is_file():
        parser.error(f"no such model: {model or HERE / 'model.*'}")
    classifier = Classifier(model)
    rows: list[Any] = options.text
    if options.pairs or classifier.takes_pairs:
        if len(rows) % 2:
            parser.error(f"this model takes pairs of texts, got {len(rows)} text(s)")
        rows = list(zip(rows[::2], rows[1::2], strict=True))
    for answer in classifier(rows):
        print(json.dumps(answer, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
