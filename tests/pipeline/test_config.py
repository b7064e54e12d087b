"""A config is validated as a whole, and errors name the key and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.example_gen.spans import span_number
from components.project import PROJECT_DIR
from models.errors import UsageError
from pipeline.config import Config, explain, load_config

GOOD = """\
name: tiny
data:
  path: rows
  schema: schema.pbtxt
  label_list: labels.txt
model:
  checkpoint:
    path: encoder
train:
  epochs: 1
evaluate:
  thresholds:
    accuracy: {min: 0.5, max_drop: 0.01}
push:
  serving_dir: serving
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def error_of(path: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_config(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_values_and_defaults_are_read(write):
    config = load_config(write(GOOD))
    assert config.train.epochs == 1.0
    assert config.train.batch_size == 32
    assert config.evaluate.thresholds["accuracy"].max_drop == 0.01
    assert config.data.splits == {"train": "train-*", "eval": "eval-*", "test": "test-*"}


def test_relative_paths_are_relative_to_the_config_file(write, tmp_path):
    config = load_config(write(GOOD))
    assert config.data.path == tmp_path / "rows"
    assert config.push.serving_dir == tmp_path / "serving"
    assert config.model.checkpoint.path == tmp_path / "encoder"


def test_unknown_key_names_line_and_the_key_that_was_meant(write):
    path = write(GOOD.replace("epochs: 1", "epoch: 1"))
    assert error_of(path) == f"{path}:10: unknown key 'train.epoch'; did you mean 'epochs'?"


def test_wrong_type_names_line_and_value(write):
    path = write(GOOD.replace("epochs: 1", "epochs: many"))
    assert error_of(path) == (
        f"{path}:10: train.epochs: input should be a valid number, unable to parse string as a number, "
        "got 'many'"
    )


def test_missing_section_says_what_it_is_for(write):
    path = write(GOOD.replace("push:\n  serving_dir: serving\n", ""))
    assert error_of(path) == f"{path}: push is missing; its meaning: Where a blessed model is pushed."


def test_no_threshold_is_refused(write):
    path = write(GOOD.replace("thresholds:\n    accuracy: {min: 0.5, max_drop: 0.01}", "thresholds: {}"))
    assert "evaluate.thresholds" in error_of(path)


@pytest.mark.parametrize("key", ["train.epochs", "train.learning_rate", "report.max_rows"])
def test_a_boolean_is_no_number(write, key):
    with pytest.raises(UsageError, match=rf"--set {key}=true: {key}: true is not allowed here"):
        load_config(write(GOOD), [f"{key}=true"])


@pytest.mark.parametrize("bound", ["min: 1.5", "min: -0.1", "max: 2", "min: 0.5, max_drop: 2"])
def test_threshold_out_of_range_is_refused(write, bound):
    path = write(GOOD.replace("min: 0.5, max_drop: 0.01", bound))
    assert "must be in [0, 1], got" in error_of(path)


@pytest.mark.parametrize("metric", ["cross_entropy", "example_count"])
def test_bound_below_zero_of_what_is_never_negative_is_refused(write, metric):
    bound = f"evaluate.thresholds.{metric}={{max: -1}}"
    assert f"thresholds.{metric}.max must be 0 or more, got -1.0" in error_of(write(GOOD), bound)


def test_threshold_nan_is_refused(write):
    assert "finite" in error_of(write(GOOD.replace("min: 0.5", "min: .nan")))


def test_contradictory_values_are_refused(write):
    both = write(GOOD.replace("epochs: 1", "epochs: 1\n  max_steps: 5"))
    assert "train: give either epochs or max_steps, got epochs 1.0 and max_steps 5" in error_of(both)


def test_test_split_that_is_not_there_is_refused(write):
    path = write(GOOD.replace("thresholds:", "split: holdout\n  thresholds:"))
    assert "evaluate.split must be one of data.splits ['eval', 'test', 'train'], got 'holdout'" in error_of(
        path
    )


def test_key_given_twice_names_both_lines(write):
    path = write(GOOD + "name: other\n")
    assert error_of(path) == f"{path}:16: name is set twice; first on line 1"


def test_broken_yaml_names_the_line(write):
    path = write("name: tiny\ndata: [1, 2\nmodel: {}\n")
    assert error_of(path).startswith(f"{path}:3: not valid YAML")


def test_missing_file_is_one_line(tmp_path):
    assert error_of(tmp_path / "no.yaml") == f"{tmp_path}/no.yaml: no such config file"


def test_override_is_checked_like_the_file_and_names_itself(write):
    path = write(GOOD)
    assert load_config(path, ["train.learning_rate=2e-4"]).train.learning_rate == 2e-4
    assert error_of(path, "train.epochs=-1") == (
        "--set train.epochs=-1: train.epochs: input should be greater than 0, got -1"
    )
    assert error_of(path, "train.epohcs=1") == (
        "--set train.epohcs=1: unknown key 'train.epohcs'; did you mean 'epochs'?"
    )
    assert "write it as key=value" in error_of(path, "train.epochs")


def test_every_error_is_reported_at_once(write):
    path = write(GOOD.replace("epochs: 1", "epochs: 0\n  seed: -1"))
    assert len(error_of(path).splitlines()) == 2


def test_hub_checkpoint_needs_a_pinned_revision(write):
    path = write(GOOD.replace("path: encoder", "hub: some/model\n    revision: main"))
    assert "revision, a commit of 40 hex digits, got 'main'" in error_of(path)


def test_every_key_is_documented():
    rows = list(explain())
    assert [row.key for row in rows if not row.description] == []
    assert "train.early_stopping.patience" in {row.key for row in rows}


def test_config_is_frozen(write):
    config = load_config(write(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 2.0


def test_json_schema_names_the_required_sections():
    assert Config.model_json_schema()["required"] == ["name", "data", "model", "evaluate", "push"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("? [a, b]\n: 1", "a key must be plain text"),
        ("x: &a [*a]", "x.0 contains itself"),
        ("x: !!python/name:os.system", "not valid YAML: could not determine a constructor for the tag"),
        ("<<: [1]", "not valid YAML: expected a mapping for merging, but found scalar"),
    ],
)
def test_odd_yaml_is_one_line(write, line, message):
    path = write(GOOD + line + "\n")
    assert error_of(path).startswith(f"{path}:16: {message}")


def test_max_drop_alone_is_refused_because_a_first_model_has_nothing_to_hold(write):
    path = write(GOOD.replace("min: 0.5, max_drop", "max_drop"))
    assert "because max_drop and max_rise do not apply to a first model" in error_of(path)


def test_max_rise_bounds_what_is_worse_when_higher_and_nothing_else(write):
    thresholds = "accuracy: {min: 0.5}\n    cross_entropy: {max_rise: 0.2}"
    config = load_config(write(GOOD.replace("accuracy: {min: 0.5, max_drop: 0.01}", thresholds)))
    assert config.evaluate.thresholds["cross_entropy"].max_worse == 0.2
    assert config.evaluate.compares()
    wrong = write(GOOD.replace("max_drop: 0.01", "max_rise: 0.01"))
    assert (
        "thresholds.accuracy: max_rise is only for cross_entropy, binary_cross_entropy, rmse, mae; use max_drop"
        in error_of(wrong)
    )
    both = write(GOOD.replace("max_drop: 0.01", "max_drop: 0.01, max_rise: 0.2"))
    assert "give either max_drop or max_rise, got max_drop 0.01 and max_rise 0.2" in error_of(both)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.text_pair=second"], "transform.window: a row of a pair task is not cut into windows"),
        (["export.onnx.variants=[float32]"], "export.onnx: an exported model answers one window, not a text"),
        (["train.strategy=mirrored"], "train.strategy mirrored requires batches of a fixed shape"),
        (["train.xla=true"], "train.xla requires batches of a fixed shape"),
        (["transform.window.aggregate=median"], "input should be 'mean', 'max' or 'first'"),
        (["transform.window.stride=-1"], "greater than or equal to 0"),
    ],
)
def test_windows_are_refused_where_they_would_be_ignored(write, overrides, message):
    config = write(GOOD + "transform:\n  window: {stride: 16}\n")
    assert load_config(config).transform.stride == 16
    assert message in error_of(config, *overrides)


@pytest.mark.parametrize("key", ["text", "text_pair"])
@pytest.mark.parametrize("column", ["Review Text", "class", "text.body", "self", "_text", "größe", "1a"])
def test_text_column_that_no_signature_takes_is_refused(write, key, column):
    message = error_of(write(GOOD.replace("data:\n", f"data:\n  {key}: {column}\n")))
    assert f"data: {key} is an input name of the served model" in message
    assert f"got {column!r}; rename the column with `import`" in message


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("{}", "give exactly one of folder and hub, got none"),
        ("{folder: /a, hub: b/c}", "give exactly one of folder and hub, got folder and hub"),
        ("{folder: bucket}", "folder must be a URL or an absolute path, got 'bucket'"),
        ("{hub: model}", "hub must be owner/name, got 'model'"),
        ("{folder: /a, token_file: /b}", "token_file is only for hub"),
        ("{hub: a/b, token_file: b}", "token_file must be an absolute path, got 'b'"),
    ],
)
def test_destination_that_names_no_one_place_is_refused(write, destination, message):
    path = write(GOOD.replace("  serving_dir", f"  destinations: [{destination}]\n  serving_dir"))
    assert error_of(path).endswith(f": push.destinations.0: {message}")


