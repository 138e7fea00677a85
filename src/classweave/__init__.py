"""Classweave: the open classroom platform."""

from importlib.metadata import version

__version__ = version("classweave")
