"""How long each part of a benchmark took, over all the times that it was called."""

from __future__ import annotations

import time
from pathlib import Path

from medssl.files import read_json, write_json


class Clock:
    """Seconds of each part, one after the other.

    Parts that stand from before cost nothing: what they took when they were made is kept beside
    the outputs, and the longer time counts.
    """

    def __init__(self, seconds: dict[str, float], file: Path) -> None:
        self._seconds = seconds
        self._file = file
        self._before: dict[str, float] = read_json(file) if file.is_file() else {}
        self._since = time.monotonic()

    def took(self, part: str, seconds: float) -> None:
        """A part that was measured elsewhere, such as by its runs; the next one begins now."""
        self._seconds[part] = seconds
        self._since = time.monotonic()

    def stop(self, part: str) -> None:
        """The part that ends now."""
        now = time.monotonic()
        self._seconds[part] = max(now - self._since, self._before.get(part, 0.0))
        self._since = now
        write_json(self._file, {**self._before, **self._seconds})
