"""An export format that follows the recipe of CONTRIBUTING.md: a SavedModel from token ids to answers."""
