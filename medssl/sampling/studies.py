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
    studies = store.column(STUDY, rows)
    names = store.column(RECORD, rows)
    own = np.array(
        [name if study is None else study for study, name in zip(studies, names, strict=True)],
        dtype=object,
    )
    frame = pd.DataFrame({PARTICIPANT: store.column(PARTICIPANT, rows), STUDY: own})
    return frame.groupby(_KEY, sort=True).ngroup().to_numpy(dtype=np.int64)


class Companions:
    """Further images of each image's study, or of its participant's other studies.

    Args:
        groups: What companions share, shape (n,): study or participant.
        apart: What they must not share, shape (n,): None, or the study for longitudinal ones.
    """

    def __init__(self, groups: np.ndarray, apart: np.ndarray | None = None) -> None:
        codes = pd.factorize(groups)[0]
        order = np.argsort(codes, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        lists: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(codes)
        for group in members:
            for place in group:
                other = group[group != place]
                if apart is not None:
                    other = other[apart[other] != apart[place]]
                lists[place] = other
        self.counts = np.array([len(found) for found in lists], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self._members = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)

    def draw(self, places: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """A companion of each place, uniformly; the place itself where it has none."""
        counts = self.counts[places]
        picks = self._starts[places] + (uniforms * counts).astype(np.int64)
        found = (
            self._members[np.minimum(picks, max(0, len(self._members) - 1))]
            if len(self._members)
            else places
        )
        return np.where(counts > 0, found, places)


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
