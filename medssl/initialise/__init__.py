"""`medssl init`: look at a folder of recordings, say what is there, and write a pipeline file."""

from medssl.initialise.run import initialise

__all__ = ["initialise"]
