"""The digests that a model carries after its export, and which nodes refuse a model that no longer matches them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.evaluator.eval_model import custom_eval_shared_model
from components.exports.artifacts import ExportedModel
from components.exports.executor import Executor as Exporter
from components.model_files import file_digests, read_sums, require_exported, write_sums
from components.report.artifacts import Metrics
from models.errors import PipelineError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model" / "Format-Serving"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "assets/vocab.txt").write_text("a\nb\n")
    write_sums(folder)
    return folder


def test_model_as_it_was_exported_has_its_digests(model: Path) -> None:
    assert require_exported(model) == file_digests(model)
    assert (model / "assets.extra/SHA256SUMS").read_text().splitlines() == [
        f"{digest}  {name}" for name, digest in sorted(read_sums(model).items())
    ]
    assert read_sums(model).keys() == {"saved_model.pb", "assets/vocab.txt"}


def test_push_record_beside_the_model_is_none_of_its_files(model: Path) -> None:
    (model / "assets.extra/push.json").write_text("{}")
    assert require_exported(model).keys() == {"saved_model.pb", "assets/vocab.txt", "assets.extra/SHA256SUMS"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda m: (m / "assets/vocab.txt").write_text("a\nc\n"),
            "assets/vocab.txt: not what the Trainer exported (sha256 differs)",
        ),
        (
            lambda m: (m / "assets/vocab.txt").unlink(),
            "assets/vocab.txt: not what the Trainer exported (is gone)",
        ),
        (lambda m: (m / "assets/new").touch(), "assets/new: not what the Trainer exported (was added)"),
        (
            lambda m: (m / "assets.extra/SHA256SUMS").write_bytes(b"\xff"),
            "assets.extra/SHA256SUMS: has no digest of saved_model.pb",
        ),
        (
            lambda m: (m / "assets.extra/SHA256SUMS").write_text(""),
            "assets.extra/SHA256SUMS: has no digest of saved_model.pb",
        ),
        (lambda m: shutil.rmtree(m), "assets.extra/SHA256SUMS: has no digest of saved_model.pb"),
    ],
    ids=["changed", "gone", "added", "rubbish", "empty", "all gone"],
)
def test_changed_model_is_refused_with_the_file(
    model: Path, change: Callable[[Path], object], told: str
) -> None:
    change(model)
    with pytest.raises(PipelineError) as caught:
        require_exported(model)
    assert str(caught.value).startswith(f"{model}/{told}")
    assert "\n" not in str(caught.value)


def test_copy_that_differs_gets_no_digests_of_its_own(model: Path, tmp_path: Path) -> None:
    exported = require_exported(model)
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    (copy / "assets/more.txt").write_text("warm up")
    write_sums(copy, exported)
    assert read_sums(copy).keys() - read_sums(model).keys() == {"assets/more.txt"}
    (copy / "assets/vocab.txt").write_text("a\nc\n")
    with pytest.raises(
        PipelineError, match=r"copy/assets/vocab\.txt: the copy differs from what the Trainer exported"
    ):
        write_sums(copy, exported)


def test_evaluator_does_not_load_a_candidate_that_changed(model: Path) -> None:
    (model / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(PipelineError, match=r"saved_model\.pb: not what the Trainer exported"):
        custom_eval_shared_model(str(model), "candidate", eval_config=None)


def test_exporter_does_not_convert_a_model_that_changed(model: Path, tmp_path: Path) -> None:
    (model / "saved_model.pb").write_bytes(b"grapH")
    trained, pushed, examples = (
        standard_artifacts.Model(),
        standard_artifacts.PushedModel(),
        standard_artifacts.Examples(),
    )
    trained.uri, examples.uri, examples.split_names = str(model.parent), str(tmp_path), '["eval"]'
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_destination", str(tmp_path / "serving/trec/1"))
    exported, metrics = ExportedModel(), Metrics()
    exported.uri = str(tmp_path / "exported")
    settings = {"metric": "accuracy", "text_columns": ["text"], "rows": 8, "variants": ["float32"]}
    with pytest.raises(PipelineError, match=r"saved_model\.pb: not what the Trainer exported"):
        Exporter().Do(
            {"model": [trained], "pushed_model": [pushed], "transformed_examples": [examples]},
            {"exported_model": [exported], "metrics": [metrics]},
            {"format": "onnx", "settings": json.dumps(settings)},
        )
    assert list((tmp_path / "exported").iterdir()) == []
