"""What a Beam worker process imports before it gets work: Beam's `--beam_plugins` names this module."""

import tensorflow_text  # noqa: F401  # registers the ops of the transform graph
import tfx  # noqa: F401  # puts in place a module of tfx_bsl that TFDV imports and the wheel lacks
