"""Which of the published orderings hold here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medssl.bench.biosignals.arms import BASE, NO_KOLEO, NO_MOMENTUM, SEGMENT
from medssl.bench.biosignals.ranks import Geometry
from medssl.bench.scores import Score
from medssl.evaluation.statistics import Interval

RANKS: Final[dict[str, tuple[str, float]]] = {
    NO_KOLEO: ("KoLeo raises the effective rank", 1.0),
    NO_MOMENTUM: ("momentum raises the effective rank", 1.0),
    "SimCLR": ("the recipe has a higher effective rank than SimCLR (no momentum)", 1.0),
    "BYOL": ("contrast has a higher effective rank than BYOL", 1.0),
    "ResNet-1D": ("EfficientNet has a higher effective rank than ResNet", 1.0),
    "ViT-1D": ("ViT has a higher effective rank than EfficientNet", -1.0),
}
"""Arm → what was published (arXiv 2312.05409, second-hand), and the sign of recipe minus arm.

The paper's arm without momentum is called SimCLR; whether it kept KoLeo is not known, so both stand
here.
"""

PROBED: Final = ("age", "age over 50", "sex")
"""Targets for which participant pairs and segment pairs were published, of those we have."""

REPRODUCED: Final = "reproduced"
OPPOSITE: Final = "the opposite"
UNDECIDED: Final = "not decided"


@dataclass(frozen=True)
class Ordering:
    """One published ordering and what was found.

    Args:
        claim: In words.
        measure: By what.
        found: Published recipe minus arm, paired.
        seeds: The same seed by seed, on all participants.
        verdict: `"reproduced"` or `"the opposite"` where the interval and every seed lie on one
            side of zero, `"not decided"` else: the interval alone does not know of the seeds.
    """

    claim: str
    measure: str
    found: Interval
    seeds: tuple[float, ...]
    verdict: str


def judge(scores: Sequence[Score], geometry: Sequence[Geometry]) -> list[Ordering]:
    """Compare with what was published: participant pairs by probes, the rest by effective rank.

    Args:
        scores: Of all arms; other targets than `PROBED` are not judged, for nothing was published.
        geometry: Of all arms.
    """
    found = []
    recipe = {one.target: one.seeds for one in scores if one.features == BASE}
    for one in scores:
        if one.features == SEGMENT and one.target in PROBED and one.difference is not None:
            found.append(
                _ordering(
                    "participant pairs beat segment pairs",
                    f"{one.target}, {one.metric.label}",
                    _turned(one.difference),
                    _minus(recipe[one.target], one.seeds),
                    1.0 if one.metric.higher_is_better else -1.0,
                )
            )
    own = next((place.seeds for place in geometry if place.arm == BASE), ())
    for place in geometry:
        if place.arm in RANKS and place.rank_difference is not None:
            claim, sign = RANKS[place.arm]
            gap = _turned(place.rank_difference)
            seeds = _minus(own, place.seeds)
            found.append(_ordering(claim, "effective rank, centred", gap, seeds, sign))
    return found


def _ordering(
    claim: str, measure: str, gap: Interval, seeds: tuple[float, ...], sign: float
) -> Ordering:
    """The verdict on recipe minus arm, which was published to have `sign`."""
    verdict = UNDECIDED
    if gap.excludes_zero and all(one * gap.value > 0 for one in seeds):
        verdict = REPRODUCED if gap.value * sign > 0 else OPPOSITE
    return Ordering(claim, measure, gap, seeds, verdict)


def _minus(recipe: Sequence[float], arm: Sequence[float]) -> tuple[float, ...]:
    """Seed by seed: runs of one seed share the order of participants, pairs and views."""
    return tuple(a - b for a, b in zip(recipe, arm, strict=True))


def _turned(gap: Interval) -> Interval:
    """Arm minus recipe as recipe minus arm."""
    return Interval(
        -gap.value, -gap.high, -gap.low, gap.level, gap.n_participants, gap.n_records, gap.method,
        gap.degenerate,
    )  # fmt: skip