@pytest.mark.parametrize(
    ("path", "span", "number"), [("rows/span-{SPAN}", "7", 7), ("{YYYY}/{MM}/{DD}", "1970-01-03", 2)]
)
def test_span_is_a_number_or_a_day(write, path, span, number):
    loaded = load_config(write(GOOD), [f"data.path='{path}'", f"data.span={span}"])
    assert span_number(loaded.data.span) == number
    assert Config.model_validate_json(loaded.model_dump_json(by_alias=True)) == loaded


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data.span=7"], "span 7 requires {SPAN}, or {YYYY}, {MM} and {DD}, in path or splits"),
        (
            ["data.path='rows/{SPAN}'", "data.span=1970-01-03"],
            "span 1970-01-03 is a day, which requires {YYYY}, {MM} and {DD} in path or splits",
        ),
        (["data.path='rows/{SPAN}'", "data.span=-1"], "data.span"),
        (
            ["data.path='rows/{SPAN}'", "data.recipe=trec"],
            "a recipe makes one folder, so path must not contain {",
        ),
    ],
)
def test_span_that_the_data_cannot_have_is_refused(write, overrides, told):
    assert told in error_of(write(GOOD), *overrides)


# --- where an error of several keys comes from, and alternatives ----------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.epochs=null"], "--set train.epochs=null: train: give either epochs or max_steps"),
        (["evaluate.split=holdout"], "--set evaluate.split=holdout: evaluate.split must be one of"),
        (
            ["train.seed=1", "data.text=label", "train.seed=2"],
            "--set data.text=label: data: text, text_pair and label_column must be different columns",
        ),
        (
            ["model.checkpoint.hub=a/b"],
            "--set model.checkpoint.hub=a/b: model.checkpoint: hub requires revision",
        ),
        (
            ["train={epochs: 2, max_steps: 3}"],
            "--set train={epochs: 2, max_steps: 3}: train: give either epochs or",
        ),
        (
            ["evaluate.thresholds={accuracy: {min: 0.9, max: 0.1}}"],
            "--set evaluate.thresholds={accuracy: {min: 0.9, max: 0.1}}: evaluate.thresholds.accuracy: min must",
        ),
        (["push={}"], "--set push={}: push.serving_dir is missing"),
    ],
)
def test_error_that_an_override_brings_about_quotes_that_override(write, overrides, message):
    found = error_of(write(GOOD), *overrides)
    assert found.startswith(message)
    assert "tiny.yaml" not in found
    assert len(found.splitlines()) == 1


