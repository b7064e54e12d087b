"""The `kubeflow` section is checked before anything is compiled."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from models.errors import UsageError
from pipeline.config import load_config
from pipeline.kubeflow.cli import app

CONFIG = """\
name: tiny
data: {path: rows, schema: schema.pbtxt, label_list: labels.txt}
model: {checkpoint: {path: encoder}}
evaluate: {thresholds: {accuracy: {min: 0.5}}}
push: {serving_dir: serving}
"""
KUBEFLOW = """\
kubeflow:
  data_path: /mnt/data
  serving_dir: /mnt/serving
  volumes: [{claim: models, mount_path: /mnt}]
  defaults: {cpu: 1, env: {A: "1", B: "2"}, cache: false}
  steps:
    Trainer: {memory: 8Gi, env: {B: "3"}, cache: true}
"""


@pytest.fixture
def write(tmp_path):
    def _write(text: str = CONFIG + KUBEFLOW) -> str:
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return str(path)

    return _write


def error_of(path: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_config(path, overrides)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_step_has_the_defaults_and_its_own_values(write):
    settings = load_config(write()).kubeflow
    trainer, other = settings.step("Trainer"), settings.step("Evaluator")
    assert (trainer.cpu, trainer.memory, trainer.cache) == ("1", "8Gi", True)
    assert trainer.env == {"A": "1", "B": "3"}
    assert (other.cpu, other.memory, other.cache, other.env) == ("1", None, False, {"A": "1", "B": "2"})


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "kubeflow.defaults.memory=16GB",
            "kubeflow.defaults.memory: must be a Kubernetes quantity such as 16Gi",
        ),
        (
            "kubeflow.steps.Trainer.gpu={type: T4}",
            "unknown accelerator 'T4'; resource names in Kubernetes: nvidia",
        ),
        ("kubeflow.image_pull_secrets=[My_Secret]", "may contain lower case letters, digits, - and . only"),
        ("kubeflow.serving_dir=/elsewhere", "would be lost when the pod ends"),
        (
            "kubeflow.steps.Trianer={cpu: 1}",
            "kubeflow.steps.Trianer: input should be 'TFRecordExampleGen', 'StatisticsGen', ",
        ),
        ("kubeflow.data_path=/elsewhere", "no step could read it"),
        ("kubeflow.data_path=rows", "must be an absolute path inside the container, got 'rows'"),
        ("kubeflow.defaults.env={'a b': x}", "not a valid name of an environment variable: 'a b'"),
        (
            "kubeflow.volumes=[{claim: a, mount_path: /mnt}, {claim: a, mount_path: /more}]",
            "'a' is mounted twice, which a pod does not allow",
        ),
        (
            "kubeflow.secrets=[{name: a.b, mount_path: /keys}]",
            "'a.b' cannot be mounted: a pod's volume is named",
        ),
        ("kubeflow.secrets=[{name: a, mount_path: /mnt}]", "mount_path '/mnt' is used twice"),
        ("kubeflow.secrets=[{name: key}]", "secret 'key': give exactly one of env and mount_path"),
        ("kubeflow.defaults.tolerations=[{operator: Equal}]", "without a key the operator must be Exists"),
        ("kubeflow.host=https://kubeflow", "unknown key 'kubeflow.host'"),
    ],
)
def test_bad_value_is_one_line_that_quotes_it(write, override, reason):
    assert reason in error_of(write(), override)


def compile_error(*arguments: str) -> UsageError:
    result = CliRunner().invoke(app, ["compile", *arguments])
    assert isinstance(result.exception, UsageError), result.output
    return result.exception


def test_missing_image(write):
    assert "--image is missing" in str(compile_error(write()))


def test_config_without_the_section(write):
    error = compile_error(write(CONFIG), "--image", "registry/name:1")
    assert "tiny: the config has no kubeflow section" in str(error)
