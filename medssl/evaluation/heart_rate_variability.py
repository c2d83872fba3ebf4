"""Heart-rate variability features: what beat-to-beat intervals say, and only where they can."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.baselines import VARIABILITY, FeatureTable
from medssl.evaluation.heart_rate import FAILURES, find_beats
from medssl.evaluation.recordings import Stretch, find_stretches
from medssl.evaluation.units import spread_rows
from medssl.store.schema import PARTICIPANT, RECORD
from medssl.types import Modality, Rows

if TYPE_CHECKING:
    from medssl.store import Store

logger = logging.getLogger(__name__)

SHORTEST: Final = 10.0
"""Seconds without a gap below which nothing is said: RMSSD is valid from here on (Munoz et al.,
PLoS ONE 2015, 10(9):e0138921)."""
SPREAD: Final = 30.0
"""Seconds of one recording that SDNN and its kin need (the same source)."""
SPECTRAL: Final = 300.0
"""Seconds without a gap that the spectrum needs: the five minutes of the Task Force of the ESC and
NASPE (European Heart Journal 1996, 17:354-381), which also advises against VLF in so short ones."""
INTERVALS: Final = (0.25, 3.0)
"""Plausible beat intervals (seconds)."""
DEVIATION: Final = 0.2
"""An interval further than this share from the median of those around it is no normal one."""
AROUND: Final = 11
"""Intervals that this median is taken over."""
COVERED: Final = 0.5
"""Share of the signal that normal intervals must cover before anything is said of it."""
COVERED_SPECTRAL: Final = 0.9
"""The same for the spectrum, which is interpolated over what is missing."""
TAPS: Final = 4
"""Interpolated intervals in a second, for the spectrum (Hz)."""
BATCH: Final = 16

_TIME: Final = {
    "mean_nn": "MeanNN", "median_nn": "MedianNN", "rmssd": "RMSSD", "cvsd": "CVSD",
    "pnn20": "pNN20", "pnn50": "pNN50", "sdnn": "SDNN", "cvnn": "CVNN", "mad_nn": "MadNN",
    "iqr_nn": "IQRNN",
}  # fmt: skip
_SPREADS: Final = ("sdnn", "cvnn", "mad_nn", "iqr_nn")
VARIABILITY_COLUMNS: Final = (*_TIME, "irregular", "log_lf", "log_hf", "lf_share")
"""Milliseconds; pNN in percent; the share of intervals that are not normal; log ms² twice;
LF / (LF + HF). Definitions of the Task Force, as neurokit2 computes them."""


@dataclass(frozen=True, eq=False)
class Beats:
    """The intervals of one stretch.

    Args:
        intervals: Normal intervals (ms).
        times: When each ends (seconds from the beginning of the stretch).
        plausible: How many intervals there were, normal or not.
        seconds: Duration of the stretch.
        spectrum: log LF, log HF and LF / (LF + HF); NaN where they cannot be told.
    """

    intervals: np.ndarray
    times: np.ndarray
    plausible: int
    seconds: float
    spectrum: np.ndarray


def heart_rate_variability_features(
    store: Store,
    rows: Rows,
    modality: Modality,
    *,
    channel: int = 0,
    per_participant: int | None = 16,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureTable:
    """Heart-rate variability of recordings, given to each of their records.

    Segments that follow each other are put together again, and beats are found in stretches of up
    to five minutes; no interval bridges a gap. Intervals of one recording are pooled for the time
    domain; LF and HF are the mean over its stretches of five whole minutes. A recording that is too
    short, or whose beats cannot be told, has NaN. From PPG it is pulse-rate variability.

    Args:
        store: Where the records are.
        rows: Row numbers of waveforms of one modality.
        modality: PPG or ECG.
        channel: Which channel to look at.
        per_participant: Stretches looked at per participant, evenly spaced; None looks at all.
        workers: Processes that look for beats.
        progress: Called with (stretches done, stretches in all).

    Returns:
        `VARIABILITY_COLUMNS` by record.

    Raises:
        StageError: The modality has no heart beats.
    """
    if modality not in (Modality.PPG, Modality.ECG):
        msg = f"heart-rate variability needs ppg or ecg, not {modality.value}: leave it out"
        raise StageError(msg)
    rows = np.asarray(rows)
    stretches, recordings = find_stretches(store, rows, longest=SPECTRAL)
    stretches = [stretch for stretch in stretches if stretch.seconds >= SHORTEST]
    owners = store.column(PARTICIPANT, rows).astype(np.str_)
    if per_participant is not None and stretches:
        theirs = store.column(PARTICIPANT, np.array([stretch.rows[0] for stretch in stretches]))
        chosen = spread_rows(theirs.astype(np.str_), per_participant)
        stretches = [stretches[place] for place in chosen.tolist()]
    values = np.full((len(rows), len(VARIABILITY_COLUMNS)), np.nan)
    found = _look(store, stretches, modality, channel, workers)
    done = 0
    for recording, group in itertools.groupby(found, key=lambda pair: pair[0].recording):
        beats = [one for _, one in group]
        values[recordings == recording] = variability(beats)
        done += len(beats)
        if progress is not None:
            progress(done, len(stretches))
    told = np.isfinite(values).any(axis=1)
    everyone = len(set(owners.tolist()))
    without = len(set(owners.tolist()) - set(owners[told].tolist()))
    return FeatureTable(
        VARIABILITY,
        store.column(RECORD, rows),
        values,
        VARIABILITY_COLUMNS,
        note=f"{without} of {everyone} participants without" if without else "",
        by="record",
    )


def _look(
    store: Store, stretches: Sequence[Stretch], modality: Modality, channel: int, workers: int
) -> Iterator[tuple[Stretch, Beats]]:
    """Stretches and their beats, in order."""
    from medssl.ingest.executor import map_batches

    batches = [stretches[at : at + BATCH] for at in range(0, len(stretches), BATCH)]
    function = partial(_look_at_some, store=store, modality=modality, channel=channel)
    for outcome in map_batches(function, batches, workers=workers):
        kept = [one for one in outcome.items if one not in outcome.killed]
        yield from zip(kept, outcome.result or (), strict=True)


def _look_at_some(
    stretches: Sequence[Stretch], *, store: Store, modality: Modality, channel: int
) -> list[Beats]:
    return [
        find_intervals(stretch.read(store, channel=channel), rate=stretch.rate, modality=modality)
        for stretch in stretches
    ]


def find_intervals(signal: np.ndarray, *, rate: float, modality: Modality) -> Beats:
    """Normal beat intervals of a signal without gaps, and the spectrum of five minutes of them.

    A beat is put where the parabola through the highest sample and its neighbours is highest, as
    the Task Force asks for at low rates. Intervals that are not plausible, or further than a fifth
    from the median around them, are left out and never mended.

    Args:
        signal: Samples, shape (time,).
        rate: Samples per second (Hz).
        modality: PPG or ECG.
    """
    nothing = np.full(3, np.nan)
    seconds = len(signal) / rate
    empty = Beats(np.empty(0), np.empty(0), 0, seconds, nothing)
    if not np.isfinite(signal).all() or signal.std() == 0:
        return empty
    try:
        cleaned, peaks = find_beats(signal, rate, modality)
    except FAILURES as error:
        logger.debug("neurokit2 found no beats: %s: %s", type(error).__name__, error)
        return empty
    beats = refine(cleaned, np.unique(peaks)) / rate
    intervals = np.diff(beats)
    plausible = (intervals >= INTERVALS[0]) & (intervals <= INTERVALS[1])
    normal = np.zeros(len(intervals), dtype=bool)
    normal[plausible] = is_normal(intervals[plausible])
    found = Beats(
        1000.0 * intervals[normal], beats[1:][normal], int(plausible.sum()), seconds, nothing
    )
    whole = seconds >= SPECTRAL - 1.0 / rate
    if whole and found.intervals.sum() >= 1000.0 * COVERED_SPECTRAL * seconds:
        return Beats(found.intervals, found.times, found.plausible, seconds, _spectrum(found))
    return found


def refine(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Places of maxima between samples, by the parabola through three of them.

    A peak at either end, or one that is no maximum, stays where it is.

    Args:
        signal: Shape (time,).
        peaks: Samples, shape (p,).

    >>> refine(np.array([0.0, 3.0, 4.0, 1.0]), np.array([2])).tolist()
    [1.75]
    """
    inner = np.clip(peaks, 1, max(1, len(signal) - 2))
    before, here, after = (signal[inner + shift] for shift in (-1, 0, 1))
    bend = before - 2.0 * here + after
    maximum = (inner == peaks) & (here >= before) & (here >= after) & (bend < 0)
    shift = 0.5 * (before - after) / np.where(maximum, bend, 1.0)
    return np.asarray(peaks + np.where(maximum, shift, 0.0))


