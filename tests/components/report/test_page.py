"""The HTML page: nothing in it runs or is fetched, every text is shown, and it stays small."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from components.canary.report import CanaryReport
from components.evaluator.evaluation import Evaluation
from components.evaluator.settings import EvaluateSettings
from components.report.charts import Line, line_chart, ticks
from components.report.data_statistics import Column, SplitStatistics
from components.report.markup import Html, escaped, tag
from components.report.page import page
from components.trainer.history import History, history_of
from models.tasks.single_label.figures import ConfusionMatrix, Figures, Mistake
from tests.components.report.sample import HOSTILE, make_contents

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Collects elements, attributes and text; notes what is not closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.quotes: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        self.attributes += attributes
        if name not in VOID:
            self.open.append(name)
        if name == "blockquote":
            self.quotes.append("")

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] == "blockquote":
            self.quotes[-1] += data


def test_every_element_is_closed_in_order():
    assert Reader(page(make_contents())).open == []


def test_no_text_becomes_an_element_a_script_or_an_address():
    read = Reader(page(make_contents()))
    plain = Reader(page(make_contents(mistakes=[Mistake(("x",), "ham", "spam", 0.9, 0.1)] * len(HOSTILE))))
    assert read.tags == plain.tags
    assert not {"script", "img", "link", "iframe", "object", "base", "a", "form"} & set(read.tags)
    assert not [key for key, _ in read.attributes if key.startswith("on") or key in ("src", "href", "srcset")]


def test_the_style_fetches_nothing_and_the_policy_would_not_let_it():
    document = page(make_contents())
    style = document.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "<" not in style
    policy = "default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in document


def test_hostile_texts_are_shown_as_they_are_with_control_characters_made_visible():
    quotes = Reader(page(make_contents())).quotes
    assert len(quotes) == len(HOSTILE)
    assert quotes[0] == "</blockquote><script>alert(1)</script>"
    assert quotes[3] == "NUL ␀ bell ␇ escape ␛[31m \ufffd"
    assert [q for i, q in enumerate(quotes) if i != 3] == [h for i, h in enumerate(HOSTILE) if i != 3]


def test_texts_keep_their_own_direction_of_writing():
    document = page(make_contents())
    assert document.count('<blockquote dir="auto">') == len(HOSTILE)


def test_labels_slices_and_reasons_are_escaped_too():
    evil = "<script>x</script>"
    contents = make_contents(
        name=evil,
        blessed=False,
        evaluation=Evaluation(
            metrics={"accuracy": 0.5}, slices={f"lang={evil}": {"accuracy": 0.5}}, refusals=(f"bad {evil}",)
        ),
        figures=Figures(ConfusionMatrix((evil, "b"), np.array([[1, 1], [0, 1]])), None, None),
        splits=[SplitStatistics(evil, 3, {evil: 3}, [Column(evil, "text", 0, 3, evil)])],
    )
    document = page(contents)
    assert "<script" not in document
    assert document.count("&lt;script&gt;") > 8


def test_page_tells_verdict_figures_slices_training_calibration_data_and_canary():
    text = " ".join("".join(Reader(page(make_contents())).texts).split())
    for told in (
        "Accepted by the Evaluator and the Canary",
        "+0.0143 vs. the last blessed",
        "at least 0.7, at most 0.01 worse",
        "From all 8 rows.",
        "Positive is spam. Area under the curve 0.9167.",
        "lang=de",
        "20 of 40 steps on 1,000 rows; the model has the weights of epoch 2: highest eval accuracy, 0.7400; "
        "stopped early.",
        "Expected calibration error",
        "Rows: train 100, test 8.",
        "70 (70.0%)",
        "2 rows have no value <b>here</b>",
        "p99_ms12.5",
        "WordPiece, at most 64 tokens a row: 1 of 2,000 rows (0.050%) are tokenized differently in the graph and by "
        "transformers, parity.max_mismatch_rate is 0.01.",
        "train9,0001,2001",
        "train17</blockquote><script>alert(1)</script>3<b>the</b> 1996, type 0##the 2178, type 0",
    ):
        assert told in text, told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {
                "blessed": False,
                "evaluation": Evaluation(refusals=("accuracy 0.5 is below the threshold 0.7",)),
            },
            "Rejected by the Evaluatoraccuracy 0.5 is below the threshold 0.7",
        ),
        (
            {"canary": CanaryReport(False, ("p99 latency 9 ms is above canary.max_p99_ms 1",), {})},
            "Blessed by the Evaluator, rejected by the Canaryp99 latency 9 ms is above canary.max_p99_ms 1",
        ),
    ],
)
def test_refused_model_has_a_page_that_says_why(changes, told):
    document = page(make_contents(**changes))
    assert told in "".join(Reader(document).texts)
    assert 'class="verdict no"' in document


def test_part_of_the_split_is_called_a_part():
    splits = [SplitStatistics("test", 50_000, {}, [])]
    document = page(make_contents(splits=splits, rows_predicted=10_000))
    assert "From 10,000 of 50,000 rows, evenly spaced over the split (report.max_rows)." in document


def test_model_without_history_rows_slices_or_mistakes_has_a_page():
    empty = make_contents(
        evaluation=Evaluation(metrics={"accuracy": float("nan")}),
        history=History(),
        splits=[],
        anomalies=[],
        rows_predicted=0,
        figures=Figures(ConfusionMatrix((), np.zeros((0, 0), int)), None, None),
        mistakes=[],
    )
    read = Reader(page(empty))
    assert read.open == []
    assert "None: the data conforms to the schema and the data gate found no problem." in read.texts


def test_slicing_without_a_row_is_named_beside_those_that_have_one():
    contents = make_contents()
    slices = [{"columns": ["lang"]}, {"columns": ["<b>channel"]}]
    evaluate = EvaluateSettings.model_validate(contents.evaluate.model_dump() | {"slices": slices})
    evaluation = dataclasses.replace(contents.evaluation, sliced_by=frozenset([frozenset(["lang"])]))
    for found in (evaluation, Evaluation(metrics={"accuracy": 0.5}, sliced_by=evaluation.sliced_by)):
        texts = Reader(page(make_contents(evaluate=evaluate, evaluation=found))).texts
        missing = "no row of split 'test' has a value in <b>channel, so there is no such slice."
        assert [text for text in texts if text.endswith(missing)]


def test_thousand_classes_slices_and_long_mistakes_stay_below_one_megabyte():
    many, generator = 1000, np.random.default_rng(0)
    labels = tuple(f"a rather long name of a class, number {i}" for i in range(many))
    contents = make_contents(
        evaluation=Evaluation(
            metrics={"accuracy": 0.5},
            per_class={"f1": {i: i / many for i in range(many)}},
            slices={f"label={label}": {"accuracy": 0.5, "example_count": 3.0} for label in labels},
        ),
        figures=Figures(ConfusionMatrix(labels, generator.integers(0, 3, (many, many))), None, None),
        splits=[SplitStatistics("test", many, dict.fromkeys(labels, 1), [])],
        mistakes=[Mistake(("<&>" * 333,), "ham", "spam", 0.9, 0.1)] * 25,
    )
    document = page(contents)
    assert len(document.encode()) < 1_000_000
    assert "100 of 1,000" in document
    assert document.count("<blockquote") == 25


def test_training_that_broke_down_leaves_out_what_is_no_number():
    history = {
        "step": 2,
        "total_steps": 2,
        "train_rows": 10,
        "stopped_early": False,
        "best": {},
        "evaluations": [{"epoch": 1.0, "loss": float("nan"), "accuracy": 0.5}, {"epoch": 2.0, "loss": 1.5}],
    }
    document = page(make_contents(history=history_of(history)))
    assert "nan" not in document.lower()
    assert "2 of 2 steps on 10 rows." in document


def test_escaping_and_elements():
    assert escaped("a<b>&\"'\x00\t\r\n") == "a&lt;b&gt;&amp;&quot;&#x27;␀\t\n"
    inner = tag("b", "<", 3, None, [Html("<br>"), "x"])
    assert inner == "<b>&lt;3<br>x</b>"
    assert tag("p", inner, class_='"', data_x=None, text_anchor="end") == (
        '<p class="&quot;" text-anchor="end"><b>&lt;3<br>x</b></p>'
    )


def test_ticks_are_round_and_within_the_ends():
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0.22, 0.93) == [0.4, 0.6, 0.8]
    assert ticks(0.0, 1234.0) == [0.0, 500.0, 1000.0]


def test_one_evaluation_is_a_chart_too():
    drawing = line_chart("Loss", "epoch", [Line("eval", [(1.0, 0.5)])])
    [x, y] = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawing)[0]
    assert 0 < float(x) < 460
    assert 0 < float(y) < 270
