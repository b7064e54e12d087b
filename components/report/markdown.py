"""The Markdown page: the decision, the figures behind it, and how to serve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from components.report.contents import Contents, headlines, verdict
from components.report.tables import number
from components.trainer.history import why_kept
from models import features
from models.tasks.task import metric

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$:/@])")
_REASONS_SHOWN = 20


def markdown(contents: Contents) -> str:
    """Returns the document; texts from the data and the config are escaped."""
    return (
        "\n".join(
            [
                *_decision(contents),
                *_figures(contents),
                *_training(contents),
                *_tokenization(contents),
                *_serving(contents),
                *_where(contents),
            ]
        )
        + "\n"
    )


def escaped(text: str) -> str:
    r"""One line of plain text: `"a*b\n" -> "a\*b "`."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text))


def _decision(contents: Contents) -> Iterator[str]:
    sentence, reasons = verdict(contents)
    yield f"# {escaped(contents.name)}: {'accepted' if contents.accepted else 'rejected'}"
    yield ""
    yield f"{sentence}."
    yield ""
    for reason in reasons[:_REASONS_SHOWN]:
        yield f"- {escaped(reason)}"
    if len(reasons) > _REASONS_SHOWN:
        yield f"- and {len(reasons) - _REASONS_SHOWN} more"
    yield ""


def _figures(contents: Contents) -> Iterator[str]:
    yield "| metric | value | last blessed | change | threshold | |"
    yield "|---|---|---|---|---|---|"
    for line in headlines(contents):
        before = "" if line.baseline is None else number(line.name, line.baseline)
        change = "" if line.change is None or metric(line.name).counts_rows else f"{line.change:+.4f}"
        mark = "" if line.within is None else "✓" if line.within else "✗"
        cells = (
            escaped(line.name),
            number(line.name, line.value),
            before,
            change,
            escaped(line.bounds),
            mark,
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _training(contents: Contents) -> Iterator[str]:
    kept = why_kept(contents.history)
    if kept:
        yield f"Training: {escaped(kept)}."
        yield ""


def _tokenization(contents: Contents) -> Iterator[str]:
    yield f"Tokenization: {escaped(str(contents.parity))}."
    yield ""


def _serving(contents: Contents) -> Iterator[str]:
    folder = PurePosixPath(contents.serving_dir) / contents.name
    inputs = ", ".join(f'"{column}": ["..."]' for column in contents.text_columns)
    yield "## How to serve"
    yield ""
    if contents.accepted:
        yield "The Pusher publishes this model as the newest version below this folder, in TF Serving's layout:"
    else:
        yield "This model is not published. The versions below this folder are still served:"
    # Indented, because a name could end a code fence.
    yield from ("", f"    {folder}/<version>/saved_model.pb", "")
    yield (
        "To start the project's own server (REST and gRPC, TF Serving's and KServe's protocols), give the path of this "
        "model's config to `runner_local.py serve`. TF Serving takes the folder:"
    )
    yield from (
        "",
        f"    tensorflow_model_server --rest_api_port=8501 --model_name={contents.name} --model_base_path={folder}",
        f"    curl http://localhost:8501/v1/models/{contents.name}:predict "
        f'-d \'{{"signature_name": "{features.SERVING_SIGNATURE}", "inputs": {{{inputs}}}}}\'',
        "",
    )


def _where(contents: Contents) -> Iterator[str]:
    yield "## Where things are"
    yield ""
    # The link works only in Kubeflow's dashboard.
    artifact = contents.model_artifact_id
    yield f"- The model: output `model` of the Trainer, [artifact {artifact}](#/artifacts/{artifact})."
    yield "- The complete evaluation: output `evaluation` of the Evaluator; the canary's: output `blessing` of the Canary."
    yield "- Classes, slices, learning curve, calibration, mistakes and data: output `page` of this step."
