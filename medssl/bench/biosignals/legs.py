"""The two legs of the benchmark, PPG and ECG, each a part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from medssl.bench.parts import Part, load_part

LEGS: Final = ("ecg", "ppg")
MOMENTS: Final = "moments"
"""The third part, of simultaneous signals; see `moments.py`."""


def load_leg(name: str, data: Path) -> Part:
    """Read a leg's file and put the data folder in.

    Args:
        name: Which of `LEGS`.
        data: Folder that holds one folder for each data set.

    Raises:
        StageError: A data set of the leg is not there.
    """
    return load_part(__package__, name, data)
