"""Runs the pipeline in this process and prints the time and peak memory of each node.

    python -m benchmarks.nodes CONFIG --root FOLDER --last Transform --set data.path=...

The last line of stdout is a JSON object: {"nodes": {id: {"state", "seconds", "peak_mib"}},
"outputs": {"<node>.<key>": folder}}. The nodes' imports are done before the first node starts, so
that the seconds do not include them; `imports` measures imports. A node's peak is that of the process while it ran.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import peak_mib, print_result, reset_peak

if TYPE_CHECKING:
    from pipeline.local.node_run import NodeRun

EXECUTORS = (
    "tensorflow",
    "apache_beam",
    "tfx.components.statistics_gen.executor",
    "tfx.components.example_validator.executor",
    "tfx.components.transform.executor",
    "tfx.components.trainer.executor",
    "tfx.components.evaluator.executor",
    "components.example_gen.executor",
    "components.transform.preprocessing",
    "components.trainer.run_fn",
    "components.evaluator.eval_model",
)


def main() -> None:
    """Runs the nodes up to `--last`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--last", required=True)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    print_result(run(arguments.config, arguments.set, arguments.root, arguments.last))


def run(config_path: str, overrides: list[str], root: Path, last: str) -> dict[str, Any]:
    """Runs a new pipeline below `root`, like `runner_local.py run`."""
    from models.checkpoints.source import checkpoint_folder
    from pipeline.config import load_config
    from pipeline.paths import CHECKPOINTS_DIR, RECIPES_DIR, local_paths
    from pipeline.process import light_imports, quiet

    config = load_config(config_path, overrides)
    checkpoint = checkpoint_folder(config.model.checkpoint, RECIPES_DIR / "checkpoints", CHECKPOINTS_DIR)
    paths = local_paths(root, config.name, checkpoint)
    paths.root.mkdir(parents=True)
    quiet.prepare_environment()
    light_imports.install()
    from tfx.dsl.compiler.compiler import Compiler

    from pipeline.local.dag_runner import ObservedDagRunner
    from pipeline.training_pipeline import create_pipeline

    pipeline = create_pipeline(config, paths)
    compiled = Compiler().compile(pipeline)
    wanted = [node.pipeline_node.node_info.id for node in compiled.nodes].index(last) + 1
    del compiled.nodes[wanted:]
    light_imports.release()
    for module in EXECUTORS:
        importlib.import_module(module)
    ledger = _Ledger()
    ObservedDagRunner("benchmark", ledger.note).run_with_ir(compiled)
    return {"nodes": ledger.nodes, "outputs": ledger.outputs}


class _Ledger:
    """Records what the runner reports about each node."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.outputs: dict[str, str] = {}

    def note(self, run: NodeRun) -> None:
        if run.state == "running":
            reset_peak()
            return
        self.nodes[run.id] = {"state": run.state, "seconds": run.seconds, "peak_mib": peak_mib()}
        for key, artifacts in run.outputs.items():
            self.outputs[f"{run.id}.{key}"] = artifacts[0].uri if artifacts else ""


if __name__ == "__main__":
    main()
