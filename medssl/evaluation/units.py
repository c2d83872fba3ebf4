"""What is one row of a probe: a participant, a session or a record, and which records it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.targets import Level, Target
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.store import Store


@dataclass(frozen=True, eq=False)
class Records:
    """Records without embeddings: all that says who is fitted and who is scored.

    Args:
        records: Names of the records, shape (n,).
        participants: Pseudonym of each record's participant, shape (n,).
        sessions: Session of each record, shape (n,).
    """

    records: np.ndarray
    participants: np.ndarray
    sessions: np.ndarray

    @classmethod
    def of(cls, store: Store, rows: Rows) -> Records:
        """Those at some rows of a store."""
        names = (RECORD, PARTICIPANT, SESSION)
        return cls(*(store.column(name, rows).astype(np.str_) for name in names))


@dataclass(frozen=True, eq=False)
class Units:
    """The rows of a probe, sorted by name.

    Args:
        level: What a row is.
        names: Pseudonym, `participant/session` or record name, shape (u,).
        participants: Participant of each row, shape (u,).
        records: Names of all records, shape (n,).
        owner: Row of each record, int64 of shape (n,).
    """

    level: Level
    names: np.ndarray
    participants: np.ndarray
    records: np.ndarray
    owner: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> np.ndarray:
        """Records of each row, shape (u,)."""
        return np.bincount(self.owner, minlength=len(self))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean over the records of each row, leaving out NaN; NaN where nothing is left.

        Args:
            values: One row for each of `records`, shape (n, d).

        Returns:
            Float64 of shape (u, d).
        """
        order = np.argsort(self.owner, kind="stable")
        starts = np.searchsorted(self.owner[order], np.arange(len(self)))
        ordered = np.asarray(values)[order]
        known = np.isfinite(ordered)
        if known.all():
            found = np.add.reduceat(ordered, starts, axis=0, dtype=np.float64)
            return np.asarray(found / self.counts[:, None])
        sums = np.add.reduceat(np.where(known, ordered, 0.0), starts, axis=0, dtype=np.float64)
        counts = np.add.reduceat(known, starts, axis=0, dtype=np.float64)
        return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def gather_units(embeddings: Embeddings | Records, level: Level) -> Units:
    """The participants, sessions or records of embeddings, or of records without any.

    >>> found = Embeddings(["r1", "r2"], ["p1", "p1"], ["s1", "s1"], [[1.0], [2.0]])
    >>> gather_units(found, "session").names.tolist()
    ['p1/s1']
    """
    people = embeddings.participants
    keys = {
        "participant": people,
        "session": np.char.add(np.char.add(people, "/"), embeddings.sessions),
        "record": embeddings.records,
    }[level]
    names, first, owner = np.unique(keys, return_index=True, return_inverse=True)
    return Units(level, names, people[first], embeddings.records, owner)


def unit_labels(
    target: Target, units: Units, participants: pd.DataFrame, records: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """`agreed_labels`, and how many units lack a label because their records disagree."""
    frame, disagree = agreed_labels(target, units, participants, records)
    return frame, int(disagree.sum())


def agreed_labels(
    target: Target, units: Units, participants: pd.DataFrame, records: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """The label columns of a target, one row for each unit.

    A participant's label holds for all of its sessions and records. A label of records holds for a
    session or participant when all its labelled records agree; otherwise it is missing.

    Args:
        target: Says which columns are read; one that neither table has is left out.
        units: The rows.
        participants: Index pseudonyms, one column per label.
        records: Index record names, one column per label; records without labels may be absent.

    Returns:
        Labels by name of the unit, and which units lack one because their records disagree, bool
        of shape (u,).
    """
    columns: dict[str, pd.Series] = {}
    disagree = np.zeros(len(units), dtype=bool)
    for name in target.sources:
        if name in participants.columns:
            found = participants[name]
            values = found.reindex(units.participants)
        elif name in records.columns:
            values, differs = _agreed(records[name].reindex(units.records), units)
            disagree |= differs
        else:
            continue
        columns[name] = values.set_axis(units.names)
    return pd.DataFrame(columns, index=units.names), disagree


def _agreed(labels: pd.Series, units: Units) -> tuple[pd.Series, np.ndarray]:
    """The label on which the records of each unit agree, and where they do not."""
    known = labels.notna().to_numpy()
    frame = pd.DataFrame({"unit": units.owner[known], "label": labels.to_numpy()[known]})
    distinct = frame.drop_duplicates()
    counts = np.bincount(distinct["unit"], minlength=len(units))
    single = distinct[counts[distinct["unit"]] == 1].set_index("unit")["label"]
    return single.reindex(np.arange(len(units))), counts > 1


def spread_rows(participants: np.ndarray, each: int) -> np.ndarray:
    """Positions of at most `each` records of every participant, evenly spaced in their order.

    >>> spread_rows(np.array(["a"] * 5 + ["b"]), 2).tolist()
    [0, 4, 5]
    """
    _, inverse, counts = np.unique(participants, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    share = np.minimum(counts, each)
    step = np.arange(int(share.max(initial=0)))
    last = np.maximum(share - 1, 1)[:, None]
    place = np.rint(step * (counts - 1)[:, None] / last).astype(np.int64)
    chosen = (starts[:, None] + place)[step < share[:, None]]
    return np.sort(order[chosen])