def test_error_of_the_file_is_the_files_whatever_is_overridden(write):
    path = write(GOOD.replace("epochs: 1", "epochs: 1\n  max_steps: 5"))
    assert error_of(path, "train.seed=3", "name=other").startswith(f"{path}:9: train: give either")


@pytest.mark.parametrize(
    ("file", "overrides", "checkpoint"),
    [
        ("path: a", ["recipe=b"], (None, "b", None)),
        ("recipe: a", ["path=/b"], ("/b", None, None)),
        (f"hub: a/b\n    revision: {'0' * 40}", ["path=/b"], ("/b", None, None)),
        ("path: a", ["recipe=b", "path=/c"], ("/c", None, None)),
        ("path: a", ["hub=a/b", f"revision='{'1' * 40}'"], (None, None, "1" * 40)),
        ("recipe: a", ["path=null"], (None, "a", None)),
    ],
)
def test_the_last_checkpoint_that_is_set_is_the_one_that_counts(write, file, overrides, checkpoint):
    path = write(GOOD.replace("path: encoder", file))
    found = load_config(path, [f"model.checkpoint.{option}" for option in overrides]).model.checkpoint
    assert (found.path and str(found.path), found.recipe, found.revision) == checkpoint


@pytest.mark.parametrize(
    ("overrides", "length"),
    [
        (["train.max_steps=5"], (None, 5)),
        (["train.max_steps=5", "train.epochs=2"], (2.0, None)),
        (["train={max_steps: 5}"], (None, 5)),
    ],
)
def test_the_last_length_of_training_that_is_set_is_the_one_that_counts(write, overrides, length):
    train = load_config(write(GOOD), overrides).train
    assert (train.epochs, train.max_steps) == length


