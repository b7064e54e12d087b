"""The served OpenAPI document is correct: requests made from it get the documented answers, and no others."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.model_server import NAME, TEXTS, Exported, Server

# not_a_server_error passes over nothing: a 503 would need a full queue, and one request is sent at a time.
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
EXAMPLES = 15  # of each operation, valid ones and as many that are not


def operations(server: Server) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def takes_something(operation: Any) -> bool:
    """Whether anything in a request of it can be wrong."""
    return bool({"parameters", "requestBody"} & set(operation.definition.raw))


def test_every_way_to_ask_is_in_the_document(server: Server) -> None:
    model, versioned = "/v1/models/{name}", "/v1/models/{name}/versions/{version}"
    v2, v2_versioned = "/v2/models/{model_name}", "/v2/models/{model_name}/versions/{model_version}"
    assert {(operation.method.upper(), operation.path) for operation in operations(server)} == {
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("GET", model),
        ("GET", f"{model}/metadata"),
        ("POST", f"{model}:predict"),
        ("GET", versioned),
        ("GET", f"{versioned}/metadata"),
        ("POST", f"{versioned}:predict"),
        ("GET", "/v2"),
        ("GET", "/v2/health/live"),
        ("GET", "/v2/health/ready"),
        ("GET", "/v2/models"),
        ("GET", v2),
        ("GET", f"{v2}/ready"),
        ("POST", f"{v2}/infer"),
        ("GET", v2_versioned),
        ("GET", f"{v2_versioned}/ready"),
        ("POST", f"{v2_versioned}/infer"),
        ("POST", "/v2/repository/models/{model_name}/load"),
        ("POST", "/v2/repository/models/{model_name}/unload"),
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_made_from_the_document_get_the_answers_that_it_names(
    server: Server, exported: tuple[Exported, Exported], mode: GenerationMode
) -> None:
    for operation in operations(server):
        if mode is GenerationMode.NEGATIVE and not takes_something(operation):
            continue

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            case.validate_response(case.call(timeout=60), checks=CHECKS)

        ask()
        answer = server.predict({"instances": TEXTS}).json()
        assert [row["label"] for row in answer["predictions"]] == exported[0].labels


def test_examples_of_the_document_are_answered(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json").json()
    content = document["paths"]["/v1/models/{name}:predict"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    assert set(examples) == {"rows", "columns"}
    for example in examples.values():
        assert server.predict(example["value"]).status_code == 200


def test_document_names_the_served_model(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json").json()
    parameters = document["paths"]["/v1/models/{name}"]["get"]["parameters"]
    assert [p["schema"] for p in parameters if p["in"] == "path"] == [{"type": "string", "enum": [NAME]}]
