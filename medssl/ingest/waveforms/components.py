"""Components of signal quality that need no beats: shares of bad samples, and moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from medssl.ingest.waveforms.recording import Recording
from medssl.types import Array

FLAT_SECONDS: Final = 0.2
"""Shorter runs are converter steps or sample-and-hold, not a lost contact."""
CLIPPED_RUN: Final = 3
"""Fewer samples at an extreme are a peak, not a converter at its limit."""
_CONSTANT: Final = 1e-9
"""Extent, relative to the largest value, below which rounding alone moves a signal."""
_STILL: Final = 1e-4
"""Step, relative to the signal's extent, below which a sample does not change."""
_SPAN: Final = 1 << 20
"""Samples, over all channels, that are looked at together when shares are measured."""

Shares = Float64[np.ndarray, "*rows"]
Signals = Float64[np.ndarray, "*rows time"]


def constant(signals: Signals) -> Bool[np.ndarray, "*rows"]:
    """Which signals do not move, whatever their scale and offset.

    >>> constant(np.array([[2.0, 2.0, 2.0], [2e-15, 2e-15, 3e-15]])).tolist()
    [True, False]
    """
    extent = np.ptp(signals, axis=-1)
    return np.asarray(extent <= _CONSTANT * np.abs(signals).max(axis=-1))


def flat_share(signals: Signals, *, run: int) -> Shares:
    """Share of samples in runs of at least `run` samples that do not change.

    "Do not change" is relative to the signal's own range, so units and gain do not matter; a
    fixed threshold fires on every signal of one device and on none of another.

    >>> flat_share(np.array([[0.0, 1.0, 5.0, 5.0, 5.0], [7.0] * 5]), run=3).tolist()
    [0.6, 1.0]
    """
    extent = np.ptp(signals, axis=-1, keepdims=True)
    still = np.abs(np.diff(signals, axis=-1)) <= _STILL * extent
    found = _share_in_runs(still, run=run - 1, gain=1)
    return np.asarray(np.where(constant(signals), 1.0, found))


def clipped_share(signals: Signals) -> Shares:
    """Share of samples that stay at the very top or bottom for three samples or more.

    >>> float(clipped_share(np.array([0.0, 4.0, 4.0, 4.0, 1.0, 2.0])))
    0.5
    """
    tops = signals == signals.max(axis=-1, keepdims=True)
    bottoms = signals == signals.min(axis=-1, keepdims=True)
    found = _share_in_runs(tops, run=CLIPPED_RUN) + _share_in_runs(bottoms, run=CLIPPED_RUN)
    return np.asarray(np.minimum(found, 1.0))


def _share_in_runs(marked: Array, *, run: int, gain: int = 0) -> Shares:
    """Marked samples in runs of at least `run`, as a share of a row.

    Args:
        marked: Truth values of shape (*rows, time).
        run: Shortest run that counts.
        gain: Added to each run and to the length of a row: two equal samples are one mark.
    """
    *rows, time = marked.shape
    closed = np.zeros((int(np.prod(rows)), time + 2), dtype=np.int8)
    closed[:, 1:-1] = marked.reshape(-1, time)
    edges = np.flatnonzero(np.diff(closed, axis=1))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    counted = np.where(lengths >= run, lengths + gain, 0)
    sums = np.bincount(starts // (time + 1), weights=counted, minlength=len(closed))
    return np.asarray(sums / (time + gain)).reshape(rows)


def moments(signals: Signals) -> tuple[Shares, Shares]:
    """Skewness and kurtosis: third and fourth moments of the standardised samples.

    - Skewness, mean(z³) with z = (x − mean) / σ and the population σ, as `scipy.stats.skew`. A
      clean PPG leans to positive values: the index that told good PPG best in Elgendi,
      Bioengineering 2016, 10.3390/bioengineering3040021.
    - Kurtosis, mean(z⁴): Pearson's, 3 for Gaussian noise and never below 1, as
      `scipy.stats.kurtosis(x, fisher=False)`. The narrow QRS of a clean ECG gives more than 5 (kSQI
      of Li et al., Physiological Measurement 2008, 10.1088/0967-3334/29/1/002); a PPG has about 2.

    Both are 0 for a constant signal, as for a segment that the encoder standardises to zeros.

    >>> [float(one) for one in moments(np.array([-1.0, 1.0, -1.0, 1.0]))]
    [0.0, 1.0]
    """
    centred = signals - signals.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True))
    still = constant(signals)[..., None] | (spread == 0)
    scaled = np.where(still, 0.0, centred / np.where(still, 1.0, spread))
    squared = scaled * scaled
    return np.mean(squared * scaled, axis=-1), np.mean(squared * squared, axis=-1)


def raw_shares(recording: Recording, starts: Array, seconds: float) -> dict[str, Shares]:
    """Flat and clipped shares of segments, told from the samples as they were recorded.

    Filters round plateaus off: of PPG whose tops were cut at their 80th percentile, no sample is
    at its extreme any more after resampling. So these two are measured before.

    Args:
        recording: As opened.
        starts: Where the segments begin, ascending (seconds).
        seconds: How long each is.

    Returns:
        `"flat"` and `"clipped"` shares, shape (segments, channels).
    """
    flat: list[Shares] = []
    clipped: list[Shares] = []
    for track in recording.tracks:
        length = min(max(1, round(seconds * track.rate)), track.length)
        run = max(3, round(FLAT_SECONDS * track.rate))
        begins = np.rint(np.asarray(starts) * track.rate).astype(np.int64)
        of_track: list[tuple[Shares, Shares]] = []
        together = max(1, _SPAN // (length * len(track.channels)))
        for few in _spans(np.clip(begins, 0, track.length - length), length, together):
            samples = track.read(int(few[0]), int(few[-1]) + length)
            windows = samples[:, (few - few[0])[:, None] + np.arange(length)].astype(np.float64)
            of_track.append((flat_share(windows, run=run), clipped_share(windows)))
        flat += np.concatenate([one for one, _ in of_track], axis=1).tolist()
        clipped += np.concatenate([one for _, one in of_track], axis=1).tolist()
    return {"flat": np.transpose(flat), "clipped": np.transpose(clipped)}


def _spans(begins: Array, length: int, together: int) -> list[Array]:
    """Neighbouring segments to read in one piece, no more than `together` of them."""
    breaks = np.flatnonzero(np.diff(begins) > length) + 1
    return [
        few[start : start + together]
        for few in np.split(begins, breaks)
        for start in range(0, len(few), together)
    ]


def worst(values: Mapping[str, Array]) -> dict[str, Array]:
    """Over channels: the lowest template, skewness and kurtosis, the highest shares.

    Args:
        values: By component, shape (segments, channels); NaN where it could not be computed.
    """
    shares = {"flat", "clipped", "missing"}
    return {
        name: np.fmax.reduce(found, axis=1) if name in shares else np.fmin.reduce(found, axis=1)
        for name, found in values.items()
    }