def test_steps_alone_need_no_word_about_epochs(write):
    train = load_config(write(GOOD.replace("epochs: 1", "max_steps: 5"))).train
    assert (train.epochs, train.max_steps) == (None, 5)


def test_an_override_changes_one_use_of_a_yaml_anchor_only(write):
    shared = (
        "thresholds: &bounds\n    accuracy: {min: 0.5}\n  slices: [{columns: [label], thresholds: *bounds}]"
    )
    path = write(GOOD.replace("thresholds:\n    accuracy: {min: 0.5, max_drop: 0.01}", shared))
    evaluate = load_config(path, ["evaluate.thresholds.accuracy.min=0.9"]).evaluate
    assert evaluate.thresholds["accuracy"].min == 0.9
    assert evaluate.slices[0].thresholds["accuracy"].min == 0.5


@pytest.mark.parametrize("columns", ["[label]", "[label, lang]"])
def test_average_over_classes_is_no_bound_of_a_slice_by_the_label(write, columns):
    bound = f"evaluate.slices=[{{columns: {columns}, thresholds: {{macro_f1: {{min: 0.5}}}}}}]"
    assert error_of(write(GOOD), bound) == (
        f"--set {bound}: evaluate.slices.0.thresholds: macro_f1 is an average over classes, which has no meaning in "
        "slices by 'label', because each has one class; use a threshold of accuracy there"
    )
    assert load_config(write(GOOD), [bound.replace("macro_f1", "accuracy")]).evaluate.slices
    assert load_config(write(GOOD), [bound.replace(columns, "[lang]")]).evaluate.slices


@pytest.mark.parametrize("slices", ["[{columns: [lang, lang]}]", "[{columns: [a, b]}, {columns: [b, a]}]"])
def test_slicing_that_is_given_twice_is_refused(write, slices):
    assert "twice; remove one, or merge their thresholds" in error_of(
        write(GOOD), f"evaluate.slices={slices}"
    )


def test_a_day_that_no_calendar_has_is_one_line(write):
    path = write(GOOD.replace("data:\n", "data:\n  span: 2026-02-30\n"))
    assert error_of(path) == (
        f"{path}: not valid YAML: day is out of range for month; put the value in quotes if it is text"
    )
    found = error_of(write(GOOD), "data.span=2026-02-30")
    assert found.startswith("--set data.span=2026-02-30: data.span: input should be a valid integer")
    assert len(found.splitlines()) == 1


def test_recipe_implies_dataset_schema_and_label_list(write):
    lines = [
        line for line in GOOD.splitlines() if not line.startswith(("  path: rows", "  schema", "  label"))
    ]
    path = write("\n".join(lines).replace("data:", "data:\n  recipe: trec"))
    data = load_config(path).data
    assert data.path == PROJECT_DIR / "datasets" / "trec"
    assert data.data_schema == PROJECT_DIR / "schemas" / "trec.pbtxt"
    assert data.label_list == PROJECT_DIR / "data" / "trec" / "labels.txt"
    mine = load_config(path, ["data.label_list=mine.txt"]).data
    assert (mine.label_list, mine.data_schema) == (path.parent / "mine.txt", data.data_schema)
