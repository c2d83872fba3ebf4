"""Make `store_v3`, the tiny store of schema version 3 that the tests read for ever.

It was run once, when version 3 was new: `python tests/data/make_store_v3.py FOLDER`. Never make
the committed store again: what matters is that newer code reads what old code wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from medssl.records import Record
from medssl.store import write_store
from medssl.types import Modality, ParticipantId

DISPLAY = json.dumps(["window 40/400 linear", "inverted"])
REPORT = "FINDINGS: The heart is enlarged. No effusion.\nIMPRESSION: Röntgen: cardiomegaly."
SHAPES = {8: (20, 16), 16: (12, 20)}
"""Bits → rows and columns; the longer side is 20 pixels."""


def pixels(bits: int) -> np.ndarray:
    """A pattern over the whole range of the type."""
    rows, columns = SHAPES[bits]
    count = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns)
    grey = np.floor(count * (2**bits - 1) / (rows * columns - 1))
    return grey.astype(np.uint8 if bits == 8 else np.uint16)


def records() -> list[Record]:
    """Two images and a report of one study, an image of another, and a report without image."""

    def record(participant: str, study: str | None, file: str, **facts: object) -> Record:
        return Record(
            participant=ParticipantId(participant),
            session=study or "s0",
            study=study,
            recording=file,
            source_digest="0" * 32,
            source="chest",
            **facts,
        )

    image = {"modality": Modality.RADIOGRAPH, "display": DISPLAY}
    text = {"modality": Modality.REPORT, "data": REPORT}
    return [
        record("p1", "e1", "f1", view="PA", time=0.0, data=pixels(8), **image),
        record("p1", "e1", "f2", view="lateral", time=0.0, data=pixels(8)[::-1], **image),
        record("p1", "e1", "f3", time=0.0, **text),
        record("p1", "e2", "f4", view="AP", time=12.5, data=pixels(16), **image),
        record("p2", None, "f5", **text),
    ]


def main(folder: Path) -> None:
    """Write the store."""
    made = records()
    labels = pd.DataFrame({"crp": [-np.inf, np.inf]}, index=[made[0].name, made[3].name])
    write_store(folder, made, labels=labels)
    (folder / ".store.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
