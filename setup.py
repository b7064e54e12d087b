"""Exists for tools that need a setup.py, such as Beam's --setup_file; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
