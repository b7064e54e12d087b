"""Beam ships our packages to its workers through `--setup_file`; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
