"""Imports go one way, importing has no heavy side effects, and the wheel contains exactly the shipped packages."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.exports.format import FORMATS
from components.project import PACKAGES, PROJECT_DIR, SHIPPED
from models.encoders.families import FAMILIES as ENCODERS
from models.tasks.task import TASKS, every_metric, every_score
from models.tokenizers.family import FAMILIES as TOKENIZERS

SOURCES = sorted(p for package in PACKAGES for p in (PROJECT_DIR / package).rglob("*.py"))


@functools.cache
def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_sources_that_are_looked_at_are_there():
    packages = {str(path.parent.relative_to(PROJECT_DIR)) for path in SOURCES}
    assert {
        "components",
        "components/transform",
        "components/trainer",
        "pipeline",
        "pipeline/local",
    } <= packages


def test_components_never_import_the_pipeline_or_a_runner():
    wrong = {
        str(p.relative_to(PROJECT_DIR)): sorted(
            name for name in imported(p) if name.split(".")[0] in ("pipeline", "runner_local")
        )
        for p in SOURCES
        if p.is_relative_to(PROJECT_DIR / "components")
    }
    assert {path: names for path, names in wrong.items() if names} == {}


AXES = ("tokenizers", "encoders", "tasks")


def test_models_never_import_nodes_or_the_pipeline():
    assert (
        imports_between("models", ("components", "pipeline", "runner_local", "runner_kubeflow", "tfx")) == []
    )


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_imports_neither_another_axis_nor_checkpoints(axis):
    others = {"tokenizers", "encoders", "tasks", "checkpoints"} - {axis}
    assert imports_between(f"models/{axis}", tuple(f"models.{other}" for other in others)) == []


# Packages of the members of each kind, and the modules that each of them has.
MEMBERS = {
    "tokenizers": {family.spec.rpartition(".")[0] for family in TOKENIZERS.values()},
    "encoders": {family.package for family in ENCODERS.values()},
    "tasks": {task.package for task in TASKS.values()},
    "formats": {format_.package for format_ in FORMATS.values()},
}
MODULES = {
    "tokenizers": {module for family in TOKENIZERS.values() for module in family.modules},
    "encoders": {module for f in ENCODERS.values() for module in (f.facts_module, f.forward_module)},
    "tasks": {
        module
        for task in TASKS.values()
        for module in task.modules("facts", "starting", "label_kinds", "labels", "head", "figures")
    },
    "formats": {f"{f.package}.{module}" for f in FORMATS.values() for module in ("settings", "export")},
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_no_member_imports_another_of_its_kind(kind):
    for package in MEMBERS[kind]:
        folder = PROJECT_DIR.joinpath(*package.split("."))
        assert imports_between(str(folder), tuple(MEMBERS[kind] - {package})) == []
    assert {module_name(path) for path in SOURCES} >= MODULES[kind]


@pytest.mark.parametrize("kind", MEMBERS)
def test_members_are_chosen_by_name_never_imported(kind):
    wrong = [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for path in SOURCES
        for name in imported(path)
        for package in MEMBERS[kind]
        if within(name, package) and not within(module_name(path), package)
    ]
    assert wrong == []


def imports_between(folder: str, packages: tuple[str, ...]) -> list[str]:
    """`path: module` for each import of one of the packages from below the folder."""
    return [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for path in SOURCES
        if path.is_relative_to(PROJECT_DIR / folder)
        for name in sorted(imported(path))
        if any(within(name, package) for package in packages)
    ]


def within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT_DIR).with_suffix("").parts)


@pytest.mark.parametrize("pattern", ["facts*.py", "spec.py", "families.py", "family.py", "task.py"])
def test_facts_import_no_tensorflow(pattern):
    modules = [module_name(path) for path in SOURCES if path.match(pattern) and "models" in path.parts]
    modules += [family.facts_module for family in ENCODERS.values()] if pattern == "facts.py" else []
    code = f"import sys, {', '.join(modules) or 'models'}; print(*sorted({{'tensorflow', 'transformers'}} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""


def test_tokenizer_and_training_modules_do_not_know_tfx():
    wrong = [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for folder in ("transform", "trainer")
        for path in (PROJECT_DIR / "components" / folder).glob("*.py")
        if path.name != "run_fn.py"  # the adapter to TFX
        for name in imported(path)
        if name.split(".")[0] == "tfx"
    ]
    assert wrong == []


def test_a_tokenizer_family_is_named_only_in_its_row_and_its_folder():
    families = PROJECT_DIR / "models" / "tokenizers"
    wrong = [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for path in [*SOURCES, *(PROJECT_DIR / "benchmarks").rglob("*.py")]
        for family in TOKENIZERS
        if not path.is_relative_to(families / family)
        for name in imported(path)
        if name.startswith(f"models.tokenizers.{family}")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module",
    [
        "components",
        "pipeline",
        "pipeline.config",
        "components.settings",
        "models.tokenizers.family",
        *(family.spec for family in TOKENIZERS.values()),
    ],
)
def test_importing_imports_no_tensorflow(module):
    code = f"import sys, {module}; print(*sorted({{'tensorflow', 'tfx', 'apache_beam'}} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""


def test_wheel_holds_exactly_the_shipped_packages(tmp_path):
    subprocess.run(
        [
            sys.executable,
            "setup.py",
            "-q",
            "egg_info",
            "-e",
            str(tmp_path),
            "build",
            "-b",
            str(tmp_path / "build"),
            "bdist_wheel",
            "-d",
            str(tmp_path),
            "-b",
            str(tmp_path / "b"),
        ],
        cwd=PROJECT_DIR,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == set(SHIPPED)


@pytest.mark.parametrize(
    "module",
    [
        "models.tasks.task",
        "models.tasks.label_list",
        "models.tasks.sections",
        *(
            name
            for task in TASKS.values()
            for name in task.modules("facts", "starting", "label_kinds", "figures")
        ),
    ],
)
def test_what_is_known_of_a_task_and_its_figures_need_no_tensorflow(module):
    heavy = "{'tensorflow', 'tfx', 'apache_beam', 'transformers'}"
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""


# The example that is shipped with an export runs without the rest of this project.
KNOWS_ANSWERS = {"components/exports/classify.py": {"argmax"}}


def test_metric_names_argmax_and_softmax_stand_in_the_tasks_only():
    names = {*every_metric(), *every_score()}
    found = {}
    for path in SOURCES:
        if path.is_relative_to(PROJECT_DIR / "models"):
            continue
        tree = ast.walk(ast.parse(path.read_bytes()))
        said = {
            node.value if isinstance(node, ast.Constant) else node.attr
            for node in tree
            if (isinstance(node, ast.Constant) and node.value in names)
            or (isinstance(node, ast.Attribute) and node.attr in ("argmax", "softmax"))
        }
        if said:
            found[str(path.relative_to(PROJECT_DIR))] = said
    assert found == KNOWS_ANSWERS
