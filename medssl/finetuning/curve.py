"""The label curve: scores by fraction and start, with intervals over the test participants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from medssl.evaluation.metrics import METRICS, Metric, weighted_metric
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.scoring import each_run
from medssl.evaluation.statistics import Interval, Replicates, Verdict, resample
from medssl.finetuning.config import BUNDLE, FROZEN, SCRATCH, FinetuneConfig
from medssl.finetuning.runs import RunResult
from medssl.finetuning.scale import base_scores
from medssl.finetuning.units import LabelledUnits

MEAN: Final = "predict the mean"
PAIRS: Final = ((BUNDLE, SCRATCH), (BUNDLE, FROZEN))
"""Starts whose difference is given, where both were run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRow:
    """One metric of one start at one fraction.

    Args:
        start: What the encoder started from, or the baseline.
        fraction: Share of the labelled training participants.
        metric: Name of the metric.
        interval: Mean over the seeds, with its interval over test participants.
        seeds: The metric of each seed.
        n_fit: Fitted participants.
        n_fit_records: Their records, of the first seed.
    """

    start: str
    fraction: float
    metric: str
    interval: Interval
    seeds: tuple[float, ...]
    n_fit: int
    n_fit_records: int

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; numbers that are not finite become null."""
        return {
            "start": self.start,
            "fraction": self.fraction,
            "metric": self.metric,
            **self.interval.to_dict(),
            "seeds": [value if math.isfinite(value) else None for value in self.seeds],
            "n_fit": self.n_fit,
            "n_fit_records": self.n_fit_records,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDifference:
    """How much one start differs from another at one fraction, on the same test participants."""

    first: str
    second: str
    fraction: float
    metric: str
    interval: Interval
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """`"better"` or `"worse"` when the interval excludes zero, else `"unclear"`."""
        return self.interval.verdict(higher_is_better=self.higher_is_better)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; numbers that are not finite become null."""
        return {
            "first": self.first,
            "second": self.second,
            "fraction": self.fraction,
            "metric": self.metric,
            **self.interval.to_dict(),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Skipped:
    """A fraction that no model was fitted on, and why."""

    fraction: float
    n_fit: int
    reason: str


@dataclass(frozen=True, eq=False)
class Curve:
    """All scores of one target.

    Args:
        target: Its name.
        metrics: Its metrics, the primary one first.
        rows: Metrics with intervals.
        differences: Paired differences between starts.
        skipped: Fractions with too few participants.
        notes: How to read it.
        runs: How each run went.
    """

    target: str
    metrics: tuple[Metric, ...]
    rows: tuple[CurveRow, ...]
    differences: tuple[CurveDifference, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    runs: tuple[Mapping[str, Any], ...]

    def starts(self) -> list[str]:
        """What was run, and the baseline, in the order of the table."""
        return list(dict.fromkeys(row.start for row in self.rows))

    def find(self, start: str, fraction: float, metric: str) -> CurveRow:
        """One row.

        Raises:
            KeyError: There is no such row.
        """
        for row in self.rows:
            if (row.start, row.fraction, row.metric) == (start, fraction, metric):
                return row
        raise KeyError((start, fraction, metric))

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "target": self.target,
            "rows": [row.to_dict() for row in self.rows],
            "differences": [row.to_dict() for row in self.differences],
            "skipped": [
                {"fraction": s.fraction, "n_fit": s.n_fit, "reason": s.reason} for s in self.skipped
            ],
            "notes": list(self.notes),
            "runs": [dict(run) for run in self.runs],
        }


def score_curve(
    results: Sequence[RunResult],
    subsets: Mapping[float, Sequence[LabelledUnits]],
    test: LabelledUnits,
    config: FinetuneConfig,
    *,
    seed: int,
    skipped: Sequence[Skipped] = (),
    notes: Sequence[str] = (),
) -> tuple[Curve, dict[tuple[str, str], Predictions]]:
    """Score all runs on the same test participants.

    At each fraction every metric is averaged over the seeds; the participants of the test are
    resampled for all starts at once, so that their differences are paired.

    Args:
        results: All runs.
        subsets: The fitted units of each fraction, by seed.
        test: The scored units with their labels.
        config: Bootstrap and interval.
        seed: Of the resampling.
        skipped: Fractions that were not run.
        notes: More to tell a reader.

    Returns:
        The curve, and the predictions by (target, start and fraction).
    """
    metrics = METRICS[test.kind]
    rows: list[CurveRow] = []
    differences: list[CurveDifference] = []
    predictions: dict[tuple[str, str], Predictions] = {}
    for fraction, fitted in subsets.items():
        mine = {
            start: [r for r in results if (r.key.start, r.key.fraction) == (start, fraction)]
            for start in config.start
        }
        found: dict[str, Predictions] = {s: gather_runs(runs, test) for s, runs in mine.items()}
        found[MEAN] = _without_features(fitted, mine[config.start[0]], test)
        for start, made in found.items():
            predictions[config.target.name, f"{start}, {percent(fraction)}"] = made
        drawn = _resample(metrics, found, test, config, seed)
        for metric in metrics:
            rows += [
                CurveRow(
                    start=start, fraction=fraction, metric=metric.name,
                    interval=drawn.interval(
                        f"{metric.name}/{start}", level=config.level, reading=metric.reading
                    ),
                    seeds=each_run(metric, made),
                    n_fit=fitted[0].n_participants, n_fit_records=len(fitted[0].rows),
                )
                for start, made in found.items()
            ]  # fmt: skip
            differences += [
                CurveDifference(
                    first=first, second=second, fraction=fraction, metric=metric.name,
                    interval=drawn.difference(
                        f"{metric.name}/{first}", f"{metric.name}/{second}",
                        level=config.level, reading=metric.reading,
                    ),
                    higher_is_better=metric.higher_is_better,
                )
                for first, second in PAIRS
                if first in found and second in found
            ]  # fmt: skip
    runs = tuple(_run_facts(result) for result in results)
    curve = Curve(
        config.target.name, tuple(metrics), tuple(rows), tuple(differences), tuple(skipped),
        tuple(notes), runs,
    )  # fmt: skip
    return curve, predictions


def percent(fraction: float) -> str:
    """A share as readers see it.

    >>> percent(0.25), percent(0.005)
    ('25 %', '0.5 %')
    """
    return f"{100 * fraction:g} %"


def gather_runs(runs: Sequence[RunResult], test: LabelledUnits) -> Predictions:
    """Predictions of the test units by several runs."""
    scores = np.stack([run.scale.scores(run.natural) for run in runs])
    base = np.stack([np.broadcast_to(run.base, run.natural.shape) for run in runs])
    return _predictions(scores, base, min(run.n_fit for run in runs), test)


def _without_features(
    fitted: Sequence[LabelledUnits], runs: Sequence[RunResult], test: LabelledUnits
) -> Predictions:
    base = np.stack(
        [
            np.broadcast_to(base_scores(units, run.scale), run.natural.shape)
            for units, run in zip(fitted, runs, strict=True)
        ]
    )
    return _predictions(base, base, fitted[0].n_participants, test)


def _predictions(
    scores: np.ndarray, base: np.ndarray, n_fit: int, test: LabelledUnits
) -> Predictions:
    return Predictions(
        kind=test.kind,
        participants=test.participants,
        truth=test.values,
        scores=scores,
        folds=np.zeros(scores.shape[:2], dtype=np.int64),
        base=base,
        n_fit=n_fit,
        n_records=len(test.rows),
        classes=test.classes,
        units=test.names,
    )


def _resample(
    metrics: Sequence[Metric],
    found: Mapping[str, Predictions],
    test: LabelledUnits,
    config: FinetuneConfig,
    seed: int,
) -> Replicates:
    functions = {
        f"{metric.name}/{start}": weighted_metric(metric, predictions)
        for metric in metrics
        for start, predictions in found.items()
    }
    return resample(
        functions, test.participants, replicates=config.bootstrap, seed=seed,
        n_records=len(test.rows), method=config.interval,
    )  # fmt: skip


def _run_facts(result: RunResult) -> dict[str, Any]:
    return {
        "start": result.key.start,
        "fraction": result.key.fraction,
        "seed": result.key.seed,
        "n_fit": result.n_fit,
        "best_step": result.training.best_step,
        "steps": result.training.steps,
        "validation_loss": result.training.best_loss,
        "history": [list(entry) for entry in result.training.history],
    }
