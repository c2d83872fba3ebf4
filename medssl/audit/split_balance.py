"""Audit: are the splits alike in age and sex?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table
from medssl.evaluation.statistics import Interval, WeightedMetric, bootstrap
from medssl.sampling.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

AUDIT: Final = "split_balance"
AGE: Final = "age"
SEX: Final = "sex"
MIN_PARTICIPANTS: Final = 5


def split_balance(
    participants: pd.DataFrame,
    splits: Mapping[str, str],
    records: Mapping[str, int],
    *,
    max_difference: float = 0.5,
    seed: int = 0,
) -> list[Finding]:
    """Participants, records, age and sex of each split, and the largest difference to the first.

    Differences are standardised: of means for age, of shares for sex, over the standard deviation
    of everyone, with a bootstrap interval over participants.

    Args:
        participants: Labels, indexed by pseudonym; `age` and `sex` are used where present.
        splits: Participant → split.
        records: Participant → number of records.
        max_difference: Standardised difference at which a warning is given, if its interval
            excludes zero.
        seed: Of the bootstrap.

    Returns:
        One finding.
    """
    people = [name for name in records if name in splits]
    present = {splits[name] for name in people}
    names = sorted(present, key=lambda s: (SPLITS.index(s) if s in SPLITS else len(SPLITS), s))
    of = np.array([splits[name] for name in people])
    columns = _measures(participants, people)
    table = Table(
        title="Splits",
        columns=("split", "participants", "records", *columns),
        rows=tuple(
            (
                name,
                int((of == name).sum()),
                sum(records[p] for p in people if splits[p] == name),
                *(_mean(values[of == name]) for values in columns.values()),
            )
            for name in names
        ),
    )
    empty = [name for name in names if (of == name).sum() < MIN_PARTICIPANTS]
    worst = _worst(columns, of, names, seed)
    value, low, high = (worst[1].value, worst[1].low, worst[1].high) if worst else (None,) * 3
    severity, title, advice = Severity.OK, "The splits are alike", "Nothing to do."
    if not worst:
        title = "Splits: no age or sex to compare"
    elif value is not None and value >= max_difference and low is not None and low > 0:
        severity = Severity.WARNING
        title = f"The splits differ in {worst[0]}"
        advice = "Stratify the splits by this label, or report scores adjusted for it."
    if empty and severity is Severity.OK:
        severity = Severity.NOTE
        title = f"Fewer than {MIN_PARTICIPANTS} participants in {', '.join(empty)}"
        advice = "Give this split a larger fraction, or cross-validate instead of holding out."
    return [
        Finding(
            audit=AUDIT,
            severity=severity,
            title=title,
            measure="largest standardised difference between splits",
            value=value,
            low=low,
            high=high,
            threshold=max_difference,
            n_participants=len(people),
            n_records=sum(records[name] for name in people),
            advice=advice,
            table=table,
            figure="splits",
        )
    ]


def _measures(participants: pd.DataFrame, people: list[str]) -> dict[str, np.ndarray]:
    labels = participants.reindex(people)
    found: dict[str, np.ndarray] = {}
    if AGE in labels:
        found["mean age"] = labels[AGE].to_numpy(dtype=np.float64, na_value=np.nan)
    if SEX in labels:
        known = labels[SEX].notna().to_numpy()
        categories = sorted({str(value) for value in labels[SEX][known]})
        if len(categories) == 2:
            share = (labels[SEX].astype(str) == categories[0]).to_numpy(dtype=np.float64)
            found[f"share {SEX} = {categories[0]}"] = np.where(known, share, np.nan)
    return found


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _worst(
    columns: Mapping[str, np.ndarray], of: np.ndarray, names: list[str], seed: int
) -> tuple[str, Interval] | None:
    """The largest standardised difference between the first split and another one."""
    found = []
    for title, values in columns.items():
        for name in names[1:]:
            both = np.isfinite(values) & ((of == names[0]) | (of == name))
            left, right = values[both & (of == names[0])], values[both & (of == name)]
            scale = float(np.nanstd(values))
            if min(len(left), len(right)) < MIN_PARTICIPANTS or not scale > 0:
                continue
            sign = 1.0 if left.mean() >= right.mean() else -1.0
            x, first = values[both], of[both] == names[0]
            interval = bootstrap(_difference(x, first, sign / scale), np.arange(len(x)), seed=seed)
            found.append((f"{title} ({names[0]} against {name})", interval))
    return max(found, key=lambda item: item[1].value, default=None)


def _difference(x: np.ndarray, first: np.ndarray, factor: float) -> WeightedMetric:
    def difference(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            left = weights[:, first] @ x[first] / weights[:, first].sum(1)
            right = weights[:, ~first] @ x[~first] / weights[:, ~first].sum(1)
        return np.asarray(factor * (left - right))

    return difference
