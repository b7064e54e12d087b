"""Where this project is, and its packages.

Only Python 3.6 syntax: `pipeline.process.start` imports this on interpreters that run nothing else.
"""

from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
# Highest layer first: a package imports only those after it.
PACKAGES = ("pipeline", "components", "models")
# The user's own code travels with them; they load it by name and never import it.
SHIPPED = (*PACKAGES, "own_parts")
