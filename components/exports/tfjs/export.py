"""TensorFlow.js: a graph model for browsers with a demo page, tested in Node.js on the WebAssembly backend."""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from components.exports.opened import Opened, Tokens
from components.exports.tfjs import convert as converter
from components.exports.tfjs.environment import FILES, Environment, environment
from components.model_files import EXTRAS
from components.project import PROJECT_DIR
from models import features
from models.errors import PipelineError
from models.tasks.label_list import read_labels

VARIANTS = ("float32", "float16", "uint8")
CONVERT_SECONDS = 1800.0
START_SECONDS = 300.0
ANSWER_SECONDS = 600.0

MODEL_FILE = "model.json"
PAGE_FILES = ("index.html", "demo.css", "demo.js", "classifier.js", "tokenizer.js")
RUNTIME_FOLDER = "tfjs"
RUNTIME_FILES = (
    "tfjs-core/dist/tf-core.min.js",
    "tfjs-converter/dist/tf-converter.min.js",
    "tfjs-backend-wasm/dist/tf-backend-wasm.min.js",
    "tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm",
    "tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
    "tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm",
)


class TFJSError(PipelineError):
    """The model could not be converted, or does not run."""


def convert(saved_model: Path, variant: str, out: Path) -> None:
    """Writes `<variant>/model.json` and its weight files into `out`.

    Args:
        saved_model: folder that the Trainer exported.
        variant: one of VARIANTS, the type that the weights are stored as. All variants compute in float32.
        out: existing folder.

    Raises:
        NotInstalledError: the environment is missing and could not be installed.
        TFJSError: the converter rejects the model.
    """
    from components.exports.token_model import save_token_model

    tools = environment()
    with tempfile.TemporaryDirectory(prefix="tfjs-") as folder:
        save_token_model(saved_model, Path(folder, "tokens"))
        run_converter(Path(folder, "tokens"), variant, out / variant, tools)


