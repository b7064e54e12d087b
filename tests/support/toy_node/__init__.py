"""A node that follows the recipe of CONTRIBUTING.md: a gate that requires a split."""
