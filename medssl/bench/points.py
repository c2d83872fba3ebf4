"""Points of a label curve, scored over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medssl.bench.parts import CurveConfig, Part
from medssl.bench.scores import difference
from medssl.evaluation.metrics import Metric, weighted_metric
from medssl.evaluation.predictions import Predictions, join_runs
from medssl.evaluation.scoring import each_run
from medssl.evaluation.statistics import Interval, resample
from medssl.finetuning.curve import percent

NAMES = {"bundle": "fine-tuned", "frozen": "frozen", "scratch": "from scratch"}
"""Models of a label curve, by what they start from."""
SCRATCH = NAMES["scratch"]


@dataclass(frozen=True)
class Point:
    """One model of a label curve at one share of the labels.

    Args:
        target: What is predicted.
        metric: How it is scored.
        model: Which.
        fraction: Share of the labelled training participants.
        n_fit: Participants that share is.
        interval: Mean over seeds, with its interval over test participants.
        seeds: The value of each seed.
        difference: Minus from scratch, paired; None for itself.
    """

    target: str
    metric: Metric
    model: str
    fraction: float
    n_fit: int
    interval: Interval
    seeds: tuple[float, ...]
    difference: Interval | None


def score_points(
    found: Mapping[str, Predictions], *, target: str, metric: Metric, fraction: float
) -> list[Point]:
    """Score all models at one share of the labels, on the same test participants.

    Args:
        found: Predictions by model, one run a seed; `SCRATCH` among them.
        target: What is predicted.
        metric: How it is scored.
        fraction: The share.
    """
    drawn = resample(
        {name: weighted_metric(metric, made) for name, made in found.items()},
        next(iter(found.values())).participants, seed=0,
    )  # fmt: skip
    return [
        Point(
            target=target, metric=metric, model=name, fraction=fraction,
            n_fit=made.n_fit, interval=drawn.interval(name, reading=metric.reading),
            seeds=each_run(metric, made),
            difference=difference(drawn, name, SCRATCH, metric, 0.95),
        )
        for name, made in found.items()
    ]  # fmt: skip


def score_fractions(
    part: Part, curve: CurveConfig, predicted: Callable[[float], Mapping[str, Predictions]]
) -> tuple[list[Point], list[str]]:
    """Score all models at every share of the labels.

    Args:
        part: Whose curve.
        curve: The curve.
        predicted: Predictions by model at a share, one run a seed; without `SCRATCH` where the
            share was too small to train on.

    Returns:
        Points, and notes on shares that were left out.
    """
    metric = part.metric(part.target(curve.target))
    points: list[Point] = []
    notes: list[str] = []
    for fraction in curve.fractions:
        found = predicted(fraction)
        if SCRATCH in found:
            points += score_points(found, target=curve.target, metric=metric, fraction=fraction)
        else:
            notes.append(f"{curve.target}: too few labelled participants at {percent(fraction)}.")
    return points, notes


def together(seeds: Sequence[Predictions]) -> Predictions:
    """Predictions of several seeds for the same units, as the runs of one."""
    first = seeds[0]
    order = [np.argsort(one.units) for one in seeds]
    for one, own in zip(seeds, order, strict=True):
        if not np.array_equal(one.units[own], first.units[order[0]]):
            msg = "two seeds scored different units"
            raise RuntimeError(msg)
    return join_runs(
        [
            replace(
                one,
                participants=one.participants[own], units=one.units[own], truth=one.truth[own],
                scores=one.scores[:, own], folds=one.folds[:, own], base=one.base[:, own],
            )
            for one, own in zip(seeds, order, strict=True)
        ]
    )  # fmt: skip
