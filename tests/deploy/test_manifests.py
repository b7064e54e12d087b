"""The manifests of deploy/kubernetes match strict schemas, the configs and the image."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from components.project import PROJECT_DIR
from pipeline.config import load_config
from tests.deploy.model_schema import problems

FOLDER = PROJECT_DIR / "deploy/kubernetes"
KUBERNETES = "1.33"


def load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def manifests(kserve: bool) -> list[Any]:
    found = [(path.name, doc) for path in sorted(FOLDER.glob("*.yaml")) for doc in load(path.name)]
    return [
        pytest.param(document, id=f"{name}-{document['kind']}")
        for name, document in found
        if (document["kind"] == "InferenceService") == kserve
    ]


@pytest.mark.parametrize("document", manifests(kserve=False))
def test_manifest_follows_the_kubernetes_schema(document):
    validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", manifests(kserve=True))
def test_inference_service_follows_kserve_s_models(document):
    assert document["apiVersion"] == "serving.kserve.io/v1beta1"
    assert list(problems(document, "V1beta1InferenceService")) == []


def test_schema_is_strict():
    claim = copy.deepcopy(load("storage.yaml")[0])
    claim["spec"]["accessMode"] = "ReadWriteMany"
    with pytest.raises(ValidationError, match="accessMode"):
        validate(claim, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"modle": {}}, "spec.predictor.modle: unknown field of V1beta1PredictorSpec"),
        ({"minReplicas": "1"}, "spec.predictor.minReplicas: '1' is no int"),
        ({"model": {"storageUri": "pvc://a/b"}}, "`model_format`, must not be `None`"),
        ({"containers": [{"name": "c", "ports": [{}]}]}, "`container_port`, must not be `None`"),
        (
            {"containers": [{"name": "c", "resources": {"limits": {"memory": "16GB"}}}]},
            "resources.limits.memory: Invalid",
        ),
    ],
)
def test_models_are_strict(change, reason):
    service = load("serving-tensorflow.yaml")[0]
    service["spec"]["predictor"] |= change
    found = list(problems(service, "V1beta1InferenceService"))
    assert any(reason in problem for problem in found), found


def test_names_that_manifests_share():
    account, role, binding = load("rbac.yaml")
    claim, job = load("storage.yaml")
    secrets = {secret["metadata"]["name"] for secret in load("secrets.example.yaml")}
    assert {secret["name"] for secret in account["imagePullSecrets"]} <= secrets
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    assert job["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models"
    assert claim["metadata"]["name"] == "models"
    (own,) = load("serving-own.yaml")
    assert own["spec"]["predictor"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models"
    assert {secret["name"] for secret in own["spec"]["predictor"]["imagePullSecrets"]} <= secrets


def test_own_server_is_started_with_a_command_that_the_image_has():
    (service,) = load("serving-own.yaml")
    predictor = service["spec"]["predictor"]
    container = predictor["containers"][0]
    assert container["command"] == ["python", "runner_local.py", "serve"]
    config, overrides, *rest = container["args"][0], container["args"][2], *container["args"][3:]
    loaded = load_config(PROJECT_DIR / config, [overrides])
    assert str(loaded.push.serving_dir) == "/mnt/models/serving"
    assert rest == ["--host", "0.0.0.0", "--port", str(container["ports"][0]["containerPort"])]
    assert predictor["terminationGracePeriodSeconds"] > loaded.serve.drain_seconds


def test_user_of_the_manifests_is_the_image_s():
    assert "USER 10001:0" in (PROJECT_DIR / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (service,) = load("serving-own.yaml")
    assert service["spec"]["predictor"]["securityContext"]["runAsUser"] == 10001
    job = load("storage.yaml")[1]
    assert "chown 10001:0" in job["spec"]["template"]["spec"]["containers"][0]["args"][0]
