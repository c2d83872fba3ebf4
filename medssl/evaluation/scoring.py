"""From predictions to rows with intervals: one metric, one set of features, one target each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from medssl.evaluation.baselines import MEAN
from medssl.evaluation.cases import Case
from medssl.evaluation.metrics import METRICS, Metric, weighted_metric
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.statistics import METHODS, Interval, Reading, resample
from medssl.evaluation.tables import DifferenceRow, ProbeRow

ENCODER: Final = "encoder"
DEGENERATE: Final = 0.1
"""Share of replicates drawn again above which a row says so."""
_SEPARATOR: Final = "\0"


def score(
    case: Case,
    remarks: Mapping[str, Sequence[str]],
    found: Mapping[str, Predictions],
    variants: Sequence[str],
    config: ProbeConfig,
) -> tuple[list[ProbeRow], list[DifferenceRow]]:
    """Every metric of every set of features, and the encoder, if there is one, against all others.

    Args:
        case: The target, and who was scored.
        remarks: Every set of features in the order of the table, with what to note beside it.
        found: Predictions by features; those that could not be made are absent.
        variants: Features that are other readings of the same encoder, and no baselines.
        config: Bootstrap and interval.
    """
    metrics = METRICS[case.target.kind]
    functions = {
        _SEPARATOR.join((metric.name, name)): weighted_metric(metric, predictions)
        for metric in metrics
        for name, predictions in found.items()
    }
    drawn = resample(
        functions,
        case.participants[case.scored],
        replicates=config.bootstrap,
        seed=config.seed,
        n_records=case.n_records,
        method=config.interval,
    )
    rows: list[ProbeRow] = []
    differences: list[DifferenceRow] = []
    for metric in metrics:
        own = _SEPARATOR.join((metric.name, ENCODER))
        reading = metric.reading
        for name, notes in remarks.items():
            key = _SEPARATOR.join((metric.name, name))
            interval = (
                _within(drawn.interval(key, level=config.level, reading=reading), reading)
                if name in found
                else _no_interval(case, config)
            )
            rows.append(
                _row(case, name, metric, interval, found.get(name), notes, config.bootstrap)
            )
            if name in found and name != ENCODER and ENCODER in found:
                differences.append(
                    DifferenceRow(
                        target=case.target.name,
                        metric=metric.name,
                        features=ENCODER,
                        baseline=name,
                        interval=drawn.difference(own, key, level=config.level, reading=reading),
                        higher_is_better=metric.higher_is_better,
                        variant=name in variants,
                    )
                )
    return rows, differences


def _row(
    case: Case,
    name: str,
    metric: Metric,
    interval: Interval,
    predictions: Predictions | None,
    notes: Sequence[str],
    replicates: int,
) -> ProbeRow:
    without_features = name == MEAN or predictions is None
    remarks = (
        (*notes, _remark(interval, replicates) if predictions else "")
        if not case.problem
        else (case.problem,)
    )
    return ProbeRow(
        target=case.target.name,
        features=name,
        metric=metric.name,
        interval=interval,
        n_fit=case.n_fit if predictions is None else predictions.n_fit,
        n_score=case.n_score,
        n_pretrained=case.n_pretrained,
        alpha=math.nan if without_features or predictions is None else predictions.penalty,
        note="; ".join(note for note in remarks if note),
        label=metric.label,
    )


def _remark(interval: Interval, replicates: int) -> str:
    """What is wrong with an interval; empty when nothing is."""
    if not math.isfinite(interval.value):
        return "undefined on those scored"
    if not math.isfinite(interval.low):
        return "no interval: hardly any replicate of the participants has every metric defined"
    if interval.degenerate > DEGENERATE * replicates:
        return (
            f"{interval.degenerate} replicates without some class or event were drawn again: "
            "the interval is rough"
        )
    return ""


def _within(interval: Interval, reading: Reading | None) -> Interval:
    """A basic interval of what is at least 0, stretched to its value where that lies outside."""
    if reading is None or not math.isfinite(interval.low):
        return interval
    low, high = (max(0.0, end) for end in (interval.low, interval.high))
    return replace(interval, low=min(low, interval.value), high=max(high, interval.value))


def _no_interval(case: Case, config: ProbeConfig) -> Interval:
    return Interval(
        math.nan, math.nan, math.nan, config.level, case.n_score, case.n_records,
        METHODS[config.interval],
    )  # fmt: skip


def each_run(metric: Metric, predictions: Predictions) -> tuple[float, ...]:
    """The metric of each run alone, on all scored rows."""
    everyone = np.ones((1, len(predictions.participants)))
    return tuple(
        float(weighted_metric(metric, predictions.run(number))(everyone)[0])
        for number in range(len(predictions.scores))
    )