def run_converter(token_model: Path, variant: str, target: Path, tools: Environment) -> None:
    """Runs `converter.convert` in its own process.

    Raises:
        TFJSError: the converter failed; the message is its last error.
    """
    command = [sys.executable, "-m", converter.__name__, str(token_model), variant, str(target)]
    try:
        done = subprocess.run(
            command,
            env=_python_environment(tools),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CONVERT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TFJSError(f"the converter did not finish within {CONVERT_SECONDS:.0f} s") from None
    if done.returncode != 0 or not (target / MODEL_FILE).is_file():
        raise TFJSError(f"the converter failed: {_last_error(done.stderr, done.returncode)}")


def _python_environment(tools: Environment) -> dict[str, str]:
    """The converter's environment: the same TensorFlow, without oneDNN's fused ops, which TensorFlow.js lacks."""
    paths = filter(None, [str(tools.converter), str(PROJECT_DIR), os.environ.get("PYTHONPATH")])
    options = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    return {**os.environ, **options, "PYTHONPATH": os.pathsep.join(paths)}


def _last_error(stderr: str, code: int) -> str:
    """The exception of a traceback on one line, otherwise the exit code and the last line."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback ")]
    if not starts:
        return " ".join([f"exit code {code}", *lines[-1:]])[:300]
    message = [line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")]
    return " ".join(" ".join(message).split())[:300]


def files(out: Path, variant: str) -> list[Path]:
    """model.json and the weights."""
    return sorted(path for path in (out / variant).glob("*") if path.is_file())


@contextlib.contextmanager
def opened(out: Path, variant: str) -> Iterator[Opened]:
    """Runs the variant in one Node.js process with the WebAssembly backend until the end of the block.

    Raises:
        NotInstalledError: the environment is missing and could not be installed.
        TFJSError: Node.js cannot load the model, ends, or does not answer in time.
    """
    tools = environment()
    command = [tools.node, str(FILES / "runner.js"), str(tools.home), str(out / variant)]
    with (
        tempfile.TemporaryFile() as errors,
        # It stops when its stdin closes, which happens however this process ends.
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        node = _Node(process, errors)
        try:
            node.read(START_SECONDS, "ready")
            yield Opened(node.predict, node.seconds)
        finally:
            node.end()


class _Node:
    """The Node.js process."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._in, self._out, self._errors = process, process.stdin, process.stdout, errors

    def end(self) -> None:
        """Kills the process; requests that it did not read are not an error."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._in.close()

    def predict(self, tokens: Tokens) -> np.ndarray:
        """Probabilities float32 [rows, classes]."""
        encoded = self._ask(tokens, 0)["probabilities"]
        rows = len(next(iter(tokens.values())))
        return np.frombuffer(base64.b64decode(encoded), "<f4").reshape(rows, -1)

    def seconds(self, tokens: Tokens, repeats: int) -> list[float]:
        """Wall time of each call, measured in Node.js, after a warm-up call."""
        return [float(second) for second in self._ask(tokens, repeats)["seconds"]]

    def _ask(self, tokens: Tokens, repeats: int) -> dict[str, Any]:
        rows, length = next(iter(tokens.values())).shape
        inputs = {name: _encoded(value) for name, value in tokens.items()}
        request = {"rows": rows, "tokens": length, "inputs": inputs, "repeats": repeats}
        return self.read(ANSWER_SECONDS, "probabilities", json.dumps(request).encode() + b"\n")

    def read(self, seconds: float, key: str, request: bytes = b"") -> dict[str, Any]:
        """Sends a request and returns the answer; a process that is too slow is killed, which ends both."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        watchdog = threading.Timer(seconds, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended: read its last output
                self._in.write(request)
                self._in.flush()
            line = self._out.readline()
        finally:
            watchdog.cancel()
        if late.is_set():
            raise TFJSError(f"Node did not answer within {seconds:.0f} s")
        return self._checked(line, key)

    def _checked(self, line: bytes, key: str) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            raise TFJSError(f"Node stopped: {self._said()}") from None
        if key not in answer:
            raise TFJSError(f"Node cannot run the model: {' '.join(str(answer.get('error')).split())[:300]}")
        return dict(answer)

    def _said(self) -> str:
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        message = next((line for line in lines if "Error" in line or "FATAL" in line), "")
        return " ".join((message or f"exit code {code}").split())[:300]


def _encoded(ids: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(ids, "<i4").tobytes()).decode()


def ship_beside(
    saved_model: Path,
    checkpoint: Path,
    max_length: int,
    text_columns: Sequence[str],
    variants: Sequence[str],
    out: Path,
) -> None:
    """Writes the demo page and its files: runtime, tokenizer, vocabulary, labels. Any static web server can serve it.

    Args:
        saved_model: has the label list.
        checkpoint: has the tokenizer files.
        max_length: maximum tokens per text or pair, special tokens included.
        text_columns: one, or two for text pairs.
        variants: the accepted ones; the page starts with the first.
        out: the folder of the variants.

    Raises:
        NotInstalledError: the environment is missing and could not be installed.
        PipelineError: the tokenizer files or the labels cannot be read.
    """
    from models.tokenizers.family import family_of, load_spec

    runtime = out / RUNTIME_FOLDER
    runtime.mkdir(exist_ok=True)
    for refused in {*VARIANTS} - {*variants}:
        shutil.rmtree(out / refused, ignore_errors=True)
    packages = environment().home / "node_modules" / "@tensorflow"
    for name in RUNTIME_FILES:
        shutil.copyfile(packages / name, runtime / Path(name).name)
    shutil.copyfile(FILES / "LICENSE", runtime / "LICENSE")  # of TensorFlow.js, whose packages lack it
    for name in PAGE_FILES:
        shutil.copyfile(FILES / name, out / name)
    shutil.copyfile(FILES / "SHIPPED.md", out / "README.md")
    labels = read_labels(saved_model / EXTRAS / features.LABELS_FILE)
    about = {"labels": labels, "text_columns": list(text_columns), "variants": list(variants)}
    _write_json(out / "classifier.json", about)
    tokenizer = importlib.import_module(family_of(checkpoint).exports["tfjs"])
    _write_json(out / "tokenizer_data.json", tokenizer.tokenizer_data(load_spec(checkpoint), max_length))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
