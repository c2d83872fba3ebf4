"""The labelled units of one target, with the records that belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medssl.config import nearest
from medssl.errors import ConfigError, StageError
from medssl.evaluation.study_labels import study_labels
from medssl.evaluation.targets import Kind, Level, Target
from medssl.evaluation.units import Units, agreed_labels
from medssl.sampling.splits import SPLITS, check_disjoint
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.store import Store


@dataclass(frozen=True, eq=False)
class LabelledUnits:
    """Labelled units (participants, sessions or records) and their records.

    Args:
        kind: What is predicted; it says what `values` holds.
        names: Names of the units, shape (n,).
        participants: Participant of each unit, shape (n,).
        values: Targets, as in `Truth.values`: shape (n,), (n, k) or (n, 2).
        classes: Names of the classes or labels; empty for numbers.
        rows: Row numbers of the records, those of one unit side by side, shape (r,).
        offsets: The records of unit i are `rows[offsets[i]:offsets[i + 1]]`, shape (n + 1,).
        n_torn: Units that were left out because their records disagree on the label.
    """

    kind: Kind
    names: np.ndarray
    participants: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...]
    rows: Rows
    offsets: np.ndarray
    n_torn: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> np.ndarray:
        """Records of each unit, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def n_participants(self) -> int:
        """Different participants."""
        return len(np.unique(self.participants))

    def take(self, keep: np.ndarray) -> LabelledUnits:
        """Some of the units, by position or by mask, in the order given."""
        order = np.flatnonzero(keep) if keep.dtype == np.bool_ else np.asarray(keep)
        pieces = [self.rows[self.offsets[i] : self.offsets[i + 1]] for i in order.tolist()]
        return LabelledUnits(
            kind=self.kind,
            names=self.names[order],
            participants=self.participants[order],
            values=self.values[order],
            classes=self.classes,
            rows=np.concatenate([np.empty(0, dtype=np.int64), *pieces]),
            offsets=np.concatenate([[0], np.cumsum(self.counts[order])]).astype(np.int64),
        )


def label_units(store: Store, rows: Rows, target: Target) -> LabelledUnits:
    """Find the units of a target that have a label and a record, as a probe does.

    Args:
        store: Where labels and records are.
        rows: Row numbers of the records that may be used.
        target: What is predicted; its level says what a unit is.

    Raises:
        ConfigError: The target does not fit the labels.
        StageError: No record has such a label.
    """
    columns = [*map(str, store.participants.columns), *map(str, store.record_labels.columns)]
    for name in target.sources:
        if name not in columns:
            hint = nearest(name, columns)
            msg = f"finetune.target {target.name!r}: no label column {name!r}{hint}"
            raise ConfigError(msg)
    units = _gather(store, rows, target.level)
    own, _ = study_labels(store, rows)
    labels, torn = agreed_labels(target, units, store.participants, own)
    truth = target.truth(labels)
    place = pd.Index(truth.units).get_indexer(pd.Index(units.names))
    n_torn = int((torn & (place < 0)).sum())
    place = place[units.owner]
    known = np.flatnonzero(place >= 0)
    if len(known) == 0:
        why = (
            f"the records of {n_torn} {target.level}s disagree on it: set level: record"
            if n_torn
            else "no record has this label; look at the label columns of the store"
        )
        msg = f"finetune.target {target.name!r}: {why}"
        raise StageError(msg)
    order = known[np.argsort(place[known], kind="stable")]
    found, first, counts = np.unique(place[order], return_index=True, return_counts=True)
    return LabelledUnits(
        kind=target.kind,
        names=truth.units[found],
        participants=units.participants[units.owner[order[first]]],
        values=truth.values[found],
        classes=truth.classes,
        rows=np.asarray(rows)[order],
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        n_torn=n_torn,
    )


def split_units(units: LabelledUnits, splits: Mapping[str, str]) -> dict[str, LabelledUnits]:
    """The units of each split's participants.

    Raises:
        LeakageError: A participant stands in two splits.
    """
    own = np.array([splits[name] for name in units.participants.tolist()], dtype=np.str_)
    parts = {name: units.take(own == name) for name in SPLITS}
    for place, left in enumerate(SPLITS):
        for right in SPLITS[place + 1 :]:
            people = (parts[name].participants.tolist() for name in (left, right))
            check_disjoint(f"{left} and {right}", *people)
    return parts


def _gather(store: Store, rows: Rows, level: Level) -> Units:
    owners = store.column(PARTICIPANT, rows).astype(np.str_)
    records = store.column(RECORD, rows).astype(np.str_)
    keys = {"participant": owners, "record": records}.get(level)
    if keys is None:
        sessions = store.column(SESSION, rows).astype(np.str_)
        keys = np.char.add(np.char.add(owners, "/"), sessions)
    names, first, owner = np.unique(keys, return_index=True, return_inverse=True)
    return Units(level, names, owners[first], records, owner)
