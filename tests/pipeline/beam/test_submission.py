"""Checks before a Beam job is submitted: whether the engine is reachable, and which code is sent."""

from __future__ import annotations

import socket
import tarfile

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.stager import Stager

from components.project import PROJECT_DIR
from models.errors import PipelineError
from pipeline.beam.submission import ready_to_submit


def test_engine_that_does_not_answer_is_one_line_at_once(tmp_path):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PipelineError) as caught:
            ready_to_submit("Transform", ["--runner=PortableRunner", f"--job_endpoint={endpoint}"], tmp_path)
    assert str(caught.value) == (
        f"node Transform: no Beam job service answers at {endpoint} (Connection refused); start it, or correct "
        "beam.job_endpoint"
    )


def test_options_of_an_engine_on_this_machine_stay_as_they_are(tmp_path):
    assert ready_to_submit("Transform", ["--direct_num_workers=1"], tmp_path) == ["--direct_num_workers=1"]


def test_source_package_holds_our_code_and_asks_for_no_other(tmp_path):
    before = sorted(PROJECT_DIR.iterdir())
    options = ready_to_submit("Transform", [f"--setup_file={PROJECT_DIR}/setup.py"], tmp_path)
    # What Beam's runners do with the option when they submit the job.
    Stager.create_job_resources(PipelineOptions(options), str(tmp_path))
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as package:
        names = {name.partition("/")[2] for name in package.getnames()}
    assert {"pipeline/training_pipeline.py", "components/example_gen/executor.py", "setup.py"} < names
    assert {name.partition("/")[0] for name in names if name.endswith(".py")} == {
        "pipeline",
        "components",
        "models",
        "own_parts",
        "setup.py",
    }
    assert not any(name.endswith("requires.txt") for name in names)
    assert sorted(PROJECT_DIR.iterdir()) == before


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(PipelineError, match=r"beam\.setup_file: no sources of 'pipeline' in"):
        ready_to_submit("Transform", [f"--setup_file={tmp_path}/setup.py"], tmp_path / "scratch")
