"""Files that a config names exist, or the command says so before anything is imported, fetched or trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from models.encoders.families import FAMILIES as ENCODERS
from models.errors import GateRefused, PipelineError, UsageError
from models.tokenizers.family import FAMILIES
from pipeline import inputs
from pipeline.config import Config, load_config
from pipeline.importing.tfrecord import decode_example
from pipeline.inputs import check_inputs, find_shards
from pipeline.paths import DATASETS_DIR
from tests.support.local_run import example, tfrecord
from tests.support.tiny_project import shard, write_project, write_records
from tests.support.word_family import WORDS_FAMILY
from tests.support.word_family.files import write_word_tokenizer


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("good")).parent


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "work"))


def load(folder: Path, *overrides: str) -> Config:
    return load_config(folder / "tiny.yaml", overrides)


def problem(folder: Path, *overrides: str, error: type[PipelineError] = UsageError) -> str:
    with pytest.raises(error) as caught:
        check_inputs(load(folder, *overrides))
    assert caught.value.exit_code == error.exit_code
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_inputs_that_agree_leave_nothing_unchecked(good):
    assert check_inputs(load(good)).unchecked == []


# --- columns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "key", "found"),
    [
        ("data.label_column=category", "data.label_column", "'category'; it has label, text"),
        ("data.text=body", "data.text", "'body'; it has label, text"),
        ("data.text_pair=texts", "data.text_pair", "'texts'; did you mean 'text'? it has label, text"),
        (
            "evaluate.slices=[{columns: [labl]}]",
            "evaluate.slices.0.columns",
            "'labl'; did you mean 'label'? it has label, text",
        ),
        (
            "evaluate.slices=[{columns: [label]}, {columns: [label, channel]}]",
            "evaluate.slices.1.columns",
            "'channel'; it has label, text",
        ),
    ],
)
def test_column_that_the_schema_does_not_have_is_named_with_those_that_exist(good, override, key, found):
    assert problem(good, override) == f"{key}: {good}/data/schema.pbtxt has no column {found}"


@pytest.mark.parametrize(
    ("column", "kind", "key", "wanted"),
    [("text", "INT", "data.text", "BYTES"), ("label", "FLOAT", "data.label_column", "BYTES or INT")],
)
def test_column_of_a_type_that_cannot_be_used_is_refused(folder, column, kind, key, wanted):
    edit(
        folder / "data/schema.pbtxt", f'name: "{column}"\n  type: BYTES', f'name: "{column}"\n  type: {kind}'
    )
    assert problem(folder) == (
        f"{key}: column {column!r} is of type {kind} in {folder}/data/schema.pbtxt, but must be {wanted}"
    )


def test_text_column_that_the_first_row_does_not_have_is_named_with_those_that_exist(folder):
    write_records(shard(folder, "eval"), [example(body=b"a text", label=b"animal")])
    assert problem(folder, error=GateRefused) == (
        f"{shard(folder, 'eval')}: record 0: data.text is 'text', which this row does not have; it has body, label: "
        f"correct the config and {folder}/data/schema.pbtxt, or create the data again"
    )


def test_slice_column_that_the_judged_split_does_not_have_is_refused(folder):
    edit(folder / "data/schema.pbtxt", 'feature {\n  name: "label"', REGION + 'feature {\n  name: "label"')
    told = problem(folder, "evaluate.slices=[{columns: [region]}]", error=GateRefused)
    assert told.startswith(f"{shard(folder, 'test')}: record 0: evaluate.slices.0.columns is 'region', which")
    rows = [example(text=b"a text", label=b"animal", region=b"north")]
    write_records(shard(folder, "test"), rows)  # the other splits are not sliced
    assert check_inputs(load(folder, "evaluate.slices=[{columns: [region]}]")).unchecked == []


REGION = 'feature {\n  name: "region"\n  type: BYTES\n  presence { min_fraction: 1.0 }\n}\n'


def test_optional_slice_column_may_be_missing_in_the_first_row(folder):
    optional = REGION.replace("1.0", "0.5")
    edit(folder / "data/schema.pbtxt", 'feature {\n  name: "label"', optional + 'feature {\n  name: "label"')
    assert check_inputs(load(folder, "evaluate.slices=[{columns: [region]}]")).unchecked == []


def test_column_of_another_type_than_the_schema_says_is_refused(folder):
    write_records(shard(folder), [example(text=b"a text", label=3)])
    assert problem(folder, error=GateRefused).startswith(
        f"{shard(folder)}: record 0: column 'label' (data.label_column) contains int64, but {folder}/data/schema.pbtxt says BYTES"
    )


def test_rule_of_the_data_gate_that_only_warns_stops_nothing_here(folder):
    write_records(shard(folder), [example(body=b"a text", label=b"animal")])
    assert check_inputs(load(folder, "data.gate.missing_column=warn")).unchecked == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (
            'domain: "labels"',
            'domain: "labels"\n  drift_comparator { infinity_norm { threshold: 0.1 } }',
            "feature 'label' has a drift_comparator",
        ),
        (
            'default_environment: "SERVING"',
            "dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 1 } }",
            "dataset_constraints has a num_examples_drift_comparator",
        ),
    ],
)
def test_bound_of_the_schema_that_nothing_checks_is_refused(folder, old, new, where):
    edit(folder / "data/schema.pbtxt", old, new)
    assert problem(folder).startswith(
        f"data.schema: {folder}/data/schema.pbtxt: {where}, which is not checked: drift"
    )


# --- labels --------------------------------------------------------------------------------------------


def test_class_weight_of_a_label_that_is_not_in_the_list_is_refused(good):
    assert problem(good, "train.class_weights={anmal: 2}") == (
        "train.class_weights names ['anmal'], which are not in the label list ['animal', 'number', 'place']"
    )
    nothing = problem(good, "train.class_weights={animal: 0, number: 0, place: 0}")
    assert nothing.startswith("train.class_weights are 0 for all labels")


def test_label_that_the_schema_forbids_is_refused(folder):
    (folder / "data/labels.txt").write_text("animal\nnumber\nplace\nplant\n")
    assert problem(folder) == (
        f"data.label_list: {folder}/data/labels.txt has the label 'plant', which the domain of 'label' in "
        f"{folder}/data/schema.pbtxt does not allow: add it there, or remove it here"
    )


def test_label_of_the_first_row_that_is_not_in_the_list_is_refused(folder):
    write_records(shard(folder), [example(text=b"a text", label=b"mineral")])
    assert problem(folder, error=GateRefused) == (
        f"{shard(folder)}: record 0: the label 'mineral' in column 'label' (data.label_column) is not in "
        f"{folder}/data/labels.txt, which has animal, number, place; correct data.label_column, the label list or the data"
    )


def test_integer_labels_that_are_no_label_ids_are_refused(folder):
    (folder / "data/labels.txt").write_text("1\n2\n")
    edit(folder / "data/schema.pbtxt", 'name: "label"\n  type: BYTES', 'name: "label"\n  type: INT')
    assert "integer labels must be 0, 1, 2 ... in this order, got 1, 2" in problem(folder)


# --- files and folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("schema.pbtxt", None, "data.schema: no file at "),
        ("schema.pbtxt", b"# no feature\n", "data.text: "),
        ("schema.pbtxt", b"feature { nam: 1 }", "data.schema: "),
        ("schema.pbtxt", b"\xff\xfe", "data.schema: "),
        ("labels.txt", None, ""),
        ("labels.txt", b"one\n", ""),
    ],
)
def test_file_that_cannot_be_used_is_named(folder, name, content, told):
    path = folder / "data" / name
    path.unlink() if content is None else path.write_bytes(content)
    message = problem(folder)
    assert message.startswith(told)
    assert str(path) in message


def test_data_path_that_is_not_there_is_refused_also_with_a_recipe(good, tmp_path):
    assert problem(good, f"data.path={tmp_path}/nope").startswith(
        f"data.path: no folder at {tmp_path}/nope; create"
    )
    told = problem(good, f"data.path={tmp_path}/nope", "data.recipe=trec")
    assert told == (
        f"data.path: no folder at {tmp_path}/nope; data.recipe 'trec' creates {DATASETS_DIR}/trec only: "
        "correct data.path, or create the dataset elsewhere with `runner_local.py data trec --out FOLDER`"
    )
    near = problem(good, f"data.path={PROJECT_DIR}/datasets/trek", "data.recipe=trec")
    assert near.startswith(f"data.path: no folder at {PROJECT_DIR}/datasets/trek; data.recipe")
    file = problem(good, f"data.path={good}/tiny.yaml", "data.recipe=trec")
    assert file.startswith(f"data.path: {good}/tiny.yaml is a file, not a folder; ")


def test_recipe_makes_its_own_folder_and_says_what_is_not_checked_yet(good, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "DATASETS_DIR", tmp_path)
    assert check_inputs(load(good, f"data.path={tmp_path}/trec", "data.recipe=trec")).unchecked == [
        f"the rows that the recipe 'trec' creates in {tmp_path}/trec"
    ]
    told = problem(folder_with_region(good, tmp_path), f"data.path={tmp_path}/trec", "data.recipe=trec")
    assert (
        told == "evaluate.slices.0.columns: the recipe 'trec' creates no column 'region'; it has label, text"
    )


def folder_with_region(good: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(good, tmp_path / "regional"))
    edit(folder / "data/schema.pbtxt", 'feature {\n  name: "label"', REGION + 'feature {\n  name: "label"')
    edit(folder / "tiny.yaml", "columns: [label]", "columns: [region]")
    return folder


def test_bounds_of_a_label_that_is_not_in_the_list_are_refused(good):
    override = "evaluate.classes=[{labels: [animal, anmal], thresholds: {f1: {min: 0.5}}}]"
    assert problem(good, override).endswith(
        "labels.txt has no label 'anmal'; it has 'animal', 'number' and 'place'"
    )


def test_recipe_that_is_not_there_is_named_with_those_that_are(good):
    assert problem(good, "data.recipe=trek") == (
        f"data.recipe: {PROJECT_DIR}/data has no recipe 'trek'; did you mean 'trec'? it has rotten_tomatoes, sms_spam, trec, trec_fine, trec_names, trec_pairs"
    )


def test_folder_that_another_recipe_made_is_not_replaced(folder):
    (folder / "data/made_from.sha256").write_text("0" * 64)
    edit(folder / "data/import_report.json", '"name": "data"', '"name": "sms_spam"')
    assert problem(folder, "data.recipe=trec") == (
        f"data.path: {folder}/data contains the dataset of the recipe 'sms_spam', but data.recipe is 'trec'"
    )


def test_data_of_ones_own_is_left_as_it_is_beside_a_recipe(good):
    assert check_inputs(load(good, "data.recipe=trec")).unchecked == []


@pytest.mark.parametrize(
    ("patterns", "error", "told"),
    [
        (
            "{train: trian-*, eval: eval-*, test: test-*}",
            GateRefused,
            "data.splits.train: no file matches 'trian-*' in ",
        ),
        ("{train: a, eval: b, test: c}", UsageError, "data.path: no file matches a, b, c in "),
    ],
)
def test_split_without_a_file_is_named_with_the_files_that_are_there(good, patterns, error, told):
    message = problem(good, f"data.splits={patterns}", error=error)
    assert message.startswith(f"{told}{good}/data; it has data.yaml, eval-00000-of-00001.tfrecord.gz, ")


def test_shard_in_two_splits_is_refused(good):
    overlapping = "data.splits={train: 'train-*', eval: '*-0*', test: test-*}"
    assert problem(good, overlapping).startswith(
        f"data.splits: {shard(good)} is in the splits 'train' and 'eval'; "
    )


def test_split_that_nothing_reads_may_have_no_file_where_the_gate_only_warns(good):
    splits = "data.splits={train: train-*, eval: eval-*, test: test-*, more: more-*}"
    assert check_inputs(load(good, splits, "data.gate.missing_split=warn")).unchecked == []
    assert problem(good, splits, error=GateRefused).startswith("data.splits.more: no file matches 'more-*'")
    needed = ["data.splits.test=nope-*", "data.gate.missing_split=warn"]
    assert problem(good, splits, *needed, error=GateRefused).startswith("data.splits.test: no file matches")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"text,label\n", "record 0 (byte 0): the name ends in .gz but its content is not gzip"),
        (b"", "record 0 (byte 0): the name ends in .gz but it is empty"),
    ],
)
def test_first_record_that_cannot_be_read_names_the_shard(folder, content, told):
    shard(folder).write_bytes(content)
    message = problem(folder, error=PipelineError)
    assert message.startswith(f"{shard(folder)}: {told}")


def test_record_that_is_no_example_names_the_shard(folder):
    write_records(shard(folder), [b"\xff\xfe no protocol buffer"])
    assert "record 0 (byte 0): not a tf.Example" in problem(folder, error=PipelineError)


@pytest.mark.parametrize(("place", "told"), [("tiny.yaml", "tiny.yaml"), ("tiny.yaml/below", "tiny.yaml")])
def test_serving_dir_that_cannot_be_a_folder_is_refused_before_training(good, place, told):
    assert problem(good, f"push.serving_dir={place}") == f"push.serving_dir: {good}/{told} is not a folder"


def test_token_file_of_a_destination_is_looked_for_before_training(good):
    told = problem(good, "push.destinations=[{hub: a/b, token_file: /no/token}]")
    assert told == "push.destinations.0.token_file: /no/token is missing or cannot be read"


# --- checkpoint ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "model.checkpoint.recipe=nope",
            "model.checkpoint.recipe: 'nope' is not one of ['all-MiniLM-L6-v2', 'multilingual-e5-small']",
        ),
        ("model.checkpoint.path=nowhere", "model.checkpoint.path: no folder at "),
        ("train.freeze.layers=3", "train.freeze.layers 3 is more than the 2 layers of "),
        ("transform.max_length=65", "transform.max_length 65 is more than the 64 positions of "),
    ],
)
def test_checkpoint_that_does_not_fit_the_config_is_refused(good, override, told):
    with pytest.raises(PipelineError) as caught:
        check_inputs(load(good, override))
    assert str(caught.value).startswith(told)


def test_half_precision_is_refused_where_the_class_of_transformers_trains(good):
    half, reference = "train.bf16=true", "model.forward=reference"
    assert check_inputs(load(good, half)).unchecked == check_inputs(load(good, reference)).unchecked == []
    assert problem(good, half, reference) == (
        "train.bf16 is true, but model_type 'bert' is trained through the class of transformers, which "
        "computes in float32; remove the key, or set model.forward to auto"
    )


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("auto", ["gpt2", "gptj", "layoutlm", "longformer", "mistral", "openai-gpt"]),
        ("reference", ["gpt2", "gptj", "layoutlm", "longformer", "mistral", "mpnet", "openai-gpt"]),
    ],
)
def test_dropout_before_the_head_is_refused_where_nothing_would_read_it(good, way, expected):
    config, said = load(good, "model.dropout=0.2", f"model.forward={way}"), {}
    for kind in sorted(ENCODERS):
        try:
            inputs._check_head_dropout(config, kind)
        except UsageError as error:
            said[kind] = str(error)
        inputs._check_head_dropout(load(good, f"model.forward={way}"), kind)
    assert list(said) == expected
    assert said["gpt2"] == (
        "model.dropout is 0.2, but the class of transformers through which model_type 'gpt2' is trained has no dropout of "
        "its own before the head; remove the key"
    )


def test_export_of_a_class_that_has_not_been_converted_is_refused(good):
    assert check_inputs(load(good, "export.onnx={}")).unchecked == []
    assert problem(good, "export.onnx={}", "model.forward=reference") == (
        "export.onnx: the class of transformers through which model_type 'bert' is trained has not been converted to this "
        "format; supported formats: none. Remove the key, or set model.forward to auto"
    )


def test_export_that_cannot_ship_the_tokenizer_is_refused(folder, monkeypatch):
    monkeypatch.setitem(FAMILIES, "words", WORDS_FAMILY)
    encoder = folder / "encoder"
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (encoder / name).unlink()
    write_word_tokenizer(encoder, ["cat", "dog"])
    assert check_inputs(load(folder, "export.onnx={}")).unchecked == []
    assert problem(folder, "export.onnx={}", "export.tfjs={}") == (
        f"export.tfjs: {encoder} has a word tokenizer, which this format does not support; supported formats: onnx. "
        "Remove the key, or use another checkpoint"
    )


def test_hub_checkpoint_that_is_not_fetched_yet_is_named(good):
    overrides = ("model.checkpoint.hub=owner/model", f"model.checkpoint.revision='{'1' * 40}'")
    assert check_inputs(load(good, *overrides)).unchecked == [
        "the checkpoint 'owner/model', which has not been downloaded yet"
    ]


# --- steps on Kubeflow ---------------------------------------------------------------------------------


def test_optional_step_is_named_only_where_the_config_has_it(good):
    kubeflow = (
        "{data_path: /m/d, serving_dir: /m/s, volumes: [{claim: c, mount_path: /m}], steps: {ONNXExport: {}}}"
    )
    assert (
        problem(good, f"kubeflow={kubeflow}")
        == "kubeflow.steps.ONNXExport: without export.onnx there is no such step"
    )
    assert check_inputs(load(good, f"kubeflow={kubeflow}", "export.onnx={}")).unchecked == []


# --- spans ---------------------------------------------------------------------------------------------


@pytest.fixture
def spans(folder: Path) -> Path:
    for number in (1, 2, 10):
        shutil.copytree(folder / "data", folder / "days" / f"span-{number}")
    return folder


def test_newest_span_is_looked_at_or_the_one_that_is_asked_for(spans):
    path = "data.path='days/span-{SPAN}'"
    assert [p.parent.name for p in find_shards(load(spans, path).data, "train")] == [
        "span-10",
        "span-2",
        "span-1",
    ]
    asked = load(spans, path, "data.span=2")
    assert [p.parent.name for p in find_shards(asked.data, "train")] == ["span-2"]
    assert check_inputs(asked).unchecked == []


def test_span_that_is_not_there_is_refused(spans):
    message = problem(spans, "data.path='days/span-{SPAN}'", "data.span=7")
    assert message.startswith("data.path: no file matches train-*, eval-*, test-* in ")
    assert "it has span-1, span-10, span-2: correct" in message


def test_day_is_a_span_of_its_own(folder):
    shutil.copytree(folder / "data", folder / "days/2026-02-03")
    path = "data.path='days/{YYYY}-{MM}-{DD}'"
    assert check_inputs(load(folder, path)).unchecked == []
    assert check_inputs(load(folder, path, "data.span=2026-02-03")).unchecked == []
    assert "no file matches" in problem(folder, path, "data.span=2026-02-04")


# --- reading a record ----------------------------------------------------------------------------------


def test_example_is_read_without_tensorflow_as_it_was_written():
    written = example(text=[b"a", b"b"], size=-3, weight=0.5)
    assert decode_example(written) == {
        "text": ("bytes", [b"a", b"b"]),
        "size": ("int64", [-3]),
        "weight": ("float", [0.5]),
    }


def test_plain_shard_is_read_too(folder):
    shard(folder).unlink()
    (folder / "data/train-1").write_bytes(tfrecord([example(text=b"a", label=b"plant")]))
    assert "the label 'plant'" in problem(folder, error=GateRefused)
