"""Heart beats in segments: cleaning, peaks, and how alike the beats are.

Peaks are neurokit2's. Its cleaning is a filter of SciPy's that it designs anew for each signal;
here one design serves all segments of a recording, with equal results. Its quality functions are
not used: `templatematch` compares a beat with a mean that holds the beat itself, which flatters
segments of few beats; `averageQRS` is stretched over [0, 1] inside each segment, so that two
segments cannot be compared; `zhao2018` gives a word; skewness and kurtosis come in windows of three
seconds, longer than some segments. All of them raise on short or odd signals.
"""

from __future__ import annotations

import functools
import logging
import warnings
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from medssl.types import Array, Modality

logger = logging.getLogger(__name__)

HEART: Final = frozenset({Modality.ECG, Modality.PPG})
"""Modalities in which beats are looked for."""

_WINDOW: Final = (0.25, 0.4)
"""An ECG beat, before and after its R peak (seconds)."""
_LAGS: Final = (0.33, 1.5)
"""Beat intervals searched in PPG (seconds)."""
_PIECE: Final = 4.0
"""PPG is compared with itself inside pieces of about this length: heart rate drifts (seconds)."""

Signal = Float64[np.ndarray, " time"]
Signals = Float64[np.ndarray, "rows time"]


class Beats(NamedTuple):
    """Beats of one signal.

    Args:
        score: How much they look like beats, before it is limited to [0, 1]; NaN when unknown.
        peaks: Samples of the R peaks or pulse peaks.
        template: Mean correlation of each beat with the mean of the others; NaN with fewer than
            two whole beats.
    """

    score: float
    peaks: Int64[np.ndarray, " beats"]
    template: float


NO_BEATS: Final = Beats(float("nan"), np.zeros(0, dtype=np.int64), float("nan"))


def find_beats(
    signals: Signals, cleaned: Signals, rate: float, modality: Modality
) -> list[Beats | None]:
    """Beats of every signal; None where looking for them failed. Never raises.

    Args:
        signals: Without offset and of unit deviation.
        cleaned: What `clean` made of them.
        rate: Samples per second (Hz).
        modality: ECG or PPG.
    """
    found: list[Beats | None] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scores = _ppg_scores(signals, cleaned, rate) if modality is Modality.PPG else None
        for row, signal in enumerate(cleaned):
            try:
                peaks = _peaks(signal, rate, modality)
                template = _template(signal, peaks, rate, modality)
            except Exception as error:
                # neurokit2 raises IndexError, TypeError, ValueError and more on short or odd
                # signals (neuropsychology/NeuroKit#479, #580, #823). A grade is not worth a run.
                logger.debug("looking for beats failed: %s", type(error).__name__)
                found.append(None)
                continue
            score = template if scores is None else float(scores[row])
            found.append(Beats(score, peaks, template))
    return found


def clean(signals: Signals, rate: float, modality: Modality) -> Signals:
    """What `neurokit2.ecg_clean` and `ppg_clean` give, for many signals at once.

    ECG: Butterworth high-pass of order 5 at 0.5 Hz, then the mean over one period of 50 Hz. PPG:
    Butterworth band-pass of order 2 from 0.5 to 8 Hz. Both forwards and backwards.

    Raises:
        ValueError: The signals are too short, or the rate is below the band.
    """
    from scipy import signal as sp

    filtered = sp.sosfiltfilt(_sections(rate, modality), signals, axis=-1)
    if modality is Modality.ECG:
        taps = np.ones(int(rate / 50) if rate >= 100 else 2)
        filtered = sp.filtfilt(taps, [len(taps)], filtered, axis=-1)
    return np.asarray(filtered)


@functools.lru_cache(maxsize=16)
def _sections(rate: float, modality: Modality) -> Any:
    from scipy import signal as sp

    if modality is Modality.ECG:
        return sp.butter(5, 0.5, "highpass", fs=rate, output="sos")
    return sp.butter(2, (0.5, 8.0), "bandpass", fs=rate, output="sos")


