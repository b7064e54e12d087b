"""Imported by Beam worker processes before they get work, through Beam's `--beam_plugins`."""

import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
import tfx  # noqa: F401  # adds a module that TFDV imports but tfx_bsl's wheel lacks
