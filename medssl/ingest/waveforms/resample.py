"""Resampling by an exact rational factor, once, at ingest."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy import signal

from medssl.errors import IngestError
from medssl.types import Array

MAX_FACTOR = 50_000
"""Larger factors would need filters of more than a million taps."""


def factors(from_rate: float, to_rate: float) -> tuple[int, int]:
    """The exact factors (up, down) with to_rate / from_rate = up / down.

    >>> factors(500, 128)
    (32, 125)

    Raises:
        IngestError: A rate is not positive, or the factors are too large to be practical.
    """
    if not (np.isfinite(from_rate) and np.isfinite(to_rate) and from_rate > 0 and to_rate > 0):
        msg = f"rates must be positive: got {from_rate:g} Hz and {to_rate:g} Hz"
        raise IngestError(msg)
    ratio = _exact(to_rate) / _exact(from_rate)
    if max(ratio.numerator, ratio.denominator) > MAX_FACTOR:
        msg = (
            f"{from_rate!r} Hz to {to_rate!r} Hz needs the factor "
            f"{ratio.numerator}/{ratio.denominator}: choose a rate in a simpler proportion"
        )
        raise IngestError(msg)
    return ratio.numerator, ratio.denominator


def _exact(rate: float) -> Fraction:
    """The rate that a float stands for: 62.4725 means that decimal, and 33.3333… a third of 100."""
    simple = Fraction(rate).limit_denominator(1000)
    return simple if float(simple) == rate else Fraction(repr(float(rate)))


def resample(
    array: Array, *, from_rate: float, to_rate: float, level: Array | None = None
) -> Float32[np.ndarray, "channels time"]:
    """Resample along the last axis with a polyphase filter (Kaiser window, beta 5.0).

    The first sample keeps its time; the result has ceil(time · to_rate / from_rate) samples. The
    channel mean is taken off and put back, and the ends are extended by their own value, so that
    a large offset leaves no step at the ends. A missing sample (NaN) stays missing together with
    those within the filter's reach. Equal rates return the samples as they are.

    Args:
        array: Waveform of shape (channels, time) or (time,).
        from_rate: Its samples per second (Hz).
        to_rate: Samples per second of the result (Hz).
        level: What is taken off and put back instead of the mean, of shape (channels, 1): parts
            of one recording need one level.

    Raises:
        IngestError: The rates are not positive or not in a practical proportion.

    >>> resample([[1.0, 1.0, 1.0, 1.0]], from_rate=4, to_rate=2)
    array([[1., 1.]], dtype=float32)
    """
    up, down = factors(from_rate, to_rate)
    values = np.asarray(array)
    if up == down or values.shape[-1] == 0:
        return values.astype(np.float32)
    wide = values.astype(np.float64)
    if level is None:
        total, count = finite_sum(wide)
        level = total / np.maximum(count, 1)
    # Infinite samples are missing samples; they must not turn their neighbours infinite.
    centred = np.where(np.isfinite(wide), wide - level, np.nan)
    resampled = signal.resample_poly(
        centred, up, down, axis=-1, window=("kaiser", 5.0), padtype="edge"
    )
    return np.asarray(resampled + level, dtype=np.float32)


def reach(from_rate: float, to_rate: float) -> int:
    """Samples of the original on either side that can make a difference to one of the result.

    >>> reach(500, 128), reach(128, 500), reach(128, 128)
    (45, 13, 0)

    Raises:
        IngestError: As for `factors`.
    """
    up, down = factors(from_rate, to_rate)
    # scipy's filter has 10 · max(up, down) taps on either side, at `up` times the rate, and up to
    # `down` zeros before them, which spread a NaN too.
    return 0 if up == down else math.ceil((10 * max(up, down) + down) / up) + 2


def finite_sum(
    array: Array,
) -> tuple[Float64[np.ndarray, "... 1"], Int64[np.ndarray, "... 1"]]:
    """Sum and number of the finite samples along the last axis, which is kept with length 1.

    >>> finite_sum(np.array([[1.0, np.nan, 2.0]]))
    (array([[3.]]), array([[2]]))
    """
    finite = np.isfinite(array)
    total = np.where(finite, array, 0.0).sum(axis=-1, keepdims=True)
    return np.asarray(total), np.asarray(finite.sum(axis=-1, keepdims=True))
