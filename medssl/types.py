"""The words of medssl as types: modalities, participants, array shapes."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

import numpy as np
from jaxtyping import Float32, Int64, Shaped

ParticipantId = NewType("ParticipantId", str)
"""Pseudonym of one participant, as made by `medssl.ingest.deidentify`."""

Segments = Float32[np.ndarray, "batch channels time"]
"""Fixed-length pieces of waveforms, in the units of their records."""

EmbeddingArray = Float32[np.ndarray, "records dim"]
"""Encoder outputs, one row per record."""

Rows = Int64[np.ndarray, " records"]
"""Row numbers in a store's records table; they never change when data are appended."""

Array = Shaped[np.ndarray, "..."]
"""Any numeric array."""


class Kind(StrEnum):
    """How a modality is stored and read."""

    WAVEFORM = "waveform"
    IMAGE = "image"
    VOLUME = "volume"
    TEXT = "text"
    TABLE = "table"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities of this kind."""
        return tuple(modality.value for modality in Modality if modality.kind is self)


class Modality(StrEnum):
    """What was measured."""

    PPG = "ppg"
    ECG = "ecg"
    RESPIRATION = "respiration"
    RADIOGRAPH = "radiograph"
    VOLUME = "volume"
    REPORT = "report"
    TABLE = "table"
    """A row of labels for each record of another modality; no record of its own."""

    @property
    def kind(self) -> Kind:
        """The kind of array or text that holds this modality."""
        return _KINDS[self]


_KINDS = {
    Modality.PPG: Kind.WAVEFORM,
    Modality.ECG: Kind.WAVEFORM,
    Modality.RESPIRATION: Kind.WAVEFORM,
    Modality.RADIOGRAPH: Kind.IMAGE,
    Modality.VOLUME: Kind.VOLUME,
    Modality.REPORT: Kind.TEXT,
    Modality.TABLE: Kind.TABLE,
}
