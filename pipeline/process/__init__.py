"""What every command line of this project needs, whichever orchestrator runs the nodes."""
