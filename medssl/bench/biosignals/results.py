"""What a leg gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medssl.bench.parts import Part
from medssl.bench.runs import Run

if TYPE_CHECKING:
    from medssl.bench.biosignals.orderings import Ordering
    from medssl.bench.biosignals.ranks import Geometry
    from medssl.bench.points import Point
    from medssl.bench.scores import Score


@dataclass
class LegResult:
    """What one leg gave."""

    leg: Part
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
