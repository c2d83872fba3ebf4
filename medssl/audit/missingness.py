"""Audit: which labels and modalities do participants lack?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from medssl.audit.findings import Finding, Severity, Table, plural
from medssl.store.schema import ADDED, presence

if TYPE_CHECKING:
    import pandas as pd

AUDIT: Final = "missingness"
PREFIX: Final = presence("")


def missingness(
    participants: pd.DataFrame, *, n_records: int, max_missing: float = 0.2
) -> list[Finding]:
    """Count participants without each label and without each modality.

    Args:
        participants: A store's participants table, limited to those audited.
        n_records: Their records.
        max_missing: Share of participants without a label at which a note is given.

    Returns:
        One finding on labels, and one on modalities when there are several.
    """
    flags = [name for name in participants.columns if str(name).startswith(PREFIX)]
    modalities = [name for name in flags if participants[name].any()]
    labels = [name for name in participants.columns if name not in flags and name != ADDED]
    findings = [_labels(participants, labels, n_records, max_missing)]
    if len(modalities) > 1:
        findings.append(_modalities(participants, modalities, n_records))
    return findings


def _labels(participants: pd.DataFrame, labels: list[str], n_records: int, limit: float) -> Finding:
    count = len(participants)
    absent = {str(name): int(participants[name].isna().sum()) for name in labels}
    share = max(absent.values(), default=0) / max(count, 1)
    if not labels:
        severity, title = Severity.NOTE, "The store holds no labels of participants"
        advice = "Give the ingest stage a label table: without one nothing can be probed."
    elif share >= limit:
        worst = max(absent, key=lambda name: absent[name])
        severity = Severity.NOTE
        title = f"{worst} is missing for {plural(absent[worst], 'participant')} of {count:,}"
        advice = "Report n beside every score, and ask whether labels are missing at random."
    else:
        severity, title, advice = Severity.OK, "Labels are nearly complete", "Nothing to do."
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure="largest share of participants without a label",
        value=share if labels else None,
        threshold=limit,
        n_participants=count,
        n_records=n_records,
        advice=advice,
        table=Table(
            title="Labels",
            columns=("label", "participants with", "without"),
            rows=tuple((name, count - lacking, lacking) for name, lacking in absent.items()),
        )
        if labels
        else None,
    )


def _modalities(participants: pd.DataFrame, columns: list[str], n_records: int) -> Finding:
    present = participants[columns].fillna(value=False).astype(bool)
    together = int(present.all(axis=1).sum())
    names = [str(name).removeprefix(PREFIX) for name in columns]
    return Finding(
        audit=AUDIT,
        severity=Severity.OK if together else Severity.NOTE,
        title=f"{plural(together, 'participant')} of {len(participants):,} with all of "
        + ", ".join(names),
        measure="participants with every modality",
        value=together,
        n_participants=len(participants),
        n_records=n_records,
        advice="Nothing to do."
        if together
        else "Train one encoder a modality: no participant joins the modalities of this store.",
        table=Table(
            title="Modalities",
            columns=("modality", "participants with", "without"),
            rows=tuple(
                (name, int(present[column].sum()), int((~present[column]).sum()))
                for name, column in zip(names, columns, strict=True)
            ),
        ),
    )
