"""Resampling by an exact rational factor, once, at ingest."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Float32
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
    # repr of a float is its shortest decimal, so 62.4725 means 62.4725 and not its binary value.
    ratio = Fraction(repr(float(to_rate))) / Fraction(repr(float(from_rate)))
    if max(ratio.numerator, ratio.denominator) > MAX_FACTOR:
        msg = (
            f"{from_rate!r} Hz to {to_rate!r} Hz needs the factor "
            f"{ratio.numerator}/{ratio.denominator}: choose a rate in a simpler proportion"
        )
        raise IngestError(msg)
    return ratio.numerator, ratio.denominator


def resample(
    array: Array, *, from_rate: float, to_rate: float
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
    finite = np.isfinite(wide)
    count = np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    mean = np.where(finite, wide, 0.0).sum(axis=-1, keepdims=True) / count
    # Infinite samples are missing samples; they must not turn their neighbours infinite.
    centred = np.where(finite, wide - mean, np.nan)
    resampled = signal.resample_poly(
        centred, up, down, axis=-1, window=("kaiser", 5.0), padtype="edge"
    )
    return np.asarray(resampled + mean, dtype=np.float32)
