"""Names that the compiler writes into a package and a step reads back."""

from __future__ import annotations

# Parameters.
PROBED = "probed"  # the probe's result, JSON
SCHEDULED = "scheduled"  # of the ExampleGen's probe: when the run was scheduled to start
RUN_ID = "pipeline_run_id"  # of steps that are never cached
# Environment variable.
BEAM_ARGUMENTS = "BEAM_ARGUMENTS"
