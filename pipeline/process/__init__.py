"""What both command lines of this project share, whichever orchestrator runs the nodes."""
