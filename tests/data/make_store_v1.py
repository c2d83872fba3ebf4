"""Make `store_v1`, the tiny store of schema version 1 that the tests read for ever.

It was run once, when version 1 was new: `python tests/data/make_store_v1.py FOLDER`. Never make
the committed store again: what matters is that newer code reads what old code wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from medssl.records import Record
from medssl.store import write_store
from medssl.types import Modality, ParticipantId

REPORT = "Herz normal groß. Kein Erguss."


def waveform(participant: int, segment: int) -> np.ndarray:
    """Two channels of 64 samples; float32 holds every value exactly."""
    time = np.arange(128).reshape(2, 64)
    return ((time * (participant + 3) + 17 * segment) % 101).astype(np.float32) / 8


def volume() -> np.ndarray:
    """An int16 volume of 12 × 20 × 24 with negative values."""
    z, y, x = np.ogrid[:12, :20, :24]
    return ((z * 131 + y * 17 + x * 7) % 3000 - 1000).astype(np.int16)


def records(participant: int) -> list[Record]:
    """Everything that one of the two participants has."""
    fields = {"participant": ParticipantId(f"p{participant}"), "session": "s1"}
    segments = [
        Record(
            **fields,
            recording="ring",
            modality=Modality.PPG,
            data=waveform(participant, segment),
            source_digest=f"{participant:032x}",
            rate=64.0,
            channels=("green", "infrared"),
            units="counts",
            start=float(segment),
            quality=0.5,
            site="north",
            device="ring-1",
            source="first",
        )
        for segment in range(3)
    ]
    if participant == 1:
        return segments
    study = {"study": "e1", "source_digest": "f" * 32, "source": "second"}
    scan = Record(**fields, **study, recording="ct", modality=Modality.VOLUME, data=volume())
    text = Record(**fields, **study, recording="note", modality=Modality.REPORT, data=REPORT)
    return [*segments, scan, text]


def main(folder: Path) -> None:
    """Write the store in two appends."""
    labels = pd.DataFrame({"age": [34.0, None], "sex": ["F", "M"]}, index=["p1", "p2"])
    write_store(folder, records(1), participants=labels)
    write_store(folder, records(2))
    (folder / ".store.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
