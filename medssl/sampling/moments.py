"""Simultaneous records of two modalities: cut from one recording, at one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.store import Store
from medssl.store.schema import MODALITY, PARTICIPANT, RECORDING, START
from medssl.types import Rows

_MICROSECONDS: Final = 1e6
"""Starts are whole samples divided by a rate: two rates round the same time differently."""

_KEY: Final = [PARTICIPANT, RECORDING, START]


@dataclass(frozen=True, eq=False)
class Moments:
    """Row numbers of simultaneous records; `first[i]` and `second[i]` are one moment.

    Args:
        first: Rows of the first modality, in the order given.
        second: Rows of the second.
        participants: Participant of each moment.
        alone: Records of the first and of the second modality that belong to no moment.
    """

    first: Rows
    second: Rows
    participants: np.ndarray
    alone: tuple[int, int]

    def __len__(self) -> int:
        return len(self.first)


def match_moments(store: Store, rows: Rows, others: Rows) -> Moments:
    """Find the records of two modalities that were cut from the same recording at the same start.

    A moment for which one side has several records is left out: nothing says which one is meant.

    Args:
        store: Where the records are.
        rows: Row numbers of the first modality.
        others: Row numbers of the second modality.

    Raises:
        StageError: No record has a partner; the message says how to ingest the two modalities.
    """
    left, right = _keyed(store, rows), _keyed(store, others)
    found = left.merge(right, on=_KEY, how="inner", suffixes=("", "_other"))
    if found.empty:
        names = " and ".join(
            "/".join(sorted({str(name) for name in store.column(MODALITY, some)})) or "none"
            for some in (rows, others)
        )
        msg = (
            f"no record of {names} was cut from the same recording at the same start: ingest both "
            "from the same files, as two sources with one cohort, segment_seconds and "
            "overlap_seconds"
        )
        raise StageError(msg)
    first = found["row"].to_numpy(dtype=np.int64)
    return Moments(
        first=first,
        second=found["row_other"].to_numpy(dtype=np.int64),
        participants=store.column(PARTICIPANT, first),
        alone=(len(rows) - len(found), len(others) - len(found)),
    )


def _keyed(store: Store, rows: Rows) -> pd.DataFrame:
    """Rows by participant, recording and start; only those that nothing else shares."""
    frame = pd.DataFrame(
        {
            PARTICIPANT: store.column(PARTICIPANT, rows),
            RECORDING: store.column(RECORDING, rows),
            START: np.rint(store.column(START, rows) * _MICROSECONDS).astype(np.int64),
            "row": np.asarray(rows, dtype=np.int64),
        }
    )
    return frame[~frame.duplicated(_KEY, keep=False)]
