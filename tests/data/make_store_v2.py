"""Make `store_v2`, the tiny store of schema version 2 that the tests read for ever.

It was run once, when version 2 was new: `python tests/data/make_store_v2.py FOLDER`. Never make
the committed store again: what matters is that newer code reads what old code wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from medssl.records import Record
from medssl.store import write_store
from medssl.types import Modality, ParticipantId

FILTER = '{"high": 8.0, "low": 0.5, "order": 4}'
GRADES = {
    "template": 0.75,
    "skewness": -0.5,
    "kurtosis": 2.5,
    "flat": 0.0,
    "clipped": 0.125,
    "missing": 0.25,
}
"""Every component; float32 holds every value exactly."""


def waveform(segment: int) -> np.ndarray:
    """One channel of 32 samples."""
    return ((np.arange(32.0)[None] * 7 + 5 * segment) % 23).astype(np.float32) / 4


def records() -> list[Record]:
    """A graded participant, one who was graded in part, and one who was not graded."""
    graded = {"filter": FILTER, "overlap": 0.25, "quality": 0.5, "grades": GRADES}
    partly = {"overlap": 0.0, "quality": 0.0, "grades": {"flat": 1.0, "template": float("nan")}}
    return [
        Record(
            participant=ParticipantId(participant),
            session="s1",
            recording="ring",
            modality=Modality.PPG,
            data=waveform(segment),
            source_digest="0" * 32,
            rate=32.0,
            channels=("green",),
            units="counts",
            start=0.75 * segment,
            **facts,
        )
        for participant, facts in (("p1", graded), ("p2", partly), ("p3", {}))
        for segment in range(2)
    ]


def main(folder: Path) -> None:
    """Write the store."""
    write_store(folder, records())
    (folder / ".store.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
