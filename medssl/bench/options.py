"""What a benchmark is asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What to run.

    Args:
        data: Folder with one folder for each data set.
        root: Where outputs stand; a benchmark that was killed goes on from there.
        seeds: Seeds of every arm.
        steps: Steps of every arm; None as the part's file says.
        workers: Processes that train, each with one thread.
        arms: Names of the arms to run; None runs all. What the others are compared with is
            always run.
        curves: Whether to draw label curves.
    """

    data: Path
    root: Path
    seeds: int = 3
    steps: int | None = None
    workers: int = 2
    arms: tuple[str, ...] | None = None
    curves: bool = True
