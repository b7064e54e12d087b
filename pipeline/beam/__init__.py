"""Which engine runs the nodes that are Beam pipelines, and what it is told. The nodes do not know."""
