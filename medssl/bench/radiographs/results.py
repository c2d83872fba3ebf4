"""What a part gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medssl.bench.parts import Part
from medssl.bench.runs import Run

if TYPE_CHECKING:
    from medssl.bench.points import Point
    from medssl.bench.scores import Score
    from medssl.evaluation.image_text.image_use import ImageUse
    from medssl.evaluation.retrieval_tables import RetrievalTable


@dataclass
class PartResult:
    """What one part gave; fields stay empty where a part has no such score."""

    part: Part
    notes: list[str] = field(default_factory=list)
    store_digest: str = ""
    images: int = 0
    reports: int = 0
    steps: int = 0
    participants: dict[str, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    linear: list[Score] = field(default_factory=list)
    zero_shot: list[Score] = field(default_factory=list)
    retrieval: RetrievalTable | None = None
    image_use: dict[str, ImageUse] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    false_negatives: dict[str, float] = field(default_factory=dict)
    """Mean share of a batch's other rows that say the same, by arm."""
    maps: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
