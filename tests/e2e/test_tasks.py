"""Each task other than single labels, from `import` to the answer of the model server, on a tiny random model."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.project import PROJECT_DIR
from tests.support.tiny_model import TOPICS, rows, write_checkpoint

pytestmark = pytest.mark.e2e

SETTINGS = (
    "model.checkpoint.path=../encoder",
    "transform.max_length=32",
    "train.max_steps=250",
    "train.learning_rate=0.003",
    "evaluate.slices=[{columns: [source]}]",
)
# As the model server does, without its HTTP.
ANSWER = """\
import sys
from pathlib import Path
from components.serving.models.saved_model import ServedModel
from components.serving.protocols.tf_serving_json import answer, parse_predict
from components.serving.settings import ServeSettings
model = ServedModel(Path(sys.argv[1]), "m", 1, ServeSettings(max_batch_rows=4))
request = parse_predict(sys.argv[2].encode(), model)
print(answer(model, request, model.run(request.signature, request.tensors)).decode())
"""

HUB = """\
import json, sys
from pathlib import Path
from components.destinations.hub_files import write_hub_files
out = Path("hub")
out.mkdir()
write_hub_files(Path(sys.argv[1]), Path("encoder"), "m", 32, "token_labels", out)
print(json.dumps(json.loads((out / "config.json").read_text())))
"""


class Pushed(NamedTuple):
    """A finished run: its folder, its JSON result and its report."""

    folder: Path
    result: dict[str, Any]
    report: str

    @property
    def model(self) -> Path:
        return self.folder / "serving" / "data" / str(self.result["version"])

    def answers(self, *texts: str) -> list[dict[str, Any]]:
        body = json.dumps({"instances": list(texts)})
        return json.loads(_call(self.folder, "-c", ANSWER, str(self.model), body))["predictions"]


def _call(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pushed(folder: Path, table: Iterator[list[Any]], *import_options: str, **settings: str) -> Pushed:
    """Imports a table, whose first row are the names of the columns, and runs the pipeline on it."""
    names = next(table)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in table)
    write_checkpoint(folder / "encoder")
    runner = str(PROJECT_DIR / "runner_local.py")
    given = ("rows.jsonl", "--text", "text", "--extra", "source", "--out", "data", *import_options)
    _call(folder, runner, "import", *given)
    overrides = [*SETTINGS, *(f"{key.replace('__', '.')}={value}" for key, value in settings.items())]
    options = [part for override in overrides for part in ("--set", override)]
    result = json.loads(_call(folder, runner, "run", "data/data.yaml", "--json", *options).splitlines()[-1])
    assert result["status"] == "pushed", result
    [page] = folder.glob("**/artifacts/Report/page/*/*.html")
    return Pushed(folder, result, page.read_text())


def table_of_labels() -> Iterator[list[Any]]:
    """Each text names none, one or two topics, which are its labels."""
    rng = random.Random(0)
    yield ["text", "topics", "source"]
    for i in range(100):
        yield [f"say how far the old {i} is", "", rng.choice(["web", "shop"])]
    for (first, one), (second, other) in zip(rows(700, 1), rows(700, 2), strict=True):
        both = rng.random() < 0.5
        text = f"{first} {second}" if both else first
        yield [text, ";".join({one, other} if both else {one}), rng.choice(["web", "shop"])]


def table_of_numbers() -> Iterator[list[Any]]:
    """The number follows the topic of the text, in units far from 0 and 1."""
    rng = random.Random(0)
    yield ["text", "price", "source"]
    for text, topic in rows(700, 3):
        price = 5000 + 400 * sorted(TOPICS).index(topic) + rng.uniform(-20, 20)
        yield [text, f"{price:.2f}", rng.choice(["web", "shop"])]


def table_of_words() -> Iterator[list[Any]]:
    """The words of topics, and two of them in a row, are the spans of each text."""
    rng = random.Random(0)
    yield ["text", "entities", "source"]
    for text, _ in rows(700, 4):
        spans, words = [], text.split()
        for word in words:
            kind = next((topic for topic, names in TOPICS.items() if word in names), None)
            if kind is not None:
                start = len(" ".join(words[: words.index(word)])) + (words.index(word) > 0)
                spans.append({"start": start, "end": start + len(word), "label": kind})
        yield [text, spans, rng.choice(["web", "shop"])]


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Pushed:
    folder = tmp_path_factory.mktemp("words")
    options = ("--label", "entities", "--task", "token_labels")
    return pushed(folder, table_of_words(), *options, train__loss="all_pieces")


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Pushed:
    folder = tmp_path_factory.mktemp("several")
    options = ("--label", "topics", "--task", "multi_label", "--separator", ";", "--allow-unlabelled")
    return pushed(folder, table_of_labels(), *options, train__metric_for_best_model="macro_f1")


@pytest.fixture(scope="module")
def number(tmp_path_factory) -> Pushed:
    folder = tmp_path_factory.mktemp("number")
    options = ("--label", "price", "--task", "regression")
    own = {"train__loss": "huber", "transform__text": "own_parts.cleaning.without_markup"}
    return pushed(folder, table_of_numbers(), *options, **own)


def test_several_labels_are_learned_and_answered_with_their_scores(several: Pushed) -> None:
    metrics = several.result["metrics"]
    assert metrics["micro_f1"] > 0.9
    assert {"macro_f1", "sample_f1", "subset_accuracy", "binary_cross_entropy"} <= metrics.keys()
    both, one, *_ = several.answers("what is the cat say lima 1", "how many of two 2", *["far ? 3"] * 4)
    assert sorted(both["labels"]) == ["animal", "place"]
    assert one["labels"] == ["number"]
    assert several.answers("say how far the old 7 is")[0]["labels"] == []
    assert list(both["scores"]) == ["animal", "number", "place"]
    assert both["scores"]["animal"] > 0.5 > both["scores"]["number"]


def test_thresholds_are_shipped_and_are_those_of_the_answer(several: Pushed) -> None:
    thresholds = json.loads((several.model / "assets.extra/answer.json").read_text())["thresholds"]
    assert len(thresholds) == 3
    assert all(0.0 < value < 1.0 for value in thresholds)
    for answer in several.answers("what is the cat say lima 1", "one of the dog", "say old ?"):
        reached = [score >= t for score, t in zip(answer["scores"].values(), thresholds, strict=True)]
        named = [label in answer["labels"] for label in answer["scores"]]
        assert reached == named


def test_the_report_has_each_label_with_its_threshold(several: Pushed) -> None:
    assert "<h2>By label</h2>" in several.report
    assert "<h2>By slice</h2>" in several.report


def test_a_number_is_learned_and_answered_in_its_unit(number: Pushed) -> None:
    metrics = number.result["metrics"]
    assert metrics["rmse"] < 150  # 327 for a model that has learned nothing
    assert metrics["r2"] > 0.8
    assert {"mae", "pearson", "spearman"} <= metrics.keys()
    cat, lima = number.answers("what is the cat 1", "what is lima 2")
    assert (cat["name"], lima["name"]) == ("price", "price")
    assert abs(cat["value"] - 5000) < 200 < abs(cat["value"] - 5800)
    assert abs(lima["value"] - 5800) < 200
    assert number.answers("<p>what is&nbsp;the cat 1</p>") == [cat]  # cleaned as in training
    constants = json.loads((number.model / "assets.extra/answer.json").read_text())
    assert constants["mean"][0] == pytest.approx(5400, abs=100)
    assert constants["deviation"][0] == pytest.approx(327, abs=50)


def test_the_report_has_the_error_by_target(number: Pushed) -> None:
    assert "<h2>Error by target</h2>" in number.report
    assert "off by" in number.report


def test_words_are_labelled_and_answered_with_their_places_in_the_raw_text(words: Pushed) -> None:
    metrics = words.result["metrics"]
    assert metrics["span_f1"] > 0.9
    assert {"span_precision", "span_recall", "token_accuracy"} <= metrics.keys()
    text = "say  the cat, or LIMA?"
    found, nothing, cut = words.answers(text, "", "old " * 40)
    assert found["words"] == ["say", "the", "cat", ",", "or", "LIMA", "?"]
    assert found["tags"] == ["O", "O", "B-animal", "O", "O", "B-place", "O"]
    assert [text[a:b] for a, b in zip(found["starts"], found["ends"], strict=True)] == found["words"]
    assert len(found["scores"]) == 7
    assert min(found["scores"]) > 0.5
    spans = zip(found["span_labels"], found["span_starts"], found["span_ends"], strict=True)
    assert [(label, text[start:end]) for label, start, end in spans] == [("animal", "cat"), ("place", "LIMA")]
    assert (nothing["words"], nothing["span_labels"], nothing["cut_words"]) == ([], [], 0)
    assert (len(cut["words"]), cut["cut_words"]) == (30, 10)


def test_hub_repository_names_the_class_that_labels_tokens(words: Pushed) -> None:
    config = json.loads(_call(words.folder, "-c", HUB, str(words.model)).splitlines()[-1])
    assert config["architectures"] == ["BertForTokenClassification"]
    assert config["id2label"]["0"] == "O"
    assert "problem_type" not in config  # transformers refuses values other than those for whole texts
    assert "pipeline_tag: token-classification" in (words.folder / "hub/README.md").read_text()


def test_the_report_has_the_spans_of_each_type(words: Pushed) -> None:
    assert "<h2>By type</h2>" in words.report
    assert "<h2>What becomes of labelled spans</h2>" in words.report
