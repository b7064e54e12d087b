"""A node that follows the recipe of CONTRIBUTING.md: a gate that asks for a split."""
