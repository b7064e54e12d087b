"""Your own code: what a config names as `own_parts.MODULE.NAME`. The modules here are templates (docs/own_parts.md).

The package is part of the wheel, of the sources for Beam's workers and of the image, and nothing imports it unless a config
names it. An edit of a module re-runs the nodes that use it.
"""
