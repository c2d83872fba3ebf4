"""Audit: is the same signal stored twice, and under two participants?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Pair, Severity, Table, plural
from medssl.store.schema import CONTENT_DIGEST, PARTICIPANT, QUALITY, RECORD

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

AUDIT: Final = "exact_duplicates"
SHOWN: Final = 50
"""Groups listed in a table; all are named in `records`."""


def exact_duplicates(
    store: Store, rows: Rows, *, splits: Mapping[str, str], kept: Rows | None = None
) -> list[Finding]:
    """Group records by the digest of their content.

    Only the index is read, but for the groups whose quality is 0: one record of each is looked at,
    because constant signals are equal without saying anything about whose they are.

    Args:
        store: The store.
        rows: Records to compare, shape (records,).
        splits: Participant → split.
        kept: Rows that a reduction kept; None when all are in use.

    Returns:
        One finding on duplicates across participants (critical when copies in use stand in two
        splits) and one on duplicates inside participants.
    """
    digests = store.column(CONTENT_DIGEST, rows)
    people = store.column(PARTICIPANT, rows).astype(str)
    groups = _groups(digests)
    across = [group for group in groups if len(set(people[group])) > 1]
    across = [group for group in across if not _is_constant(store, rows[group])]
    used = np.isin(rows, kept) if kept is not None else np.ones(len(rows), dtype=bool)
    inside = sum(_repeats(people[group[used[group]]]) for group in groups)
    names = store.column(RECORD, rows).astype(str)
    n_participants = len(set(people.tolist()))
    return [
        _across(across, people=people, names=names, splits=splits, used=used),
        _inside(inside, n_records=int(used.sum()), n_participants=n_participants),
    ]


def _groups(digests: np.ndarray) -> list[np.ndarray]:
    _, inverse, counts = np.unique(digests.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    pieces = np.split(order, np.cumsum(counts)[:-1])
    return sorted((piece for piece in pieces if len(piece) > 1), key=lambda piece: int(piece[0]))


def _repeats(people: np.ndarray) -> int:
    """Records of a group beyond the first one of each participant."""
    return len(people) - len(set(people.tolist()))


def _is_constant(store: Store, rows: Rows) -> bool:
    quality = store.column(QUALITY, rows[:1])[0]
    if quality is None or quality != 0:
        return False
    data = store.read_record(int(rows[0]))
    return isinstance(data, np.ndarray) and bool(np.all(data == data.reshape(-1)[:1]))


def _across(
    groups: list[np.ndarray],
    *,
    people: np.ndarray,
    names: np.ndarray,
    splits: Mapping[str, str],
    used: np.ndarray,
) -> Finding:
    involved = sorted({name for group in groups for name in people[group].tolist()})
    in_use = [group[used[group]] for group in groups]
    crossing = [g for g in in_use if len({splits.get(p, "") for p in people[g].tolist()}) > 1]
    open_ = [group for group in in_use if len(set(people[group].tolist())) > 1]
    if not groups:
        severity, title = Severity.OK, "No two participants share an identical signal"
        advice = "Nothing to do."
    else:
        severity = Severity.CRITICAL if crossing else Severity.WARNING
        state = f", {len(crossing)} across splits" if crossing else ""
        state = state if open_ else ", no longer used under both after the reduction"
        title = (
            f"{plural(len(groups), 'signal')} stored under more than one participant "
            f"({plural(len(involved), 'participant')}{state})"
        )
        advice = (
            "Find out in the source whose signal it is and remove the other copies from the raw "
            "data: until then one of the participants has a signal with another's labels."
        )
    table = Table(
        title="Identical signals",
        columns=("participants", "splits", "records"),
        rows=tuple(
            (
                ", ".join(sorted(set(people[group].tolist()))),
                ", ".join(sorted({splits.get(p, "none") for p in people[group].tolist()})),
                ", ".join(names[group].tolist()),
            )
            for group in groups[:SHOWN]
        ),
        identifies=True,
    )
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure="signals under more than one participant",
        value=len(groups),
        threshold=1,
        n_participants=len(set(people.tolist())),
        n_records=len(names),
        detail="Equal content digests in the store's index; constant signals are left out.",
        advice=advice,
        participants=tuple(involved),
        records=tuple(name for group in groups for name in names[group].tolist()),
        pairs=tuple(_pair(group, people=people, names=names) for group in groups[:SHOWN]),
        table=table if groups else None,
        figure="overlay-exact" if groups else None,
    )


def _pair(group: np.ndarray, *, people: np.ndarray, names: np.ndarray) -> Pair:
    other = group[people[group] != people[group[0]]][0]
    return Pair(left=str(names[group[0]]), right=str(names[other]))


def _inside(repeats: int, *, n_records: int, n_participants: int) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if repeats else Severity.OK,
        title=f"{plural(repeats, 'record')} repeat a signal of the same participant"
        if repeats
        else "No participant has the same signal twice",
        measure="repeated records",
        value=repeats,
        threshold=1,
        n_participants=n_participants,
        n_records=n_records,
        advice="Let the reduction keep one of each: equal signals make an idle positive pair."
        if repeats
        else "Nothing to do.",
    )
