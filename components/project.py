"""Where this project lies, and the packages it consists of.

No syntax that Python 3.6 does not know: `pipeline.process.start` reads it where nothing else runs.
"""

from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
# Highest first: imports go down, never up.
PACKAGES = ("pipeline", "components", "models")
