"""A task that follows the recipe of CONTRIBUTING.md: one number for each text, judged by its squared error."""