def _peaks(cleaned: Signal, rate: float, modality: Modality) -> Int64[np.ndarray, " beats"]:
    import neurokit2 as nk  # takes two seconds, in every worker process

    if modality is Modality.ECG:
        found = nk.ecg_findpeaks(cleaned, sampling_rate=rate)["ECG_R_Peaks"]
    else:
        found = nk.ppg_findpeaks(cleaned, sampling_rate=rate)["PPG_Peaks"]
    return np.asarray(found, dtype=np.int64)


def _template(cleaned: Signal, peaks: Array, rate: float, modality: Modality) -> float:
    """Mean correlation of each beat with the mean of the others (Orphanidou et al., JBHI 2015).

    A beat is not in its own template: in a segment of three it would make a third of it.
    """
    if len(peaks) < 2:
        return float("nan")
    if modality is Modality.ECG:
        before, after = round(_WINDOW[0] * rate), round(_WINDOW[1] * rate)
    else:
        before = after = max(1, round(float(np.median(np.diff(peaks))) / 2))
    inside = peaks[(peaks >= before) & (peaks + after <= len(cleaned))]
    if len(inside) < 2:
        return float("nan")
    beats = cleaned[inside[:, None] + np.arange(-before, after)]
    beats = beats - beats.mean(axis=1, keepdims=True)
    beats /= np.maximum(np.linalg.norm(beats, axis=1, keepdims=True), 1e-12)
    others = beats.sum(axis=0) - beats
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    return float(((beats * others).sum(axis=1) / lengths).mean())


def _ppg_scores(signals: Signals, cleaned: Signals, rate: float) -> Float64[np.ndarray, " rows"]:
    """Self-similarity one beat later times lopsidedness of the slope."""
    pieces = np.array_split(signals, max(1, round(signals.shape[1] / (_PIECE * rate))), axis=1)
    alike = np.mean([self_similarity(piece, rate) for piece in pieces], axis=0)
    slope = np.diff(cleaned, axis=1)
    slope -= slope.mean(axis=1, keepdims=True)
    squared = slope * slope
    skew = np.mean(squared * slope, axis=1) / np.mean(squared, axis=1) ** 1.5
    # Real pulses have a slope skewness above 1.2; Gaussian noise has 0.
    return np.asarray(np.maximum(0.0, alike) * np.sqrt(np.minimum(1.0, np.abs(skew) / 1.2)))


def self_similarity(signals: Signals, rate: float) -> Float64[np.ndarray, " rows"]:
    """Largest correlation of each signal with itself at the lags of plausible beat intervals."""
    time = signals.shape[1]
    first = max(1, round(_LAGS[0] * rate))
    # At least 40 % of the piece must overlap itself, or chance alone correlates well.
    last = min(round(_LAGS[1] * rate), int(0.6 * time))
    if last < first:
        return np.full(len(signals), -1.0)
    lags = np.arange(first, last + 1)
    overlap = time - lags
    inside = np.arange(time) < overlap[:, None]
    best = np.empty(len(signals))
    padded = np.zeros(time + last)
    shifted = np.lib.stride_tricks.sliding_window_view(padded, time)[first:]
    # One signal at a time, all its lags at once: these arrays stay in the processor's cache.
    for row, signal in enumerate(signals):
        padded[:time] = signal
        sums = np.concatenate([[0.0], np.cumsum(signal)])
        left = (signal - (sums[overlap] / overlap)[:, None]) * inside
        right = (shifted - ((sums[-1] - sums[lags]) / overlap)[:, None]) * inside
        lengths = np.sqrt(np.einsum("lt,lt->l", left, left) * np.einsum("lt,lt->l", right, right))
        products = np.einsum("lt,lt->l", left, right)
        best[row] = (products / np.maximum(lengths, 1e-12)).max()
    return best
