import io

import pytest
from rich.console import Console

from components.trainer.progress import TrainProgress
from pipeline.local.display import LiveDisplay, PlainDisplay, make_display, training_line
from pipeline.local.node_run import NodeRun
from pipeline.process.shown import duration

PROGRESS = TrainProgress(
    step=50, total_steps=264, epoch=0.57, loss=0.4123, rows_per_second=61.4, seconds_left=200.0
)
EVALUATED = TrainProgress(
    step=88, total_steps=264, epoch=1.0, loss=0.3, rows_per_second=60.0, seconds_left=0.0,
    eval_metrics={"accuracy": 0.94, "loss": 0.25},
)  # fmt: skip


def show(console: Console) -> str:
    with make_display(console) as display:
        display.start(["ExampleGen", "Trainer"])
        display.say("Making the dataset [trec]")
        display.node(NodeRun("ExampleGen", "running"))
        display.node(NodeRun("ExampleGen", "cached", 0.1))
        display.node(NodeRun("Trainer", "running"))
        display.training(PROGRESS)
        display.training(EVALUATED)
        display.node(NodeRun("Trainer", "done", 201.4))
    return console.file.getvalue()


def test_without_a_terminal_every_event_is_one_plain_line():
    assert show(Console(file=io.StringIO(), width=40)).splitlines() == [
        "2 steps",
        "Making the dataset [trec]",
        "ExampleGen: started",
        "ExampleGen: cached",
        "Trainer: started",
        "  step 50/264, epoch 0.6, loss 0.412, 61 rows/s, 3 min 20 s left",
        "  step 88/264, epoch 1.0, loss 0.300, 60 rows/s, eval accuracy 0.9400, eval loss 0.2500",
        "Trainer: done in 3 min 21 s",
    ]


def test_training_lines_are_seconds_apart_where_every_line_stays():
    console = Console(file=io.StringIO(), width=100)
    display = PlainDisplay(console)
    for _ in range(5):
        display.training(PROGRESS)
    assert console.file.getvalue().count("step 50/264") == 1


def test_on_a_terminal_the_list_shows_the_state_of_every_node_and_leaves_no_copy():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    assert isinstance(make_display(console), LiveDisplay)
    text = show(console)
    assert "\x1b[" in text
    last = text[text.rindex("ExampleGen") :]
    assert "cached" in last
    assert "3 min 21 s" in last
    assert "epoch 1.0: eval accuracy 0.9400, eval loss 0.2500" in last


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (12.4, "12 s"), (75, "1 min 15 s"), (3700, "1 h 1 min")],
)
def test_durations_are_told_as_people_tell_them(seconds, told):
    assert duration(seconds) == told


def test_the_line_of_an_evaluation_has_its_metrics_instead_of_the_time_left():
    assert "left" in training_line(PROGRESS)
    assert "left" not in training_line(EVALUATED)
