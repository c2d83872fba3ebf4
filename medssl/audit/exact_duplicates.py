"""Audit: is the same signal or image stored twice, and under two participants?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Pair, Severity, Table, plural
from medssl.audit.nouns import article, noun_of
from medssl.store.schema import CONTENT_DIGEST, MODALITY, PARTICIPANT, QUALITY, RECORD
from medssl.types import Kind

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

    Only the index is read, but for the groups whose quality is 0 or unknown: one record of each is
    looked at, because constant signals and images are equal without saying anything about whose
    they are. Reports are left to `near_duplicates`: many people are told the same.

    Args:
        store: The store.
        rows: Records to compare, shape (records,).
        splits: Participant → split.
        kept: Rows that a reduction kept; None when all are in use.

    Returns:
        One finding on duplicates across participants (critical when copies in use stand in two
        splits) and one on duplicates inside participants; none where there are reports alone.
    """
    rows = rows[~np.isin(store.column(MODALITY, rows).astype(str), Kind.TEXT.modalities)]
    if len(rows) == 0:
        return []
    digests = store.column(CONTENT_DIGEST, rows)
    people = store.column(PARTICIPANT, rows).astype(str)
    groups = _groups(digests)
    across = [group for group in groups if len(set(people[group])) > 1]
    across = [group for group in across if not _is_constant(store, rows[group])]
    used = np.isin(rows, kept) if kept is not None else np.ones(len(rows), dtype=bool)
    inside = sum(_repeats(people[group[used[group]]]) for group in groups)
    names = store.column(RECORD, rows).astype(str)
    noun, n_participants = noun_of(store, rows), len(set(people.tolist()))
    return [
        _across(across, noun, people=people, names=names, splits=splits, used=used),
        _inside(inside, noun, n_records=int(used.sum()), n_participants=n_participants),
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
    if quality > 0:  # unknown is no number
        return False
    data = store.read_record(int(rows[0]))
    return isinstance(data, np.ndarray) and bool(np.all(data == data.reshape(-1)[:1]))


def _across(
    groups: list[np.ndarray],
    noun: str,
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
        severity, title = Severity.OK, f"No two participants share an identical {noun}"
        advice = "Nothing to do."
    else:
        severity = Severity.CRITICAL if crossing else Severity.WARNING
        state = f", {len(crossing)} across splits" if crossing else ""
        state = state if open_ else ", no longer used under both after the reduction"
        title = (
            f"{plural(len(groups), noun)} stored under more than one participant "
            f"({plural(len(involved), 'participant')}{state})"
        )
        advice = (
            f"Find out in the source whose {noun} it is and remove the other copies from the raw "
            f"data: until then one of the participants has {article(noun)} with another's labels."
        )
    table = Table(
        title=f"Identical {noun}s",
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
        measure=f"{noun}s under more than one participant",
        value=len(groups),
        threshold=1,
        n_participants=len(set(people.tolist())),
        n_records=len(names),
        detail="Equal content digests in the store's index; constant ones are left out.",
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


def _inside(repeats: int, noun: str, *, n_records: int, n_participants: int) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if repeats else Severity.OK,
        title=f"{plural(repeats, 'record')} repeat {article(noun)} of the same participant"
        if repeats
        else f"No participant has the same {noun} twice",
        measure="repeated records",
        value=repeats,
        threshold=1,
        n_participants=n_participants,
        n_records=n_records,
        advice="Let the reduction keep one of each: equal records make an idle positive pair."
        if repeats
        else "Nothing to do.",
    )
