"""Scores of arms and baselines, with intervals over participants and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medssl.evaluation.cases import Case
from medssl.evaluation.metrics import Metric, weighted_metric
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.scoring import each_run
from medssl.evaluation.statistics import Interval, Method, Replicates, resample


@dataclass(frozen=True)
class Score:
    """One metric of one target for one set of features.

    Args:
        target: What is predicted.
        metric: How it is scored.
        features: Name of the arm or baseline.
        interval: Mean over seeds, with its interval over participants.
        seeds: The value of each seed.
        difference: Minus the published recipe, paired; None for itself.
        n_fit: Fitted participants.
    """

    target: str
    metric: Metric
    features: str
    interval: Interval
    seeds: tuple[float, ...]
    difference: Interval | None
    n_fit: int

    @property
    def verdict(self) -> str:
        """Against the base: `"better"`, `"worse"`, `"unclear"`; empty for itself."""
        if self.difference is None:
            return ""
        return self.difference.verdict(higher_is_better=self.metric.higher_is_better)


def score_case(
    case: Case, metric: Metric, found: Mapping[str, Predictions], config: ProbeConfig, *, base: str
) -> list[Score]:
    """Score all predictions of one target on the same participants.

    Args:
        case: The target, and who is scored.
        metric: How.
        found: Predictions by arm or baseline, one run a seed.
        config: Bootstrap.
        base: What the others are compared with.
    """
    return score_found(
        case.target.name, metric, found, case.participants[case.scored], base=base,
        replicates=config.bootstrap, seed=config.seed, level=config.level, method=config.interval,
        records=case.n_records,
    )  # fmt: skip


def score_found(
    target: str,
    metric: Metric,
    found: Mapping[str, Predictions],
    participants: np.ndarray,
    *,
    base: str,
    replicates: int,
    seed: int,
    level: float,
    method: Method,
    records: int,
) -> list[Score]:
    """As `score_case`, of predictions that no case stands behind.

    Args:
        target: Name of what is predicted.
        metric: How it is scored.
        found: Predictions by arm or baseline, one run a seed.
        participants: Participant of each scored row.
        base: What the others are compared with.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        level: Confidence level.
        method: How intervals are made.
        records: Records behind the rows.
    """
    drawn = resample(
        {name: weighted_metric(metric, predictions) for name, predictions in found.items()},
        participants, replicates=replicates, seed=seed, n_records=records, method=method,
    )  # fmt: skip
    return [
        Score(
            target=target, metric=metric, features=name,
            interval=drawn.interval(name, level=level, reading=metric.reading),
            seeds=each_run(metric, predictions),
            difference=difference(drawn, name, base, metric, level), n_fit=predictions.n_fit,
        )
        for name, predictions in found.items()
    ]  # fmt: skip


def difference(
    drawn: Replicates, first: str, second: str, metric: Metric, level: float
) -> Interval | None:
    """Interval of first − second; None for one and the same."""
    if first == second:
        return None
    return drawn.difference(first, second, level=level, reading=metric.reading)
