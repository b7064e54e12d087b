"""Chooses and configures the Beam runner of the nodes that use Beam. The nodes do not depend on it."""
