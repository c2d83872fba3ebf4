"""Audit: how good are the signals, modality by modality?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table
from medssl.store.schema import MODALITY, PARTICIPANT, QUALITY

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

AUDIT: Final = "quality"


def quality(
    store: Store, rows: Rows, *, floor: float = 0.5, max_poor: float = 0.25
) -> list[Finding]:
    """Distribution of the signal quality that ingest graded, for each modality.

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
            findings.append(_judge(name, grades[mine], people[mine], floor, max_poor))
    return findings


def _judge(
    modality: str, grades: np.ndarray, people: np.ndarray, floor: float, limit: float
) -> Finding:
    poor = float((grades < floor).mean())
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    noted = poor >= limit
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if noted else Severity.OK,
        title=f"{modality}: {poor:.0%} of the records are of poor quality",
        measure=f"share of records with quality below {floor:g}",
        value=poor,
        threshold=limit,
        n_participants=len(set(people.tolist())),
        n_records=len(grades),
        advice="Raise the quality floor of the reduction, and see whether the probes improve."
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
