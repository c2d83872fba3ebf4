"""The version of medssl."""

__version__ = "0.1.0"
