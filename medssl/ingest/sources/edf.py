"""EDF, EDF+ and BDF recordings as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from medssl.ingest.sources.waveform import WaveformSource


class EdfSource(WaveformSource):
    """EDF, EDF+, BDF and BDF+ recordings: one file each, with rates and units in its header.

    Header comments that `labels` and `session` may name: `Sex`, `Age` (years at the start),
    `Start date` and `Equipment`. Names, codes and birth dates are never offered.
    """

    default_include: ClassVar[tuple[str, ...]] = ("**/*.edf", "**/*.bdf")

    format: Literal["edf"]
