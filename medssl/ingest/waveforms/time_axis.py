"""Times of samples: told even or not, and uneven ones brought to an even grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.types import Array

TimeUnit = Literal["s", "ms", "us", "ns", "datetime"]

MAX_GAP_INTERVALS: Final = 4.0
"""Unless configured, samples are interpolated across intervals up to this many nominal ones."""
LATE: Final = 1.5
"""In an interval longer than this many nominal ones a sample was left out."""
MAX_SAME: Final = 8
"""More samples than this at one time, and the clock says too little about when they were taken."""
_CLOSE: Final = 1e-3
"""Times this share of an interval apart are the same: decimals have no exact binary form."""
MAX_EMPTY: Final = 20
"""A grid with more than this many places for each sample is refused: a clock was set anew."""
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

Times = Float64[np.ndarray, " time"]
Signal = Float64[np.ndarray, "channels time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenSignal:
    """Samples on an even grid.

    Args:
        signal: The samples; missing ones are NaN.
        rate: Samples per second (Hz).
        filled: Samples inside an interval from which at least one sample was left out, and that
            was short enough to be interpolated across; None when times were even.
        jitter: Root mean square distance of the times from the even grid (seconds).
    """

    signal: Signal
    rate: float
    filled: Bool[np.ndarray, " time"] | None
    jitter: float


def seconds_of(values: Array | Sequence[str], unit: TimeUnit) -> Times:
    """Times in seconds; a time that is missing or cannot be read is NaN.

    Args:
        values: Numbers, or ISO 8601 texts or datetimes for the unit `datetime`.
        unit: What they are.

    >>> seconds_of(["2016-11-24 13:58:58.5", "2016-11-24 13:59:00"], "datetime").tolist()
    [0.0, 1.5]
    """
    if unit != "datetime":
        times = np.asarray(values, dtype=np.float64)
        # From the first time on, so that clocks since 1970 keep their digits.
        return np.asarray((times - (times[0] if len(times) else 0.0)) * _SECONDS[unit])
    import pandas as pd

    texts = pd.Series(list(values), dtype="object")
    stamps = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    exact = stamps.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    missing = np.isnat(exact)
    first = exact[~missing][:1]
    since = exact - (first[0] if len(first) else np.datetime64(0, "ns"))
    return np.where(missing, np.nan, since / np.timedelta64(1, "s"))


def to_even(
    signal: Signal,
    times: Times,
    *,
    nominal: float | None = None,
    max_gap_seconds: float | None = None,
) -> EvenSignal:
    """Samples on an even grid: as they are where times are even, else interpolated.

    Times are even when none lies a sample or more from its place; printed times are rounded.
    Others go to a grid from the first time on, at the nominal rate, by PCHIP (piecewise cubic
    Hermite interpolation that keeps to the range of neighbouring samples; Fritsch & Butland,
    SIAM J Sci Stat Comput 1984, 10.1137/0905021). A missing sample leaves the intervals beside it
    missing, and so does a gap. Samples that share a time stand evenly between it and the next.

    Args:
        signal: The samples, one column a time.
        times: Their times (seconds).
        nominal: Rate of the grid (Hz); by default that of the median interval (of all intervals
            where samples share times), to three digits.
        max_gap_seconds: Longest interval that is interpolated across.

    Raises:
        Unreadable: `uneven_time`, with what is wrong: missing or falling times, too many samples
            at one time, or gaps many times longer than the recording.
    """
    _check(times)
    if _is_even(times):
        return EvenSignal(
            signal=signal, rate=even_rate(times), filled=None, jitter=_jitter(times, late=np.inf)
        )
    spread, tick = _spread(times)
    rate = nominal if nominal is not None else _nominal(spread, tick)
    late = LATE * max(1.0 / rate, tick)
    close = _CLOSE / rate
    longest = max_gap_seconds if max_gap_seconds is not None else MAX_GAP_INTERVALS / rate
    count = int((spread[-1] - spread[0]) * rate + 1e-6) + 1
    if count > MAX_EMPTY * len(spread):
        detail = f"gaps: {len(spread)} samples in {spread[-1] - spread[0]:.3g} s"
        raise Unreadable(Reason.UNEVEN_TIME, detail)
    grid = spread[0] + np.arange(count) / rate
    intervals = np.diff(spread)
    place = np.clip(np.searchsorted(spread - close, grid, side="right") - 1, 0, len(spread) - 2)
    exact = np.abs(grid - spread[place]) <= close
    gap = (intervals > longest + close)[place] & ~exact
    return EvenSignal(
        signal=np.stack([_on_grid(row, spread, grid, place, gap, exact) for row in signal]),
        rate=rate,
        filled=(intervals > late)[place] & ~gap & ~exact,
        jitter=_jitter(spread, late=late),
    )


def even_rate(times: Times) -> float:
    """The simplest rate that the first and last of evenly spaced times allow (Hz).

    >>> even_rate(np.arange(500) / 125)
    125.0
    """
    count = len(times) - 1
    rate = float(count / (times[-1] - times[0]))
    tolerance = rate * max(0.05 / count, 1e-5)
    for denominator in range(1, 1001):
        simple = round(rate * denominator) / denominator
        if abs(simple - rate) <= tolerance:
            return simple
    return float(f"{rate:.6g}")


def _check(times: Times) -> None:
    """Refuse times that tell no order."""
    missing = int((~np.isfinite(times)).sum())
    if missing:
        raise Unreadable(Reason.UNEVEN_TIME, f"{missing} of {len(times)} times are missing")
    if len(times) < 2 or times[-1] <= times[0]:
        raise Unreadable(Reason.UNEVEN_TIME, "no two times in rising order")
    falling = int((np.diff(times) < 0).sum())
    if falling:
        raise Unreadable(Reason.UNEVEN_TIME, f"{falling} of {len(times)} times fall")
    most = int(np.unique(times, return_counts=True)[1].max())
    if most > MAX_SAME:
        raise Unreadable(Reason.UNEVEN_TIME, f"{most} samples at one time: the clock is too coarse")


def _is_even(times: Times) -> bool:
    interval = (times[-1] - times[0]) / (len(times) - 1)
    places = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(times - places).max() < interval)


def _spread(times: Times) -> tuple[Times, float]:
    """Strictly rising times, and the tick of a clock that gives samples the same one (seconds).

    Samples that share a time stand evenly between it and the next.
    """
    distinct, first, counts = np.unique(times, return_index=True, return_counts=True)
    if len(distinct) == len(times):
        return times, 0.0
    tick = float(np.median(np.diff(distinct)))
    widths = np.minimum(np.append(np.diff(distinct), tick), tick)
    order = np.arange(len(times)) - np.repeat(first, counts)
    return np.asarray(times + order * np.repeat(widths / counts, counts)), tick


def _nominal(times: Times, tick: float) -> float:
    intervals = np.diff(times)
    # A clock that ticks for several samples at once shows ticks, not sample intervals.
    interval = np.mean(intervals) if tick else np.median(intervals)
    return float(f"{1 / interval:.3g}")


def _jitter(times: Times, *, late: float) -> float:
    """Distance from the even grid that fits best, with a place for each sample left out."""
    intervals = np.diff(times)
    usual = float(np.mean(intervals[intervals <= late])) if (intervals <= late).any() else late
    steps = np.where(intervals > late, np.maximum(np.round(intervals / usual), 1.0), 1.0)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    centred = places - places.mean()
    slope = float(centred @ times / (centred @ centred))
    residual = times - times.mean() - slope * centred
    return float(np.sqrt(np.mean(residual**2)))


def _on_grid(
    row: Times, times: Times, grid: Times, place: Array, gap: Array, exact: Array
) -> Times:
    """One channel on the grid; NaN in gaps and beside missing samples."""
    from scipy.interpolate import PchipInterpolator

    known = np.isfinite(row)
    if known.sum() < 2:
        return np.full(len(grid), np.nan)
    values = PchipInterpolator(times[known], row[known], extrapolate=False)(grid)
    missing = gap | ~known[place] | (~known[place + 1] & ~exact)
    return np.where(missing, np.nan, values)
