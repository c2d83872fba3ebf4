"""Audit: which records, and which participants, lie far from everybody else's?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table, plural
from medssl.evaluation.outlyingness import (
    MIN_TAIL,
    NEIGHBOURS,
    distance_to_others,
    robust_distance,
    tail_threshold,
)
from medssl.evaluation.shares import share_interval

if TYPE_CHECKING:
    from medssl.evaluation.embeddings import Embeddings

AUDIT: Final = "outliers"
SHOWN: Final = 50
"""Records or participants listed in a table; all are named in the finding."""


def outliers(
    embeddings: Embeddings,
    *,
    expected_false: float = 0.05,
    max_share: float = 0.02,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> list[Finding]:
    """Look for embeddings far from those of all other participants.

    Two distances are judged: the mean distance to the nearest records of *other* participants, and
    the robust Mahalanobis distance on the leading principal components. A record is named when
    either is beyond the threshold of `medssl.evaluation.outlyingness.tail_threshold`; a participant
    when the median of its records is beyond that of the participants, as when one device differs.

    Args:
        embeddings: Of any encoder.
        expected_false: Records (and participants) named by chance in clean data, for both distances
            together.
        max_share: Share of outlying records at which a warning is given instead of a note.
        neighbours: Records of others that the first distance is averaged over.
        seed: Of the robust fit and the bootstrap.

    Returns:
        One finding on records and one on participants; a single one when there are too few.
    """
    people = np.unique(embeddings.participants)
    if len(people) < MIN_TAIL:
        return [_too_few(embeddings, len(people))]
    z, owners = embeddings.values, embeddings.participants
    distances = np.stack(
        [
            distance_to_others(z, owners, neighbours=neighbours),
            robust_distance(z, owners, seed=seed),
        ]
    )
    inverse = np.unique(owners, return_inverse=True)[1]
    medians = _medians(distances, inverse, len(people))
    return [
        _records(embeddings, _ratios(distances, expected_false), max_share, expected_false, seed),
        _participants(embeddings, people, _ratios(medians, expected_false), expected_false, seed),
    ]


def _too_few(embeddings: Embeddings, count: int) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE,
        title=f"Outliers cannot be told from the rest among {plural(count, 'participant')}",
        n_participants=count,
        n_records=len(embeddings),
        advice=f"Embed at least {MIN_TAIL} participants, or look at every record.",
    )


def _ratios(distances: np.ndarray, expected_false: float) -> np.ndarray:
    """Each distance over its threshold, shape (2, n): beyond 1 is too far."""
    shared = expected_false / len(distances)
    limits = [tail_threshold(row, expected_false=shared) for row in distances]
    return np.asarray(distances / np.maximum(limits, 1e-300)[:, None])


def _medians(distances: np.ndarray, inverse: np.ndarray, count: int) -> np.ndarray:
    """Median distance of each participant's records, shape (2, participants)."""
    found = np.empty((len(distances), count))
    sizes = np.bincount(inverse, minlength=count)
    starts = np.cumsum(sizes) - sizes
    for row, values in zip(found, distances, strict=True):
        ordered = values[np.lexsort((values, inverse))]
        row[:] = 0.5 * (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2])
    return found


def _rule(expected_false: float) -> str:
    return (
        "Two distances in units of their thresholds: mean distance to the nearest records of "
        "other participants, and robust Mahalanobis distance (minimum covariance determinant on "
        f"principal components). Thresholds let {expected_false:g} through by chance in clean "
        "data whose distances have a tail no heavier than exp(-c·√t)."
    )


def _records(
    embeddings: Embeddings, ratios: np.ndarray, limit: float, expected_false: float, seed: int
) -> Finding:
    worst = ratios.max(axis=0)
    flagged = worst > 1
    share = share_interval(flagged, embeddings.participants, seed=seed)
    order = np.argsort(-worst, kind="stable")[: int(flagged.sum())]
    owners = sorted(set(embeddings.participants[order].tolist()))
    severity = Severity.OK
    if len(order):
        severity = Severity.WARNING if share.value >= limit else Severity.NOTE
    verb = "lies" if len(order) == 1 else "lie"
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=f"{plural(len(order), 'record')} of {plural(len(owners), 'participant')} {verb} far "
        "from those of all others"
        if len(order)
        else "No record lies far from those of other participants",
        measure="share of outlying records",
        value=share.value,
        low=share.low,
        high=share.high,
        threshold=limit,
        n_participants=share.n_participants,
        n_records=share.n_records,
        detail=_rule(expected_false),
        advice="Look at these records: remove what is no proper recording, and see whether "
        "scores move."
        if len(order)
        else "Nothing to do.",
        participants=tuple(owners),
        records=tuple(embeddings.records[order].tolist()),
        table=Table(
            title="Outlying records, the furthest first",
            columns=("record", "participant", "neighbour distance / limit", "robust / limit"),
            rows=tuple(
                (
                    str(embeddings.records[row]),
                    str(embeddings.participants[row]),
                    round(float(ratios[0, row]), 3),
                    round(float(ratios[1, row]), 3),
                )
                for row in order[:SHOWN]
            ),
            identifies=True,
        )
        if len(order)
        else None,
    )


def _participants(
    embeddings: Embeddings, people: np.ndarray, ratios: np.ndarray, expected_false: float, seed: int
) -> Finding:
    worst = ratios.max(axis=0)
    flagged = worst > 1
    share = share_interval(flagged, people, seed=seed)
    order = np.argsort(-worst, kind="stable")[: int(flagged.sum())]
    return Finding(
        audit=AUDIT,
        severity=Severity.WARNING if len(order) else Severity.OK,
        title=f"{plural(len(order), 'participant')} as a whole far from all others"
        if len(order)
        else "No participant as a whole lies far from the others",
        measure="share of outlying participants",
        value=share.value,
        low=share.low,
        high=share.high,
        n_participants=len(people),
        n_records=len(embeddings),
        detail="Median over the records of a participant. " + _rule(expected_false),
        advice="Find out what differs for them (device, site, settings, species) before any score "
        "is reported; leave them out or model the difference."
        if len(order)
        else "Nothing to do.",
        participants=tuple(people[order].tolist()),
        table=Table(
            title="Outlying participants, the furthest first",
            columns=("participant", "neighbour distance / limit", "robust / limit"),
            rows=tuple(
                (
                    str(people[place]),
                    round(float(ratios[0, place]), 3),
                    round(float(ratios[1, place]), 3),
                )
                for place in order[:SHOWN]
            ),
            identifies=True,
        )
        if len(order)
        else None,
    )
