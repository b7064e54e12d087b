"""Own parts of a config: checked before anything runs, and in the cache key of the nodes that use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UsageError
from models.tasks.task import TASKS
from pipeline import own_parts
from pipeline.config import Config, load_config
from pipeline.inputs import check_encoder, check_settings
from pipeline.paths import local_paths
from tests.support.own_package import forget, write_own_parts
from tests.support.tiny_project import write_project

TEXT = "transform.text=own_parts.cleaning.without_markup"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def tried_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(own_parts, "_TRIED_DIR", tmp_path / "tried")
    return tmp_path / "tried"


def problem(project: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_settings(load_config(project, overrides))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_part_is_tried_once_and_again_after_an_edit(project, tmp_path, monkeypatch, tried_dir):
    source = "import tensorflow as tf\nfrom . import shared\n\ndef clean(texts):\n    return tf.strings.strip(texts)\n"
    package = write_own_parts(tmp_path, {"mine": source, "shared": "x = 1\n"}, monkeypatch)
    config = load_config(project, ["transform.text=own_parts.mine.clean"])
    check_settings(config)
    assert len(list(tried_dir.iterdir())) == 1
    monkeypatch.setattr(own_parts, "_try", lambda request: "was tried")
    check_settings(config)
    (package / "shared.py").write_text("x = 2\n")
    forget(monkeypatch)
    with pytest.raises(UsageError, match="was tried"):
        check_settings(config)


def test_what_breaks_its_contract_is_one_line_with_its_key(project, tmp_path, monkeypatch):
    sources = {
        "mine": "def clean(texts):\n    print('loading')\n    return 'a'\n",
        "ends": "import os\nos._exit(7)\n",
        "torn": "def clean(texts:\n",
    }
    write_own_parts(tmp_path, sources, monkeypatch)
    assert problem(project, "transform.text=own_parts.mine.clean") == (
        "transform.text: own_parts.mine.clean must return string [n] for string [n], returns string ()"
    )
    assert problem(project, "transform.text=own_parts.ends.clean") == (
        "transform.text (own_parts.ends.clean): the process that tries it ended with exit code 7: no output"
    )
    assert ":1: not valid Python: '(' was never closed" in problem(
        project, "transform.text=own_parts.torn.clean"
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("own_parts.clening.clean", "no module "),
        ("own_parts.inner.cleaning.clean", "is not a package, it has no __init__.py"),
        (
            "cleaning.clean",
            "must be the dotted path of your own code, own_parts.MODULE.NAME, got 'cleaning.clean'",
        ),
        (
            "own_parts.clean",
            "must be the dotted path of your own code, own_parts.MODULE.NAME, got 'own_parts.clean'",
        ),
    ],
)
def test_a_path_that_names_no_part_is_refused_without_importing_anything(project, path, reason):
    said = problem(project, f"transform.text={path}")
    assert "transform.text: " in said
    assert reason in said


def test_nothing_is_shipped_that_lacks_a_part_of_the_model(project):
    assert problem(project, TEXT, "export.onnx={}").endswith(
        "export.onnx: the exported program tokenizes and answers without transform.text (own_parts.cleaning.without_markup), "
        "so it would answer otherwise than the served model; remove export.onnx or transform.text"
    )
    assert problem(project, TEXT, "push.destinations=[{hub: me/model}]").endswith(
        "push.destinations.0.hub: who loads the model from the hub does not have transform.text "
        "(own_parts.cleaning.without_markup), so it would answer otherwise than the served model; remove it, or push to a "
        "folder"
    )


def test_a_task_that_takes_no_such_part_refuses_it(project, monkeypatch):
    monkeypatch.setattr(TASKS["single_label"].facts(), "OWN_PARTS", ())
    assert problem(project, TEXT).endswith(
        "transform.text: task 'single_label' takes no own part here, got 'own_parts.cleaning.without_markup'; remove it"
    )


def test_a_key_that_the_users_loss_does_not_see_is_refused(project):
    own = "train.loss=own_parts.losses.focal"
    assert problem(project, own, "train.label_smoothing_factor=0.1").endswith(
        "train.label_smoothing_factor: your loss own_parts.losses.focal would not see it, got 0.1; remove it"
    )
    weighted = load_config(project, [own, "train.class_weights=balanced"])  # weights of rows
    assert weighted.train.class_weights == "balanced"


def test_a_head_has_its_own_dropout_and_needs_hidden_states(project):
    own = "model.head=own_parts.heads.MeanPooling"
    assert problem(project, own, "model.dropout=0.2").endswith(
        "model: dropout 0.2 is of the encoder's own head; your head own_parts.heads.MeanPooling sets its own: remove it"
    )
    assert "export.onnx: the exported program tokenizes and answers without model.head" in problem(
        project, own, "export.onnx={}"
    )
    with pytest.raises(UsageError) as caught:
        check_encoder(load_config(project, [own, "model.forward=reference"]), project.parent / "encoder")
    assert str(caught.value) == (
        "model.head is own_parts.heads.MeanPooling, but model_type 'bert' is trained through the class of transformers with its "
        "own head; set model.forward to auto"
    )


def test_a_metric_is_held_to_its_range_and_direction_and_tried_once(project):
    name = "own_parts.metrics.ExpectedCost"
    for bounds, reason in {
        "{max: 2}": f"thresholds.{name}.max must be in [0, 1], got 2.0",
        "{max: 0.5, max_drop: 2}": f"thresholds.{name}.max_drop must be in [0, 1], got 2.0",
    }.items():
        assert problem(project, f"evaluate.thresholds={{{name}: {bounds}}}").endswith(reason)
    chosen = load_config(
        project,
        [
            f"evaluate.thresholds={{{name}: {{max: 0.5, max_rise: 0.1}}}}",
            f"evaluate.metrics=[{name}]",
            f"train.metrics=[{name}]",
            f"train.metric_for_best_model={name}",
        ],
    )
    assert own_parts.own_parts(chosen) == [("train.metrics", "train.metrics", name)]


def test_a_metric_that_cannot_be_loaded_or_computed_names_its_key(project, tmp_path, monkeypatch):
    source = "class Cost:\n    title = 'cost'\n\n\nclass Nameless:\n    pass\n"
    package = write_own_parts(tmp_path, {"mine": source}, monkeypatch)
    assert problem(project, "evaluate.metrics=[own_parts.mine.Nameless]").endswith(
        "evaluate: own_parts.mine.Nameless: the class must have the attribute title, the metric's name in charts, got None"
    )
    assert problem(project, "evaluate.metrics=[own_parts.mine.Cots]").endswith(
        f"evaluate: own_parts.mine.Cots: {package}/mine.py has no 'Cots'; it defines Cost, Nameless"
    )
    assert problem(project, "train.metric_for_best_model=own_parts.mine.Cost").endswith(
        "train.metric_for_best_model: own_parts.mine.Cost must take 1 argument (labels): too many positional arguments"
    )
    assert problem(project, "train.metrics=[own_parts.mine.Cost]", "train.strategy=mirrored").endswith(
        "train: strategy mirrored does not compute your metrics (own_parts.mine.Cost) on the eval split; remove one of them"
    )


def parameters(config: Config, project: Path) -> dict[str, str]:
    from pipeline.training_pipeline import create_pipeline

    paths = local_paths(project.parent / "runs", config.name, project.parent / "encoder")
    return {
        node.id: json.dumps(node.exec_properties, default=str)
        for node in create_pipeline(config, paths).components
    }


# The Pusher has the hash of the code that made a model.
USERS = {
    "transform.text": ("cleaning", "clean", {"TokenizationGate", "Transform", "Pusher"}),
    "train.loss": ("cleaning", "loss", {"Trainer", "Pusher"}),
    "model.head": ("cleaning", "Head", {"Trainer", "Pusher"}),
    "train.metric_for_best_model": ("cleaning", "Cost", {"Trainer", "Pusher"}),
    "evaluate.metrics": ("cleaning", "Cost", {"Evaluator"}),
}


@pytest.mark.parametrize("key", USERS)
def test_an_edit_of_a_part_reruns_exactly_the_nodes_that_use_it(key, project, tmp_path, monkeypatch):
    module, name, users = USERS[key]
    metric = "class Cost:\n    title = 'cost'\n"
    sources = {"cleaning": f"from own_parts.words import x\n{metric}", "words": "x = 1\n", "other": "x = 1\n"}
    package = write_own_parts(tmp_path, sources, monkeypatch)
    path = f"own_parts.{module}.{name}"
    config = load_config(project, [f"{key}={[path] if key == 'evaluate.metrics' else path}"])
    before = parameters(config, project)
    for edited, expected in {f"{module}.py": users, "words.py": users, "other.py": set()}.items():
        content = (package / edited).read_text()
        (package / edited).write_text(f"{content}# edited\n")
        forget(monkeypatch)
        now = parameters(config, project)
        assert {node for node in now if now[node] != before[node]} == expected
        (package / edited).write_text(content)
