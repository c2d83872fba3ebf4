"""From an opened recording to one array at the rate of the store."""

from __future__ import annotations

import numpy as np

from medssl.ingest.waveforms.recording import Recording
from medssl.ingest.waveforms.resample import resample
from medssl.types import Array


def resampled(recording: Recording, rate: float) -> Array:
    """All channels at one rate, over the time that all of them cover.

    Args:
        recording: As opened.
        rate: Samples per second wanted (Hz).

    Raises:
        IngestError: The rates are in no practical proportion.
    """
    parts = [
        resample(track.read(0, track.length), from_rate=track.rate, to_rate=rate)
        for track in recording.tracks
    ]
    shortest = min(part.shape[1] for part in parts)
    return np.concatenate([part[:, :shortest] for part in parts])
