"""Audit: how good are the signals, modality by modality?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table
from medssl.store.schema import GRADES, MODALITY, PARTICIPANT, QUALITY
from medssl.types import Modality

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

AUDIT: Final = "quality"

MIN_TEMPLATE: Final = {Modality.ECG: 0.6, Modality.PPG: 0.8}
"""Noise filtered like a PPG is like itself from wave to wave, so PPG needs more."""
MAX_SHARES: Final = {"flat": 0.1, "clipped": 0.05, "missing": 0.1}
"""Limits that good segments of any device keep to; skewness and kurtosis differ too much."""


def quality(
    store: Store, rows: Rows, *, floor: float = 0.5, max_poor: float = 0.25
) -> list[Finding]:
    """Distribution of the signal quality that ingest graded, for each modality.

    It also names the components of quality that are beyond `MIN_TEMPLATE` and `MAX_SHARES` most
    often.

    Args:
        store: The store.
        rows: Records to look at.
        floor: Quality below which a record counts as poor.
        max_poor: Share of poor records at which a note is given.

    Returns:
        One finding for each modality with graded records.
    """
    grades = store.column(QUALITY, rows).astype(np.float64)
    modalities = store.column(MODALITY, rows).astype(str)
    people = store.column(PARTICIPANT, rows).astype(str)
    findings = []
    for name in sorted(set(modalities.tolist())):
        mine = (modalities == name) & np.isfinite(grades)
        if mine.any():
            failing = _failing(store, rows[mine], name)
            findings.append(_judge(name, grades[mine], people[mine], failing, floor, max_poor))
    return findings


def _failing(store: Store, rows: Rows, modality: str) -> dict[str, float]:
    """Share of records with a component beyond its limit, largest first; none at 0."""
    values = {name: store.column(column, rows).astype(float) for name, column in GRADES.items()}
    lowest = MIN_TEMPLATE.get(Modality(modality), -np.inf)
    shares = {"template": float((values["template"] < lowest).mean())}
    shares |= {name: float((values[name] > most).mean()) for name, most in MAX_SHARES.items()}
    order = sorted(shares, key=lambda name: -shares[name])
    return {name: shares[name] for name in order if shares[name] > 0}


def _judge(
    modality: str,
    grades: np.ndarray,
    people: np.ndarray,
    failing: dict[str, float],
    floor: float,
    limit: float,
) -> Finding:
    poor = float((grades < floor).mean())
    named = ", ".join(f"{name} in {share:.1%}" for name, share in failing.items())
    ranges = f", or give ranges of {' and '.join(failing)} (reduce.quality)" if failing else ""
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    noted = poor >= limit
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if noted else Severity.OK,
        title=f"{modality}: {poor:.0%} of the records are of poor quality"
        + (f"; out of range: {named}" if named else ""),
        measure=f"share of records with quality below {floor:g}",
        value=poor,
        threshold=limit,
        n_participants=len(set(people.tolist())),
        n_records=len(grades),
        advice=f"Raise the quality floor of the reduction{ranges}; see whether the probes improve."
        if noted
        else "Nothing to do.",
        table=Table(
            title=f"Quality of {modality} records",
            columns=("quantile", "quality"),
            rows=tuple(
                (f"{at:.0%}", float(value))
                for at, value in zip(quantiles, np.quantile(grades, quantiles), strict=True)
            ),
        ),
    )
