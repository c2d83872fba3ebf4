"""Images and reports of one imaging study, and further images to pair an image with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.store import Store
from medssl.store.schema import PARTICIPANT, RECORD, STUDY
from medssl.types import Rows

_KEY: Final = [PARTICIPANT, STUDY]


@dataclass(frozen=True, eq=False)
class Studies:
    """Every image of every study that has a report, beside that report.

    Args:
        images: Row of each image, in the order given.
        reports: Row of its study's report.
        codes: Number of its study, equal for images of one study.
        participants: Its participant.
        alone: Images and reports that stand in no pair.
    """

    images: Rows
    reports: Rows
    codes: Rows
    participants: np.ndarray
    alone: tuple[int, int]

    def __len__(self) -> int:
        return len(self.images)


def match_studies(store: Store, images: Rows, reports: Rows) -> Studies:
    """Find the report of each image's study.

    A study holds any number of images and at most one report; a study with several reports is
    left out, since nothing says which one is meant.

    Args:
        store: Where the records are.
        images: Row numbers of images.
        reports: Row numbers of reports.

    Raises:
        StageError: No image has a report; the message says how to ingest the two.
    """
    left, right = _keyed(store, images), _keyed(store, reports)
    found = left.merge(right[~right.duplicated(_KEY, keep=False)], on=_KEY, suffixes=("", "_other"))
    if found.empty:
        msg = (
            f"none of {len(images)} images has a report of its study: ingest both with a rule for "
            "study, as sources of one cohort"
        )
        raise StageError(msg)
    rows = found["row"].to_numpy(dtype=np.int64)
    others = found["row_other"].to_numpy(dtype=np.int64)
    return Studies(
        images=rows,
        reports=others,
        codes=found.groupby(_KEY, sort=True).ngroup().to_numpy(dtype=np.int64),
        participants=store.column(PARTICIPANT, rows),
        alone=(len(images) - len(rows), len(reports) - len(np.unique(others))),
    )


def study_codes(store: Store, rows: Rows) -> Rows:
    """A number for the study of each record; a record without one is a study of its own."""
    studies, names = store.column(STUDY, rows), store.column(RECORD, rows)
    # A pair, so that no study can be called as a record is.
    own = [(s, "") if s is not None else ("", name) for s, name in zip(studies, names, strict=True)]
    frame = pd.DataFrame(own, columns=[STUDY, RECORD])
    frame[PARTICIPANT] = store.column(PARTICIPANT, rows)
    return frame.groupby([*_KEY, RECORD], sort=True).ngroup().to_numpy(dtype=np.int64)


class Companions:
    """Further images of each image's study, or of its participant's other studies.

    Args:
        groups: What companions share, shape (n,): study or participant.
        apart: What they must not share, shape (n,): None, or the study for longitudinal ones.
    """

    def __init__(self, groups: np.ndarray, apart: np.ndarray | None = None) -> None:
        n = len(groups)
        group = pd.factorize(groups)[0]
        # Images of a block are no companions of each other: an image alone, or those of its study.
        block = np.arange(n) if apart is None else pd.factorize(apart)[0]
        self._order = np.lexsort((block, group))
        group, block = group[self._order], block[self._order]
        starts, sizes = _runs(_changes(group))
        first, taken = _runs(_changes(group) | _changes(block))
        back = np.empty(n, dtype=np.int64)
        back[self._order] = np.arange(n)
        self._start, self._first, self._taken = starts[back], first[back], taken[back]
        self.counts: Rows = (sizes - taken)[back]

    def draw(self, places: Rows, uniforms: np.ndarray) -> Rows:
        """A companion of each place, uniformly; the place itself where it has none.

        Args:
            places: Positions among the images.
            uniforms: In [0, 1), one for each place.
        """
        counts = self.counts[places]
        # Counted over the group without the place's own block, which is stepped over.
        found = self._start[places] + (uniforms * counts).astype(np.int64)
        found += np.where(found >= self._first[places], self._taken[places], 0)
        drawn: Rows = np.where(counts > 0, self._order[np.where(counts > 0, found, 0)], places)
        return drawn


def _changes(codes: Rows) -> np.ndarray:
    """True where a sorted code differs from the one before it."""
    changed: np.ndarray = np.diff(codes, prepend=-1) != 0
    return changed


def _runs(begins: np.ndarray) -> tuple[Rows, Rows]:
    """Start and length of the run that each place stands in."""
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(begins))
    return np.repeat(starts, lengths), np.repeat(lengths, lengths)


def _keyed(store: Store, rows: Rows) -> pd.DataFrame:
    """Rows with a study, by participant and study."""
    frame = pd.DataFrame(
        {
            PARTICIPANT: store.column(PARTICIPANT, rows),
            STUDY: store.column(STUDY, rows),
            "row": np.asarray(rows, dtype=np.int64),
        }
    )
    return frame[frame[STUDY].notna()]
