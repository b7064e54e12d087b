"""The Markdown page, and the scalar figures."""

from __future__ import annotations

import math

from components.evaluator.evaluation import Evaluation
from components.report.contents import scalars
from components.report.markdown import escaped, markdown
from tests.components.report.sample import make_contents


def test_accepted_model_says_how_to_serve_it():
    text = markdown(make_contents())
    assert text.startswith("# sms\\-spam: accepted\n\nAccepted by the Evaluator and the Canary.\n")
    assert "| accuracy | 0.7143 | 0.7000 | +0.0143 | at least 0\\.7, at most 0\\.01 worse | ✓ |" in text
    assert "give the path of this model's config to `runner_local.py serve`." in text
    assert "    /mnt/models/serving/sms-spam/<version>/saved_model.pb\n" in text
    assert "--model_name=sms-spam --model_base_path=/mnt/models/serving/sms-spam\n" in text
    assert '-d \'{"signature_name": "serving_default", "inputs": {"text": ["..."]}}\'' in text
    assert "output `model` of the Trainer, [artifact 7](#/artifacts/7)." in text
    assert (
        "\nTokenization: 1 of 2,000 rows \\(0\\.050%\\) are tokenized differently in the graph and by transformers"
        in text
    )
    assert "\nTraining: the model has the weights of epoch 2\\: highest eval accuracy, 0\\.7400.\n" in text


def test_refused_model_says_why_and_that_nothing_is_published():
    refusals = tuple(f"accuracy 0.5 is below the threshold 0.7 on slice lang=<b>*{i}*</b>" for i in range(30))
    text = markdown(make_contents(blessed=False, evaluation=Evaluation(refusals=refusals)))
    assert "rejected\n\nRejected by the Evaluator.\n" in text
    assert "- accuracy 0\\.5 is below the threshold 0\\.7 on slice lang=\\<b\\>\\*0\\*\\<\\/b\\>\n" in text
    assert "- and 10 more\n" in text
    assert "This model is not published." in text


def test_text_stays_one_line_of_plain_text():
    assert escaped("a_b\n# [x](y) `c` | \x00") == "a\\_b \\# \\[x\\]\\(y\\) \\`c\\` \\|  "


def test_scalars_are_finite_floats_that_sort_beside_their_metric():
    told = scalars(make_contents())
    assert {key: round(value, 4) for key, value in told.items()} == {
        "blessed": 1.0,
        "canary.blessed": 1.0,
        "calibration_error": round(told["calibration_error"], 4),
        "roc_area": 0.9167,
        "accuracy": 0.7143,
        "accuracy.baseline": 0.7,
        "accuracy.difference": 0.0143,
        "accuracy.min": 0.7,
        "accuracy.max_drop": 0.01,
        "macro_f1": 0.7,
        "macro_f1.baseline": 0.71,
        "macro_f1.difference": -0.01,
        "example_count": 8.0,
        "example_count.baseline": 8.0,
        "example_count.difference": 0.0,
    }
    assert {type(value) for value in told.values()} == {float}


def test_figure_that_is_no_number_is_left_out():
    told = scalars(make_contents(evaluation=Evaluation(metrics={"accuracy": math.nan, "auc": math.inf})))
    assert {"accuracy", "auc"} & told.keys() == set()
    assert told["accuracy.min"] == 0.7
