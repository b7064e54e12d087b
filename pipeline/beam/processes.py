"""Beam's direct runner with worker processes that receive the pipeline options."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo, FnApiRunner
from apache_beam.runners.portability.portable_runner import JobServiceHandle


class ProcessesRunner(FnApiRunner):
    """An FnApiRunner that passes the options to its worker processes, which need them for `--beam_plugins`."""

    def run_pipeline(self, pipeline: Any, options: PipelineOptions) -> Any:
        """Runs a pipeline; workers get the options in the same way as those of a job service."""
        encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        self._provision_info = ExtendedProvisionInfo(
            beam_provision_api_pb2.ProvisionInfo(
                pipeline_options=encoded, retrieval_token="unused-retrieval-token"
            )
        )
        return super().run_pipeline(pipeline, options)
