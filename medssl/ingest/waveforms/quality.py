"""Signal quality in [0, 1]: any failure means bad, and nothing here raises."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from scipy import stats

from medssl.types import Array, Modality

logger = logging.getLogger(__name__)

Signal = Float64[np.ndarray, " time"]

MAX_FLAT: Final = 0.5
"""Share of samples in long runs of one value above which a channel is flat."""
FLAT_SECONDS: Final = 0.2
"""Shorter runs are converter steps or sample-and-hold, not a lost contact."""
MAX_CLIPPED: Final = 0.2
"""Share of samples held at either extreme above which a channel is clipped."""
HEART_RATES: Final = (25.0, 240.0)
"""Plausible heart rates (beats per minute)."""
_LAGS: Final = (0.33, 1.5)
"""Beat intervals searched in PPG (seconds)."""
_PIECE: Final = 4.0
"""PPG is compared with itself inside pieces of about this length: heart rate drifts (seconds)."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Grade of one segment.

    Args:
        score: 0 (flat, clipped, peakless, or grading failed) to 1 (every beat alike).
        heart_rate: From the median beat interval (beats per minute); NaN when unknown.
        reasons: Why points were taken off: `"missing"`, `"flat"`, `"clipped"`, `"no_beats"`,
            `"implausible_rate"`, `"failed"`.
    """

    score: float
    heart_rate: float
    reasons: tuple[str, ...] = ()


def grade(segment: Array, rate: float, modality: Modality) -> Quality:
    """Grade a segment; its worst channel decides. Never raises.

    - Scale-free first checks: a channel that is mostly flat or clipped scores 0.
    - ECG: neurokit2 cleans and finds R peaks; the score is the mean correlation of each beat with
      the mean of the *other* beats (after Orphanidou et al., JBHI 2015, 10.1109/JBHI.2014.2338351;
      leaving the beat out of its own template keeps short segments honest).
    - PPG: a 2 s segment holds two beats, so the score is instead the best correlation of the
      signal with itself one beat interval later, times the square root of how lopsided its slope
      is (a pulse rises faster than it falls; noise does neither), of either polarity.
    - Other modalities: one minus the flat and clipped shares.

    Args:
        segment: Waveform of shape (channels, time).
        rate: Samples per second (Hz).
        modality: What was measured.

    >>> grade(np.zeros((1, 640)), 128.0, Modality.ECG)
    Quality(score=0.0, heart_rate=nan, reasons=('flat',))
    """
    try:
        array = np.atleast_2d(np.asarray(segment, dtype=np.float64))
        grades = [_grade_channel(channel, rate, modality) for channel in array]
        return min(grades, key=lambda one: one.score)
    except Exception as error:
        # neurokit2 raises IndexError, TypeError, ValueError and more on short or odd signals
        # (neuropsychology/NeuroKit#479, #580, #823). A grade is not worth a run.
        logger.debug("grading failed: %s", type(error).__name__)
        return Quality(0.0, float("nan"), ("failed",))


def _grade_channel(signal: Signal, rate: float, modality: Modality) -> Quality:
    unknown = float("nan")
    if not signal.size or not np.isfinite(signal).all():
        return Quality(0.0, unknown, ("missing",))
    flat = flat_share(signal, run=max(3, round(FLAT_SECONDS * rate)))
    if flat > MAX_FLAT:
        return Quality(0.0, unknown, ("flat",))
    clipped = clipped_share(signal)
    if clipped > MAX_CLIPPED:
        return Quality(0.0, unknown, ("clipped",))
    beats = _BEATS.get(modality)
    if beats is None:
        return Quality(1.0 - max(flat, clipped), unknown)
    # A constant offset or scale must not change the grade.
    scaled = (signal - np.median(signal)) / signal.std()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        score, peaks = beats(scaled, rate)
    return _judge(score, peaks, rate)


def _judge(score: float, peaks: Array, rate: float) -> Quality:
    if not np.isfinite(score) or len(peaks) == 0:
        return Quality(0.0, float("nan"), ("no_beats",))
    score = float(np.clip(score, 0.0, 1.0))
    if len(peaks) < 2:
        return Quality(score, float("nan"))
    heart_rate = float(60.0 * rate / np.median(np.diff(peaks)))
    if not HEART_RATES[0] <= heart_rate <= HEART_RATES[1]:
        return Quality(0.0, float("nan"), ("implausible_rate",))
    return Quality(score, heart_rate)


def flat_share(signal: Signal, *, run: int) -> float:
    """Share of samples in runs of at least `run` samples that do not change.

    "Do not change" is relative to the signal's own range, so units and gain do not matter.

    >>> flat_share(np.array([0.0, 1.0, 5.0, 5.0, 5.0]), run=3)
    0.6
    """
    extent = float(np.ptp(signal))
    if extent <= 1e-9 * max(1.0, float(np.abs(signal).max())):
        return 1.0
    still = np.abs(np.diff(signal)) <= 1e-4 * extent
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.view(np.int8), [0]])))
    runs = edges[1::2] - edges[::2] + 1
    return float(runs[runs >= run].sum() / signal.size)


def clipped_share(signal: Signal) -> float:
    """Share of samples that stay at the very top or bottom for three samples or more.

    >>> clipped_share(np.array([0.0, 4.0, 4.0, 4.0, 1.0, 2.0]))
    0.5
    """
    worst = 0
    for extreme in (signal.max(), signal.min()):
        there = signal == extreme
        edges = np.flatnonzero(np.diff(np.concatenate([[0], there.view(np.int8), [0]])))
        runs = edges[1::2] - edges[::2]
        worst += int(runs[runs >= 3].sum())
    return worst / signal.size


def _ecg_beats(signal: Signal, rate: float) -> tuple[float, Array]:
    """Mean correlation of each beat with the mean of the others, and the R peaks."""
    import neurokit2 as nk  # takes two seconds, in every worker process

    cleaned = np.asarray(nk.ecg_clean(signal, sampling_rate=rate), dtype=np.float64)
    found = nk.ecg_findpeaks(cleaned, sampling_rate=rate)
    peaks = np.asarray(found["ECG_R_Peaks"], dtype=np.int64)
    before, after = round(0.25 * rate), round(0.4 * rate)
    inside = peaks[(peaks >= before) & (peaks + after <= len(cleaned))]
    if len(inside) < 2:
        return float("nan"), peaks
    beats = cleaned[inside[:, None] + np.arange(-before, after)]
    beats = beats - beats.mean(axis=1, keepdims=True)
    beats /= np.maximum(np.linalg.norm(beats, axis=1, keepdims=True), 1e-12)
    others = beats.sum(axis=0) - beats
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    return float(((beats * others).sum(axis=1) / lengths).mean()), peaks


def _ppg_beats(signal: Signal, rate: float) -> tuple[float, Array]:
    """Self-similarity one beat later times lopsidedness of the slope, and the pulse peaks."""
    import neurokit2 as nk  # takes two seconds, in every worker process

    cleaned = np.asarray(nk.ppg_clean(signal, sampling_rate=rate), dtype=np.float64)
    found = nk.ppg_findpeaks(cleaned, sampling_rate=rate)
    peaks = np.asarray(found["PPG_Peaks"], dtype=np.int64)
    pieces = np.array_split(signal, max(1, round(signal.size / (_PIECE * rate))))
    alike = float(np.mean([_self_similarity(piece, rate) for piece in pieces]))
    slope = np.diff(cleaned)
    # Real pulses have a slope skewness above 1.2; Gaussian noise has 0.
    lopsided = min(1.0, abs(float(stats.skew(slope))) / 1.2)
    return max(0.0, alike) * float(np.sqrt(lopsided)), peaks


def _self_similarity(signal: Signal, rate: float) -> float:
    """Largest correlation of a signal with itself at the lags of plausible beat intervals."""
    first = max(1, round(_LAGS[0] * rate))
    # At least 40 % of the piece must overlap itself, or chance alone correlates well.
    last = min(round(_LAGS[1] * rate), int(0.6 * signal.size))
    best = -1.0
    for lag in range(first, last + 1):
        left, right = signal[:-lag], signal[lag:]
        left, right = left - left.mean(), right - right.mean()
        length = float(np.sqrt((left @ left) * (right @ right)))
        best = max(best, float(left @ right) / max(length, 1e-12))
    return best


_BEATS: Final[dict[Modality, Callable[[Signal, float], tuple[float, Array]]]] = {
    Modality.ECG: _ecg_beats,
    Modality.PPG: _ppg_beats,
}