def is_normal(intervals: np.ndarray) -> np.ndarray:
    """Which intervals are within a fifth of the median of the eleven around them, bool (n,).

    >>> is_normal(np.array([0.8, 0.8, 0.5, 1.1, 0.8, 0.9])).tolist()
    [True, True, False, False, True, True]
    """
    if len(intervals) == 0:
        return np.zeros(0, dtype=bool)
    padded = np.pad(intervals, AROUND // 2, constant_values=np.nan)
    middle = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, AROUND), axis=1)
    return np.asarray(np.abs(intervals - middle) <= DEVIATION * middle)


def variability(beats: Sequence[Beats]) -> np.ndarray:
    """`VARIABILITY_COLUMNS` of one recording from its stretches; NaN for what cannot be told."""
    features = dict.fromkeys(VARIABILITY_COLUMNS, np.nan)
    seconds = sum(one.seconds for one in beats)
    plausible = sum(one.plausible for one in beats)
    intervals = np.concatenate([one.intervals for one in beats])
    if plausible:
        features["irregular"] = 1.0 - len(intervals) / plausible
    if intervals.sum() < 1000.0 * COVERED * seconds or len(intervals) < 2:
        return np.array(list(features.values()))
    # Stretches stand apart on the axis of time, so that no difference is taken across a gap.
    begins = np.cumsum([0.0, *(one.seconds + SHORTEST for one in beats[:-1])])
    times = np.concatenate([at + one.times for at, one in zip(begins, beats, strict=True)])
    told = _neurokit("hrv_time", intervals, times)
    for name, theirs in _TIME.items():
        if name not in _SPREADS or seconds >= SPREAD:
            features[name] = told.get(f"HRV_{theirs}", np.nan)
    spectra = np.stack([one.spectrum for one in beats])
    known = np.isfinite(spectra).all(axis=1)
    if known.any():
        features.update(
            zip(VARIABILITY_COLUMNS[-3:], spectra[known].mean(axis=0).tolist(), strict=True)
        )
    return np.array(list(features.values()), dtype=np.float64)


def _spectrum(beats: Beats) -> np.ndarray:
    told = _neurokit(
        "hrv_frequency", beats.intervals, beats.times, normalize=False, interpolation_rate=TAPS
    )
    low, high = (told.get(f"HRV_{band}", np.nan) for band in ("LF", "HF"))
    if not (low > 0 and high > 0):
        return np.full(3, np.nan)
    return np.array([np.log(low), np.log(high), low / (low + high)])


def _neurokit(
    function: str, intervals: np.ndarray, times: np.ndarray, **settings: Any
) -> dict[str, float]:
    """What neurokit2 says of intervals (ms) that end at times (seconds); nothing when it fails."""
    import neurokit2  # imported here: it takes two seconds

    given = {"RRI": intervals, "RRI_Time": times}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = getattr(neurokit2, function)(given, **settings)
    except FAILURES as error:
        logger.debug("neurokit2's %s failed: %s: %s", function, type(error).__name__, error)
        return {}
    told = {name: float(table[name].iloc[0]) for name in table.columns}
    return {name: value for name, value in told.items() if np.isfinite(value)}
