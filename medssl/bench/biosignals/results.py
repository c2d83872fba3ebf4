"""What is run, and what a leg gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medssl.bench.biosignals.legs import Leg
from medssl.bench.runs import Run

if TYPE_CHECKING:
    from medssl.bench.biosignals.orderings import Ordering
    from medssl.bench.biosignals.ranks import Geometry
    from medssl.bench.points import Point
    from medssl.bench.scores import Score


@dataclass(frozen=True)
class Options:
    """What to run.

    Args:
        data: Folder with one folder for each data set.
        root: Where outputs stand; a benchmark that was killed goes on from there.
        seeds: Seeds of every arm.
        steps: Steps of every arm; None as the leg's file says.
        workers: Processes that train, each with one thread.
        arms: Names of the arms to run; None runs all. The published recipe is always run.
        curves: Whether to draw label curves.
    """

    data: Path
    root: Path
    seeds: int = 3
    steps: int | None = None
    workers: int = 2
    arms: tuple[str, ...] | None = None
    curves: bool = True


@dataclass
class LegResult:
    """What one leg gave."""

    leg: Leg
    store_digest: str = ""
    participants: dict[str, int] = field(default_factory=dict)
    records: int = 0
    runs: list[Run] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    geometry: list[Geometry] = field(default_factory=list)
    orderings: list[Ordering] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
