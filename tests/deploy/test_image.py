"""Dockerfile and its scripts match the project; `make test-containers` builds the image."""

from __future__ import annotations

import re
import subprocess

from components.project import PROJECT_DIR

DOCKERFILE = (PROJECT_DIR / "Dockerfile").read_text(encoding="utf-8")


def test_final_stage_copies_and_installs_nothing():
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "install.sh" not in final
    assert not re.search(r"apt-get|pip |uv ", final)
    assert re.findall(r"^COPY --from=(\w+)", final, re.M) == ["environment", "project"]


def test_image_starts_steps_as_the_compiled_pipeline_does():
    from pipeline.kubeflow.compiler.steps import COMMAND

    told = ", ".join(f'"{part}"' for part in COMMAND)
    assert f'CMD [{told}, "--help"]' in DOCKERFILE


def test_project_is_where_configs_expect_it():
    from pipeline.kubeflow_settings import KubeflowSettings

    folder = KubeflowSettings.model_fields["image_dir"].default
    assert f"WORKDIR {folder}" in DOCKERFILE
    assert f"PYTHONPATH={folder}" in DOCKERFILE


def test_everything_that_the_build_copies_exists():
    named = re.findall(r"^!(\S+)", (PROJECT_DIR / ".dockerignore").read_text(encoding="utf-8"), re.M)
    assert {"components", "models", "pipeline", "own_parts", "schemas", "configs", "data", "uv.lock"} < set(
        named
    )
    missing = [name for name in named if name != "checkpoints" and not (PROJECT_DIR / name).exists()]
    assert missing == []


def test_scripts_are_valid_bash():
    scripts = [*sorted((PROJECT_DIR / "deploy/image").glob("*.sh")), *sorted(PROJECT_DIR.glob("*.sh"))]
    assert {"build.sh", "install.sh", "setup_environment.sh", "run_tests.sh"} <= {s.name for s in scripts}
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
