"""Zero-phase filters of waveforms: which frequencies are taken out before resampling."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Literal, Self

import numpy as np
from jaxtyping import Float64
from pydantic import Field, PositiveFloat, model_validator

from medssl.config import StoredModel
from medssl.types import Array

NOTCH_QUALITY: Final = 30.0
"""Mains frequency over the notch's width at half power (-3 dB)."""
_DECAYED: Final = 1e-8
"""Share of a disturbance that is left beyond the filter's reach."""


class Filter(StoredModel):
    """A Butterworth filter run forwards and backwards, so that nothing is shifted in time.

    It runs at the recording's own rate, before resampling. Either edge may be left out: `low`
    alone takes out drift, `high` alone takes out fast noise, both keep a band. Running both ways
    squares the gain: at an edge it is one half, and the order counts twice.

    >>> Filter(low=0.5, high=40).label
    '0.5 to 40 Hz, Butterworth of order 4, zero phase'
    >>> Filter(high=40).text
    '{"high": 40.0, "order": 4}'
    """

    low: float | None = Field(
        None, ge=0.01, allow_inf_nan=False, description="slower parts are taken out (Hz)"
    )
    high: PositiveFloat | None = Field(
        None, allow_inf_nan=False, description="faster parts are taken out (Hz)"
    )
    order: int = Field(4, ge=1, le=8, description="order of the Butterworth filter")
    notch: PositiveFloat | None = Field(
        None, allow_inf_nan=False, description="mains frequency that is taken out (Hz)"
    )

    @model_validator(mode="after")
    def _check_edges(self) -> Self:
        if self.low is None and self.high is None and self.notch is None:
            msg = "give the filter an edge: low: 0.5, high: 40, or both; or notch: 50"
            raise ValueError(msg)
        if self.low is not None and self.high is not None and self.low >= self.high:
            msg = f"low ({self.low:g} Hz) must be below high ({self.high:g} Hz)"
            raise ValueError(msg)
        return self

    @property
    def label(self) -> str:
        """The filter in words."""
        parts = []
        if self.low is not None and self.high is not None:
            parts.append(f"{self.low:g} to {self.high:g} Hz")
        elif self.low is not None:
            parts.append(f"above {self.low:g} Hz")
        elif self.high is not None:
            parts.append(f"below {self.high:g} Hz")
        if parts:
            parts.append(f"Butterworth of order {self.order}")
        if self.notch is not None:
            parts.append(f"notch at {self.notch:g} Hz (Q = {NOTCH_QUALITY:g})")
        return ", ".join([*parts, "zero phase"])

    @property
    def top(self) -> float:
        """The highest frequency it speaks of (Hz); half the recording's rate must be above."""
        return max(value for value in (self.low, self.high, self.notch) if value is not None)

    @property
    def passes_offset(self) -> bool:
        """Whether a constant goes through unchanged; otherwise it becomes zero."""
        return self.low is None

    def fits(self, rate: float) -> bool:
        """Whether a recording of this rate (Hz) holds the frequencies that it speaks of."""
        return self.top < rate / 2

    def reach(self, rate: float) -> int:
        """Samples after which a disturbance has decayed below 1e-6 of itself, either way."""
        # Zeros and gains shape only the beginning; the slowest pole decides how long it lasts.
        poles = np.concatenate([np.roots(section[3:]) for section in _sections(self, rate)])
        slowest = float(np.abs(poles).max())
        decay = math.ceil(math.log(_DECAYED) / math.log(slowest)) if slowest > 0 else 0
        return max(decay, self.padding(rate) + 1)

    def padding(self, rate: float) -> int:
        """Samples by which each end is mirrored: the default of `scipy.signal.sosfiltfilt`."""
        sections = _sections(self, rate)
        still = min((sections[:, 2] == 0).sum(), (sections[:, 5] == 0).sum())
        return int(3 * (2 * len(sections) + 1 - still))

    def apply(self, signal: Array, rate: float) -> Float64[np.ndarray, "channels time"]:
        """Filter each channel; what is missing (NaN or infinite) is never bridged.

        The pieces between missing samples are filtered each on its own. A piece that is not
        longer than the mirrored ends (some 20 samples) stays missing.

        Args:
            signal: Waveform of shape (channels, time).
            rate: Its samples per second (Hz), more than twice `top`.
        """
        from scipy import signal as scipy_signal  # slow to import

        sections, padding = _sections(self, rate), self.padding(rate)
        wide = np.asarray(signal, dtype=np.float64)
        finite = np.isfinite(wide)
        if wide.shape[-1] > padding and finite.all():
            return np.asarray(scipy_signal.sosfiltfilt(sections, wide, axis=-1))
        filtered = np.full(wide.shape, np.nan)
        for row, channel, there in zip(filtered, wide, finite, strict=True):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]])))
            for start, stop in edges.reshape(-1, 2):
                if stop - start > padding:
                    row[start:stop] = scipy_signal.sosfiltfilt(sections, channel[start:stop])
        return filtered


@lru_cache(maxsize=64)
def _sections(settings: Filter, rate: float) -> Float64[np.ndarray, "sections 6"]:
    """Second-order sections for one rate."""
    from scipy import signal

    low, high, notch = settings.low, settings.high, settings.notch
    edges = [edge for edge in (low, high) if edge is not None]
    parts = []
    if edges:
        kind: Literal["bandpass", "highpass", "lowpass"]
        kind = "bandpass" if len(edges) == 2 else "lowpass" if low is None else "highpass"
        wanted = edges if len(edges) == 2 else edges[0]
        parts.append(signal.butter(settings.order, wanted, kind, fs=rate, output="sos"))
    if notch is not None:
        parts.append(signal.tf2sos(*signal.iirnotch(notch, NOTCH_QUALITY, fs=rate)))
    return np.concatenate(parts)
