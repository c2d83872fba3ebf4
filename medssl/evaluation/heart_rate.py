"""Heart-rate features: what a probe must beat before an encoder was worth training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.baselines import HEART_RATE, FeatureTable
from medssl.evaluation.units import spread_rows
from medssl.store.schema import PARTICIPANT, RATE, RECORD
from medssl.types import Modality, Rows

if TYPE_CHECKING:
    from medssl.store import Store

logger = logging.getLogger(__name__)

HEART_RATE_COLUMNS: Final = (
    "heart_rate",
    "interval_sd",
    "interval_rmssd",
    "peak_mean",
    "peak_sd",
    "amplitude_sd",
)
"""Beats per minute; seconds; seconds; units of the record (three times)."""

FAILURES: Final = (ArithmeticError, IndexError, KeyError, TypeError, ValueError)
"""What neurokit2 0.2.13 raises on flat, short or peakless segments."""


def heart_rate_features(
    store: Store,
    rows: Rows,
    *,
    modality: Modality,
    channel: int = 0,
    per_participant: int | None = 16,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureTable:
    """Heart rate, beat-to-beat spread and peak heights of records, by neurokit2.

    A record in which no two beats are found has none of them, and one that was not looked at
    neither; a probe takes the mean over what there is.

    Args:
        store: Where the records are.
        rows: Row numbers of waveforms of one modality.
        modality: PPG or ECG.
        channel: Which channel to look at.
        per_participant: Records looked at per participant, evenly spaced over those in `rows`;
            None looks at all.
        progress: Called with (records done, records in all).

    Raises:
        StageError: The modality has no heart beats.
    """
    if modality not in (Modality.PPG, Modality.ECG):
        msg = f"heart-rate features need ppg or ecg, not {modality.value}: leave this baseline out"
        raise StageError(msg)
    rows = np.asarray(rows)
    owners = store.column(PARTICIPANT, rows).astype(np.str_)
    rates = store.column(RATE, rows).astype(np.float64)
    chosen = (
        np.arange(len(rows)) if per_participant is None else spread_rows(owners, per_participant)
    )
    found = np.full((len(rows), len(HEART_RATE_COLUMNS)), np.nan)
    for done, i in enumerate(chosen):
        signal = store.read(rows[[i]])[0, channel]
        found[i] = beat_features(signal, rate=float(rates[i]), modality=modality)
        if progress is not None:
            progress(done + 1, len(chosen))
    beats = np.isfinite(found[:, 0])
    failed = len(chosen) - int(beats.sum())
    without = len(set(owners.tolist()) - set(owners[beats].tolist()))
    everyone = len(set(owners.tolist()))
    if failed:
        logger.info("heart-rate features: no beats in %d of %d records", failed, len(chosen))
    return FeatureTable(
        HEART_RATE,
        store.column(RECORD, rows),
        found,
        HEART_RATE_COLUMNS,
        note=f"{without} of {everyone} participants without beats" if without else "",
        by="record",
    )


def beat_features(signal: np.ndarray, *, rate: float, modality: Modality) -> np.ndarray:
    """`HEART_RATE_COLUMNS` of one channel; NaN for what cannot be told.

    Args:
        signal: Samples, shape (time,), in the units of the record.
        rate: Samples per second (Hz).
        modality: PPG or ECG.
    """
    features = np.full(len(HEART_RATE_COLUMNS), np.nan)
    signal = np.asarray(signal, dtype=np.float64)
    if not np.isfinite(signal).all() or signal.std() == 0:
        return features
    try:
        cleaned, peaks = find_beats(signal, rate, modality)
    except FAILURES as error:
        logger.debug("neurokit2 found no beats: %s: %s", type(error).__name__, error)
        return features
    intervals = np.diff(np.sort(peaks)) / rate
    intervals = intervals[(intervals >= 0.25) & (intervals <= 3.0)]
    if len(intervals) == 0:
        return features
    heights = cleaned[peaks]
    features[0] = 60.0 / intervals.mean()
    features[1] = intervals.std() if len(intervals) > 1 else np.nan
    features[2] = np.sqrt(np.mean(np.diff(intervals) ** 2)) if len(intervals) > 1 else np.nan
    features[3:] = heights.mean(), heights.std(), signal.std()
    return features


def find_beats(
    signal: np.ndarray, rate: float, modality: Modality
) -> tuple[np.ndarray, np.ndarray]:
    """A cleaned channel, shape (time,), and the samples at which it has beats, int64.

    Raises:
        One of `FAILURES`: The signal is flat, short or without peaks.
    """
    import neurokit2  # imported here: it takes two seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about every short segment
        if modality is Modality.PPG:
            cleaned = neurokit2.ppg_clean(signal, sampling_rate=rate)
            info = neurokit2.ppg_findpeaks(cleaned, sampling_rate=rate)
            peaks = info["PPG_Peaks"]
        else:
            cleaned = neurokit2.ecg_clean(signal, sampling_rate=rate)
            info = neurokit2.ecg_findpeaks(cleaned, sampling_rate=rate)
            peaks = info["ECG_R_Peaks"]
    positions = np.asarray(peaks, dtype=np.float64)
    positions = positions[np.isfinite(positions)].astype(np.int64)
    return np.asarray(cleaned, dtype=np.float64), positions
