"""Converts a served version to the files that `transformers` loads: safetensors, config, tokenizer, model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from tensorflow.core.protobuf import saved_model_pb2

from components.model_files import EXTRAS, SAVED_MODEL
from components.versions.record import PushRecord, read_record
from models import features
from models.checkpoints.classifier import hugging_face_config
from models.checkpoints.config import read_encoder
from models.encoders.families import FAMILIES
from models.encoders.weights import pytorch_weights
from models.errors import PipelineError
from models.tasks.label_list import read_labels
from models.tasks.task import TASKS, Facts
from models.tokenizers.hugging_face import hugging_face_tokenizer, word_options

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"


def write_hub_files(
    version: Path, checkpoint: Path, name: str, max_length: int, task: str, out: Path
) -> None:
    """Writes all files of a hub repository into `out`.

    Args:
        version: folder of a served version.
        checkpoint: folder of the pretrained encoder, with its config and tokenizer.
        name: name of the served model.
        max_length: maximum tokens per text or pair, special tokens included.
        task: what the model learned, a key of `TASKS`.
        out: existing folder.

    Raises:
        PipelineError: the version is not a model of this project's Trainer, or config or tokenizer cannot be
            used.
    """
    from safetensors.numpy import save_file

    facts = TASKS[task].facts()
    labels = read_labels(version / EXTRAS / "labels.txt")
    weights = pytorch_weights(_variables(version), _encoder_shapes(checkpoint))
    save_file(weights, str(out / WEIGHTS_FILE), metadata={"format": "pt"})
    config = hugging_face_config(checkpoint, labels)
    name_of_class = FAMILIES[config.model_type].facts().TF_CLASS.removeprefix("TF")
    if facts.OF_WORDS:
        name_of_class = name_of_class.replace("ForSequenceClassification", "ForTokenClassification")
    config.architectures = [name_of_class]
    config.problem_type = facts.PROBLEM_TYPE
    config.dtype = "float32"
    config.save_pretrained(str(out))
    write_tokenizer(checkpoint, max_length, facts.OF_WORDS, out)
    constants = version / EXTRAS / features.ANSWER_FILE
    if constants.is_file():
        shutil.copyfile(constants, out / features.ANSWER_FILE)
    (out / CARD_FILE).write_text(model_card(name, facts, labels, read_record(version)), encoding="utf-8")


def write_tokenizer(checkpoint: Path, max_length: int, of_words: bool, out: Path) -> None:
    """Writes the checkpoint's tokenizer into `out`, as training has called it: on texts, or on words, each alone."""
    options = word_options(checkpoint) if of_words else {}
    tokenizer = hugging_face_tokenizer(checkpoint, model_max_length=max_length, **options)
    tokenizer.save_pretrained(str(out))


def _encoder_shapes(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """Returns PyTorch tensor name -> shape for the encoder of a checkpoint."""
    encoder = read_encoder(checkpoint)
    tensors = encoder.facts.tensors(encoder.config, encoder.facts.PARTS)
    return {f"{encoder.facts.PREFIX}{name}": shape for name, shape in tensors}


def _variables(saved_model: Path) -> dict[str, np.ndarray]:
    """Returns Keras name -> value for the weights in a SavedModel that the Trainer exported.

    Raises:
        PipelineError: the SavedModel has no list of weights.
    """
    reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    return {
        name: reader.get_tensor(f"weights/{position}/{_VALUE}")
        for position, name in _variable_names(saved_model).items()
    }


def _variable_names(saved_model: Path) -> dict[str, str]:
    """Returns position in the list of weights -> Keras name of the variable."""
    message = saved_model_pb2.SavedModel.FromString((saved_model / SAVED_MODEL).read_bytes())
    nodes = message.meta_graphs[0].object_graph_def.nodes
    children = {child.local_name: child.node_id for child in nodes[0].children}
    if "weights" not in children:
        raise PipelineError(
            f"{saved_model}: not exported by this project's Trainer (it has no list of weights)"
        )
    listed = nodes[children["weights"]].children
    return {child.local_name: nodes[child.node_id].variable.name for child in listed}


def model_card(name: str, facts: Facts, labels: Sequence[str], record: PushRecord) -> str:
    """The README.md: what the model is for, its metrics, and what it was made from."""
    head = {"library_name": "transformers", "pipeline_tag": facts.HUB_TAG, "tags": ["tfx"]}
    lines = ["---", yaml.safe_dump(head, sort_keys=True).rstrip(), "---", "", f"# {name}", ""]
    lines += [facts.card_summary(labels), "", *(_words(record) if facts.OF_WORDS else _windows(record))]
    lines += _metrics(record.metrics or {}, record.baseline_metrics or {})
    lines += ["## Made from", ""]
    lines += [f"- {what}: {value}" for what, value in _facts(record).items() if value]
    settings = (record.config or {}).get("train")
    if settings:
        lines += ["", "## Training", "", "```json", json.dumps(settings, indent=2, sort_keys=True), "```"]
    return "\n".join(lines) + "\n"


def _words(record: PushRecord) -> list[str]:
    """How texts are divided into words, as the answers that were evaluated are about these."""
    rule = (record.config or {}).get("transform", {}).get("words")
    if not rule:
        return []
    splitter = {"whitespace": "WhitespaceSplit", "whitespace_punctuation": "BertPreTokenizer"}[rule]
    return [
        f"The words of a text are those of `tokenizers.pre_tokenizers.{splitter}()` (`transform.words: {rule}`): "
        "`[word for word, _ in pre_tokenizer.pre_tokenize_str(text)]`.",
        "",
    ]


def _windows(record: PushRecord) -> list[str]:
    """What a user of transformers has to do for the answers that were evaluated, if texts have windows."""
    transform = (record.config or {}).get("transform", {})
    window = transform.get("window")
    if not window:
        return []
    return [
        f"Texts are read in windows of {transform['max_length']} tokens that share {window['stride']}, and the logits of a "
        f"text are the {window['aggregate']} of those of its windows; so are the metrics. `transformers` truncates: "
        "tokenize with `return_overflowing_tokens=True` and that stride, and join the logits.",
        "",
    ]


def _metrics(metrics: Mapping[str, float | None], baseline: Mapping[str, float | None]) -> list[str]:
    if not metrics:
        return []
    rows = [f"| {name} | {_shown(value)} | {_shown(baseline.get(name))} |" for name, value in metrics.items()]
    return ["## Metrics", "", "| metric | value | model before |", "|---|---|---|", *rows, ""]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _facts(record: PushRecord) -> dict[str, Any]:
    data, checkpoint = record.data or {}, record.checkpoint or {}
    return {
        "version": record.version,
        "run": record.run_id,
        # Only the name, because local paths must not be published.
        "checkpoint": Path(str(checkpoint.get("name") or "")).name,
        "data span": data.get("span"),
        "code": record.code,
        "config (sha256)": record.config_sha256,
        "served model (sha256)": record.model_sha256,
    }
