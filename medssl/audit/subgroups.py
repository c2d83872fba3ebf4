"""Audit: does a probe serve every group of participants equally well?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd

from medssl.audit.findings import Finding, Severity, Table, plural
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.probe import weighted_metric
from medssl.evaluation.probes import Predictions
from medssl.evaluation.statistics import Replicates, WeightedMetric, resample

AUDIT: Final = "subgroups"
MIN_CLASS: Final = 5
"""Participants of each class that a group needs for an AUROC."""
SAME: Final = 0.5


def subgroup_gap(
    predictions: Predictions,
    groups: Mapping[str, str],
    *,
    target: str,
    attribute: str,
    min_participants: int = 20,
    max_auroc_gap: float = 0.1,
    max_relative_gap: float = 0.25,
    seed: int = 0,
) -> list[Finding]:
    """AUROC (targets of 0 and 1) or MAE (numbers) of a probe in each group, and the largest gap.

    The gap has a bootstrap interval over participants, Bonferroni-corrected for all pairs of
    groups. It is a warning when it reaches the threshold and its interval leaves zero out, and a
    note when the threshold is reached but the interval says that it may be chance.

    Args:
        predictions: Out-of-sample predictions of one target.
        groups: Participant → group; participants without one are left out.
        target: Name of what is predicted.
        attribute: Name of the grouping, such as `"sex"`.
        min_participants: Groups with fewer are listed, not judged.
        max_auroc_gap: Threshold of a gap in AUROC.
        max_relative_gap: Threshold of a gap in MAE, as a fraction of the MAE of everyone.
        seed: Of the bootstrap.

    Returns:
        One finding; none when the groups are the target under another name, that is, when they
        explain more than `SAME` of its variance.
    """
    people = predictions.participants.astype(str)
    of = np.array([groups.get(name, "") for name in people])
    if _explained(predictions.truth, of) > SAME:
        return []
    binary = bool(np.isin(predictions.truth, (0, 1)).all())
    names = sorted(set(of.tolist()) - {""})
    judged = [name for name in names if _enough(predictions, of == name, binary, min_participants)]
    metrics = {name: _metric(predictions, of == name, binary) for name in judged}
    everyone = np.ones(len(of), dtype=bool)
    overall = float(_metric(predictions, everyone, binary)(np.ones((1, len(of))))[0])
    drawn = resample(metrics, people, seed=seed) if metrics else None
    measure = "AUROC" if binary else "MAE"
    count = len(set(people[of != ""].tolist()))
    table = _table(names, drawn, of, people, measure=measure, target=target, attribute=attribute)
    if drawn is None or len(judged) < 2:
        return [
            Finding(
                audit=AUDIT,
                severity=Severity.NOTE,
                title=f"{target} by {attribute}: too few participants for a comparison",
                measure=f"largest gap in {measure}",
                n_participants=count,
                n_records=predictions.n_records,
                detail=_rule(min_participants, binary),
                advice="Collect or label more participants of the smaller groups.",
                table=table,
            )
        ]
    pairs = list(combinations(judged, 2))
    first, second = max(pairs, key=lambda pair: abs(drawn.values[pair[0]] - drawn.values[pair[1]]))
    if drawn.values[first] < drawn.values[second]:
        first, second = second, first
    gap = drawn.difference(first, second, level=1 - 0.05 / len(pairs))
    limit = max_auroc_gap if binary else max_relative_gap * overall
    severity = Severity.OK
    if gap.value >= limit:
        severity = Severity.WARNING if gap.low > 0 else Severity.NOTE
    worse = second if binary else first
    advice = {
        Severity.OK: "Nothing to do.",
        Severity.NOTE: "Repeat with more participants: this gap may be chance.",
        Severity.WARNING: f"Do not report one score for all: give {attribute} = {worse} its own "
        "row, and look for the cause in its data.",
    }[severity]
    title = (
        f"{target} is predicted less well for {attribute} = {worse}: "
        f"gap of {gap.value:.2f} in {measure}"
        if severity is not Severity.OK
        else f"{target} is predicted about equally well for every {attribute}"
    )
    return [
        Finding(
            audit=AUDIT,
            severity=severity,
            title=title,
            measure=f"largest gap in {measure}",
            value=gap.value,
            low=gap.low,
            high=gap.high,
            threshold=limit,
            n_participants=count,
            n_records=predictions.n_records,
            detail=f"{_rule(min_participants, binary)} Interval: participant bootstrap, "
            f"Bonferroni-corrected for {plural(len(pairs), 'pair')} of groups.",
            advice=advice,
            table=table,
        )
    ]


def _explained(truth: np.ndarray, of: np.ndarray) -> float:
    """Share of the target's variance that lies between the groups."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    if not spread > 0:
        return 0.0
    means = np.array([truth[of == name].mean() for name in of])
    return float(((means - truth.mean()) ** 2).sum()) / spread


def predictions_from_frame(frame: pd.DataFrame) -> dict[tuple[str, str], Predictions]:
    """Predictions by (target, features) from the table of `ProbeTable.predictions_to_pandas`.

    That table holds the mean over repeats, so that an AUROC compares participants across folds
    and can differ in the third digit from the probe table's.
    """
    return {
        (str(key[0]), str(key[1])): Predictions(
            participants=part["participant"].to_numpy(dtype=np.str_),
            truth=part["truth"].to_numpy(dtype=np.float64),
            scores=part["score"].to_numpy(dtype=np.float64)[None],
            folds=np.zeros((1, len(part)), dtype=np.int64),
            alphas=np.ones(1),
            n_fit=0,
            n_records=len(part),
        )
        for key, part in frame.groupby(["target", "features"], sort=False)
    }


def _rule(least: int, binary: bool) -> str:
    classes = f", {MIN_CLASS} of each class" if binary else ""
    return f"Groups need {least} participants{classes} to be judged."


def _enough(predictions: Predictions, mask: np.ndarray, binary: bool, least: int) -> bool:
    count = len(set(predictions.participants[mask].tolist()))
    if not binary:
        return count >= least
    positive = int(predictions.truth[mask].sum())
    return count >= least and min(positive, int(mask.sum()) - positive) >= MIN_CLASS


def _metric(predictions: Predictions, mask: np.ndarray, binary: bool) -> WeightedMetric:
    group = replace(
        predictions,
        participants=predictions.participants[mask],
        truth=predictions.truth[mask],
        scores=predictions.scores[:, mask],
        folds=predictions.folds[:, mask],
    )
    inner = weighted_metric(METRICS["binary" if binary else "regression"][0], group)
    return lambda weights: inner(weights[:, mask])


def _table(
    names: list[str],
    drawn: Replicates | None,
    of: np.ndarray,
    people: np.ndarray,
    *,
    measure: str,
    target: str,
    attribute: str,
) -> Table:
    rows: list[tuple[str | int | float | None, ...]] = []
    for name in names:
        count = len(set(people[of == name].tolist()))
        if drawn is None or name not in drawn.values:
            rows.append((name, count, None, None, None))
        else:
            interval = drawn.interval(name)
            rows.append((name, count, interval.value, interval.low, interval.high))
    return Table(
        title=f"{target} by {attribute}",
        columns=(attribute, "participants", measure, "95 % low", "high"),
        rows=tuple(rows),
    )
