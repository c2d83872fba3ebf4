"""Audit: does a participant stand on both sides of a boundary that must separate participants?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table, plural

AUDIT: Final = "overlap"


def participant_overlap(
    participants: np.ndarray,
    splits: np.ndarray,
    *,
    sides: Mapping[str, Collection[str]] | None = None,
    boundaries: Collection[tuple[str, str]] = (),
) -> list[Finding]:
    """Intersect the participants of every two splits, and of further pairs of sides.

    Every two splits must be disjoint. The question is asked record by record, so that a
    participant whose records went to two splits is found too.

    Args:
        participants: Participant of each record, shape (records,).
        splits: Split of each record, shape (records,); `""` for a record without one.
        sides: Further sets of participants by name, such as those that an encoder was trained on.
        boundaries: Pairs of names (splits or sides) that must share nobody as well.

    Returns:
        One finding, and a second one when participants have no split.

    >>> found = participant_overlap(np.array(["a", "a"]), np.array(["train", "test"]))
    >>> found[0].severity.value, found[0].participants
    ('critical', ('a',))
    """
    members: dict[str, set[str]] = defaultdict(set)
    for participant, split in zip(participants.tolist(), splits.tolist(), strict=True):
        members[split].add(participant)
    unassigned = members.pop("", set())
    pairs = [*combinations(sorted(members), 2), *boundaries]
    members |= {name: set(names) for name, names in (sides or {}).items()}
    empty: set[str] = set()
    shared = {
        pair: sorted(members.get(pair[0], empty) & members.get(pair[1], empty)) for pair in pairs
    }
    found = [_judge(shared, members, participants)]
    if unassigned:
        found.append(_without_split(unassigned, participants))
    return found


def _judge(
    shared: Mapping[tuple[str, str], list[str]],
    members: Mapping[str, set[str]],
    participants: np.ndarray,
) -> Finding:
    crossing = sorted({name for names in shared.values() for name in names})
    rows = tuple(
        (f"{left} | {right}", len(members.get(left, ())), len(members.get(right, ())), len(names))
        for (left, right), names in shared.items()
    )
    if not shared:
        title = "There is only one split: no boundary to check"
    elif crossing:
        worst = max(shared, key=lambda pair: len(shared[pair]))
        title = (
            f"{plural(len(crossing), 'participant')} on both sides of a boundary, "
            f"first of all {worst[0]} | {worst[1]}"
        )
    else:
        title = f"No participant on both sides of any of {plural(len(shared), 'boundary')}"
        title = title.replace("boundarys", "boundaries")
    advice = (
        "Assign splits by participant, exclude these participants from scoring, and repeat "
        "every score: those at hand are optimistic."
        if crossing
        else "Nothing to do."
        if shared
        else "Keep some participants back from pretraining, so that scores mean something."
    )
    severity = Severity.CRITICAL if crossing else Severity.OK if shared else Severity.WARNING
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure="participants on both sides",
        value=len(crossing),
        threshold=1,
        n_participants=len(set(participants.tolist())),
        n_records=len(participants),
        advice=advice,
        participants=tuple(crossing),
        table=Table(
            title="Boundaries",
            columns=("boundary", "participants left", "participants right", "on both sides"),
            rows=rows,
        )
        if rows
        else None,
    )


def _without_split(unassigned: set[str], participants: np.ndarray) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.WARNING,
        title=f"{plural(len(unassigned), 'participant')} without a split",
        measure="participants without a split",
        value=len(unassigned),
        threshold=1,
        n_participants=len(set(participants.tolist())),
        n_records=len(participants),
        advice="Assign every participant of the embeddings to a split, or leave them out.",
        participants=tuple(sorted(unassigned)),
    )
