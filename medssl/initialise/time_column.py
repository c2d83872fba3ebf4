"""Columns of text files that are no channel: time, sample numbers, event times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from medssl.initialise.channel_names import bare_name
from medssl.initialise.text_shape import TextShape

MIN_RATE: Final = 10.0
"""Slower tables are measurements or trends, not waveforms (Hz)."""

_TIME: Final = re.compile(
    r"(time|timer|timestamps?|t|elapsed|seconds?|secs?|msecs?|ms)(?![a-z]).*", re.I
)
_INDEX: Final = re.compile(r"(|index|idx|samples?|n|no|nr|#|frame|unnamed.*)", re.I)
_MILLI: Final = re.compile(r"(^|[\W_])(ms|msecs?|milliseconds?)($|[\W_])", re.I)
_SECOND: Final = re.compile(r"(^|[\W_])(s|secs?|seconds?)($|[\W_])", re.I)
_LONGEST_STEP: Final = 0.1
"""A time without a unit that advances by less than this is in seconds."""
RATES: Final = (1.0, 100_000.0)
"""Below or above these, the times are in another unit (Hz)."""
PER_SECOND: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "datetime": 1.0}
"""Units of time in a second, by unit; dates and times are told in seconds."""

TimeUnit = Literal["s", "ms", "datetime", "unknown"]


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column with times.

    Args:
        name: Its name, or number counted from 0.
        unit: Seconds, milliseconds, dates and times (told in seconds), or not told.
        rate: Samples per unit of time.
        even: Whether the first rows lie on an even grid, as ingest demands.
    """

    name: str
    unit: TimeUnit
    rate: float
    even: bool

    @property
    def hertz(self) -> float:
        """Samples per second; if the unit is not told, as if it were milliseconds."""
        return tidy(self.rate * PER_SECOND.get(self.unit, 1000.0))


def tidy(rate: float) -> float:
    """A rate without the noise of rounded times.

    >>> tidy(124.98), tidy(29.97)
    (125.0, 29.97)
    """
    return float(round(rate)) if abs(rate - round(rate)) < 5e-4 * rate else float(f"{rate:.4g}")


def plausible_units(rate: float) -> dict[str, float]:
    """The units that times may be in, and the rate in each (Hz).

    Args:
        rate: Samples per unit of time.

    >>> plausible_units(1 / 40)
    {'ms': 25.0, 'us': 25000.0}
    """
    rates = {unit: tidy(rate * PER_SECOND[unit]) for unit in ("ms", "s", "us", "ns")}
    return {unit: hertz for unit, hertz in rates.items() if RATES[0] <= hertz <= RATES[1]}


def split_columns(shape: TextShape) -> tuple[TimeColumn | None, tuple[str, ...]]:
    """The time column, if any, and the columns that may be channels."""
    if shape.layout == "row":
        return None, shape.names
    time: TimeColumn | None = None
    channels = []
    if shape.clock is not None:
        time = _time(shape.names[shape.clock], shape.values[:, shape.clock], "datetime")
    for place, name in enumerate(shape.names):
        if place == shape.clock:
            continue
        values = shape.values[:, place]
        rising = len(values) > 2 and np.isfinite(values).all() and (np.diff(values) > 0).all()
        if rising and _is_index(shape, place):
            continue
        if rising and time is None and _is_time(shape, place):
            time = _time(name, values)
        elif len(values) == 0 or not np.isnan(values).all() or name:
            channels.append(name)
    return time, tuple(channels)


def is_time_name(name: str) -> bool:
    """Whether a column is called like one with times.

    >>> is_time_name("Time [s]"), is_time_name("t"), is_time_name("temperature")
    (True, True, False)
    """
    return _TIME.fullmatch(name) is not None


def is_event_list(shape: TextShape) -> bool:
    """Whether every column only rises, as sample numbers or times of events do."""
    if shape.layout == "row" or len(shape.values) < 20:
        return False
    steps = np.diff(shape.values, axis=0)
    steps = steps[np.isfinite(steps)]
    # Annotators sometimes step back; a signal falls as often as it rises.
    return bool(len(steps) and (steps >= 0).mean() > 0.95 and np.median(steps) > 0)


def _is_index(shape: TextShape, place: int) -> bool:
    values = shape.values[:, place]
    counts = bool((np.diff(values) == 1).all()) and values[0] in {0.0, 1.0}
    if shape.header:
        return counts and _INDEX.fullmatch(shape.names[place]) is not None
    return counts and place == 0 and len(shape.names) > 1


def _is_time(shape: TextShape, place: int) -> bool:
    if shape.header:
        return is_time_name(shape.names[place])
    if place or len(shape.names) == 1:
        return False
    steps = np.diff(shape.values[:, 0])
    return bool(np.ptp(steps) <= 0.5 * np.median(steps))


def _time(
    name: str, values: Float64[np.ndarray, " rows"], unit: TimeUnit = "unknown"
) -> TimeColumn:
    count = len(values) - 1
    rate = float(count / (values[-1] - values[0]))
    places = (values - values[0]) * rate
    even = float(np.abs(places - np.arange(count + 1)).max()) < 1.0
    steps = np.diff(values)
    if not even and (steps > 0).all():  # ingest's grid has the rate of the median interval
        rate = float(f"{1 / np.median(steps):.3g}")
    words = name.removeprefix(bare_name(name)) or name
    if unit != "unknown":
        pass  # dates need no unit
    elif _MILLI.search(words):
        unit = "ms"
    elif _SECOND.search(words) or 1 / RATES[1] <= 1 / rate <= _LONGEST_STEP:
        unit = "s"
    return TimeColumn(name, unit, rate, even)
