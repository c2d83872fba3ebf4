"""Recordings put together again from the segments that a store keeps of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medssl.store.schema import PARTICIPANT, RATE, RECORDING, SESSION, SHAPE, START
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.store import Store


@dataclass(frozen=True, eq=False)
class Stretch:
    """Samples of one recording without a gap.

    Args:
        recording: Number of the recording among those of the rows it was found in.
        rows: Row numbers of its segments, by time.
        places: Sample of the stretch at which each segment begins, shape (segments,).
        length: Samples of a segment.
        samples: Samples of the stretch.
        rate: Samples per second (Hz).
    """

    recording: int
    rows: Rows
    places: np.ndarray
    length: int
    samples: int
    rate: float

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.samples / self.rate

    def read(self, store: Store, *, channel: int) -> np.ndarray:
        """One channel, float64 of shape (samples,)."""
        signal = np.empty(self.samples)
        for place, segment in zip(self.places, store.read(self.rows)[:, channel], strict=True):
            # A segment may begin before the stretch, or end after it.
            first, last = max(0, place), min(self.samples, place + self.length)
            signal[first:last] = segment[first - place : last - place]
        return signal


def find_stretches(store: Store, rows: Rows, *, longest: float) -> tuple[list[Stretch], np.ndarray]:
    """The stretches of every recording, each at most so long.

    Segments belong together when the second begins where the first one ends, or earlier (they
    overlap), to half a sample. What lies between others is a gap and stays one.

    Args:
        store: Where the records are.
        rows: Row numbers of waveforms of one shape and modality.
        longest: Longer stretches are cut into pieces of this duration (seconds); the last piece is
            what is left.

    Returns:
        Stretches, by recording and time, and the number of the recording of each of `rows`.
    """
    rows = np.asarray(rows)
    keys = [store.column(name, rows).astype(np.str_) for name in (PARTICIPANT, SESSION, RECORDING)]
    names = np.char.add(np.char.add(keys[0], "/"), np.char.add(np.char.add(keys[1], "/"), keys[2]))
    owner = np.unique(names, return_inverse=True)[1]
    starts, rates = store.column(START, rows), store.column(RATE, rows)
    lengths = np.array([shape[-1] for shape in store.column(SHAPE, rows)])
    order = np.lexsort((starts, owner))
    found: list[Stretch] = []
    for part in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        rate, length = float(rates[part[0]]), int(lengths[part[0]])
        places = np.rint((starts[part] - starts[part[0]]) * rate).astype(np.int64)
        gaps = np.flatnonzero(np.diff(places) > length) + 1
        for run in np.split(np.arange(len(part)), gaps):
            found += _pieces(
                int(owner[part[0]]), rows[part[run]], places[run] - places[run[0]], length, rate,
                round(longest * rate),
            )  # fmt: skip
    return found, owner


def _pieces(
    recording: int, rows: Rows, places: np.ndarray, length: int, rate: float, most: int
) -> list[Stretch]:
    total = int(places[-1]) + length
    found = []
    for begin in range(0, total, most):
        end = min(begin + most, total)
        inside = (places < end) & (places + length > begin)
        found.append(
            Stretch(recording, rows[inside], places[inside] - begin, length, end - begin, rate)
        )
    return found
