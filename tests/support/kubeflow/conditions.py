"""Task conditions as Kubeflow's driver evaluates them: CEL over the ExecutorInput, type-checked, with a boolean result.

Written from backend/src/v2/expression/expression.go of kubeflow/pipelines 2.17.0. The checker here is the C++
one; the server's is the Go one, which is stricter with numbers (the last rule below).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from cel_expr_python import cel
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

_INPUT = re.compile(r"inputs\.(artifacts|parameter_values)\[(['\"])(.*?)\2\]")


@functools.cache
def _environment() -> Any:
    """The environment that the driver compiles conditions in; its variables are those of ExecutorInput."""
    fields = pb.ExecutorInput.DESCRIPTOR.fields
    return cel.NewEnv(
        variables={field.name: cel.Type(field.message_type.full_name) for field in fields},
        functions=[
            cel.FunctionDecl(
                "parseJson", [cel.Overload("parse_json", cel.Type.DYN, [cel.Type.STRING], impl=json.loads)]
            )
        ],
    )


def holds(condition: str, given: pb.ExecutorInput) -> bool:
    """Whether a task with these inputs runs."""
    fields = {field.name: getattr(given, field.name) for field in pb.ExecutorInput.DESCRIPTOR.fields}
    held = _environment().compile(condition).eval(data=fields).plain_value()
    assert isinstance(held, bool), f"condition {condition!r} is not bool but {held!r}"
    return held


def condition_problems(condition: str, component: pb.ComponentSpec) -> Iterator[str]:
    """Why the driver would not evaluate a task's condition, for a task of this component."""
    try:
        compiled = _environment().compile(condition)
    except RuntimeError as error:
        yield f"condition {condition!r}: {str(error).splitlines()[0]}"
        return
    if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        yield f"condition {condition!r}: return type is not bool, got {compiled.return_type()}"
    declared = component.input_definitions
    for what, _, name in _INPUT.findall(condition):
        if name not in (declared.artifacts if what == "artifacts" else declared.parameters):
            yield f"condition names unknown input {name!r}"
    # What the checker cannot know: an input's number is a double, for which cel-go has no `== 1`.
    plain = re.sub(r"\b(int|size)\([^()]*\)", "INTEGER", re.sub(r"'[^']*'|\"[^\"]*\"", "''", condition))
    for left in re.findall(r"(\S+?)\s*(?:[=!]=|[<>]=?)\s*-?\d+(?![\d.])", plain):
        if not left.endswith("INTEGER"):
            yield f"condition {condition!r} compares a number with an integer, numbers are doubles"
