"""Imports go one way, importing does nothing heavy, and the wheel holds exactly three packages."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.project import PACKAGES, PROJECT_DIR
from models.tokenizers.family import FAMILIES

SOURCES = sorted(p for package in PACKAGES for p in (PROJECT_DIR / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
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


def test_tokenizers_know_no_node_and_no_other_axis():
    folder = PROJECT_DIR / "models" / "tokenizers"
    others = {path.stem for path in (PROJECT_DIR / "models").iterdir() if path.is_dir()} - {"tokenizers"}
    assert "checkpoints" in others
    forbidden = {"components", "pipeline", "tfx", *(f"models.{name}" for name in others)}
    wrong = [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for path in folder.rglob("*.py")
        for name in imported(path)
        if any(name == outside or name.startswith(f"{outside}.") for outside in forbidden)
    ]
    assert wrong == []


def test_a_tokenizer_family_is_named_only_in_its_row_and_its_folder():
    families = PROJECT_DIR / "models" / "tokenizers"
    wrong = [
        f"{path.relative_to(PROJECT_DIR)}: {name}"
        for path in [*SOURCES, *(PROJECT_DIR / "benchmarks").rglob("*.py")]
        for family in FAMILIES
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
        *(family.spec for family in FAMILIES.values()),
    ],
)
def test_importing_imports_no_tensorflow(module):
    code = f"import sys, {module}; print(*sorted({{'tensorflow', 'tfx', 'apache_beam'}} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""


def test_wheel_holds_exactly_the_three_packages(tmp_path):
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
    assert {name for name in names if not name.endswith(".dist-info")} == {"components", "models", "pipeline"}
