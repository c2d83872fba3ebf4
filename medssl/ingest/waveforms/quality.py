"""Signal quality in [0, 1] and its components: any failure means bad, and nothing here raises."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float64

from medssl.ingest.waveforms.beats import HEART, NO_BEATS, Beats, clean, find_beats
from medssl.ingest.waveforms.components import (
    FLAT_SECONDS,
    clipped_share,
    constant,
    flat_share,
    moments,
    worst,
)
from medssl.types import Array, Modality

logger = logging.getLogger(__name__)

MAX_FLAT: Final = 0.5
"""Share of samples in long runs of one value above which a channel is flat."""
MAX_CLIPPED: Final = 0.2
"""Share of samples held at either extreme above which a channel is clipped."""
HEART_RATES: Final = (25.0, 240.0)
"""Plausible heart rates (beats per minute)."""
SHORT_SECONDS: Final = 4.0
"""A shorter segment need not hold two whole beats: its template is unknown, not bad."""
_TOGETHER: Final = 1 << 17
"""Samples graded at once: their arrays stay in the processor's cache."""

_UNKNOWN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Quality:
    """Grade of one segment.

    Args:
        score: 0 (flat, clipped, peakless, or grading failed) to 1 (every beat alike).
        heart_rate: From the median beat interval (beats per minute); NaN when unknown.
        reasons: Why points were taken off: `"missing"`, `"flat"`, `"clipped"`, `"no_beats"`,
            `"implausible_rate"`, `"failed"`.
        components: By name (`store.schema.GRADES`); NaN where one does not apply.
    """

    score: float
    heart_rate: float
    reasons: tuple[str, ...] = ()
    components: Mapping[str, float] = field(default_factory=dict)


def grade(segment: Array, rate: float, modality: Modality) -> Quality:
    """Grade one segment; see `grade_all`.

    Args:
        segment: Waveform of shape (channels, time).
        rate: Samples per second (Hz).
        modality: What was measured.

    >>> found = grade(np.zeros((1, 640)), 128.0, Modality.ECG)
    >>> found.score, found.reasons, found.components["flat"]
    (0.0, ('flat',), 1.0)
    """
    try:
        segments = np.atleast_2d(np.asarray(segment, dtype=np.float64))[None]
    except (TypeError, ValueError):
        return Quality(0.0, _UNKNOWN, ("failed",))
    return grade_all(segments, rate, modality)[0]


def grade_all(
    segments: Array,
    rate: float,
    modality: Modality,
    *,
    shares: Mapping[str, Array] | None = None,
) -> list[Quality]:
    """Grade segments of one length; a segment's worst channel decides its score. Never raises.

    The score, from the segment alone:

    - Scale-free first checks: a channel that is mostly flat or clipped scores 0.
    - ECG: neurokit2 finds R peaks in the cleaned signal; the score is the mean correlation of each
      beat with the mean of the *other* beats (after Orphanidou et al., JBHI 2015,
      10.1109/JBHI.2014.2338351; leaving the beat out of its own template keeps short segments
      honest).
    - PPG: a 2 s segment holds two beats, so the score is instead the best correlation of the
      signal with itself one beat interval later, times the square root of how lopsided its slope
      is (a pulse rises faster than it falls; noise does neither), of either polarity.
    - Other modalities: one minus the flat and clipped shares.

    The components, each with one idea, for filters (`reduce.quality`) and for looking at:

    - `template`: the correlation above, for PPG over windows of one median beat interval around
      each pulse peak. 0 where no two beats were found; NaN for other modalities, and for segments
      below four seconds that hold fewer than two whole beats. Lowest channel.
    - `skewness`, `kurtosis`: see `components.moments`; of the samples as stored, for ECG after
      cleaning, because a wandering baseline hides its peaks. Lowest channel.
    - `flat`, `clipped`: shares of samples; `missing`: share of samples that were not measured but
      interpolated by the reader, which only `shares` knows. Highest channel.

    Args:
        segments: Waveforms of shape (segments, channels, time).
        rate: Samples per second (Hz).
        modality: What was measured.
        shares: Of the recorded samples, which replace those of the segments: `"flat"` and
            `"clipped"` of shape (segments, channels), as from `components.raw_shares`, `"missing"`
            of shape (segments,). The score ignores them.
    """
    found: list[Quality] = []
    together = max(1, _TOGETHER // max(1, segments.shape[1] * segments.shape[2]))
    for start in range(0, len(segments), together):
        few = slice(start, start + together)
        known = {name: values[few] for name, values in (shares or {}).items()}
        try:
            found += _grade(np.asarray(segments[few], dtype=np.float64), rate, modality, known)
        except Exception as error:
            # A grade is not worth a run.
            logger.debug("grading failed: %s", type(error).__name__)
            found += [Quality(0.0, _UNKNOWN, ("failed",))] * len(segments[few])
    return found


def _grade(
    segments: Float64[np.ndarray, "batch channels time"],
    rate: float,
    modality: Modality,
    shares: Mapping[str, Array],
) -> list[Quality]:
    batch, channels, time = segments.shape
    rows = segments.reshape(batch * channels, time)
    finite = np.isfinite(rows).all(axis=1) if time else np.zeros(len(rows), dtype=np.bool_)
    values = {
        name: np.full(len(rows), _UNKNOWN)
        for name in ("template", "skewness", "kurtosis", "flat", "clipped")
    }
    verdicts = [Quality(0.0, _UNKNOWN, ("missing",))] * len(rows)
    if finite.any():
        whole = rows[finite]
        flat = flat_share(whole, run=max(3, round(FLAT_SECONDS * rate)))
        clipped = clipped_share(whole)
        usable = (flat <= MAX_FLAT) & (clipped <= MAX_CLIPPED)
        beats, cleaned = _beats(whole, usable, rate, modality)
        shapes = cleaned if modality is Modality.ECG else whole
        values["skewness"][finite], values["kurtosis"][finite] = moments(shapes)
        values["flat"][finite], values["clipped"][finite] = flat, clipped
        if modality in HEART:
            short = time < SHORT_SECONDS * rate
            values["template"][finite] = [_known_template(one, short) for one in beats]
        for row, *facts in zip(np.flatnonzero(finite), flat, clipped, beats, strict=True):
            verdicts[row] = _judge(*facts, rate=rate, heart=modality in HEART)
    by_channel = {name: found.reshape(batch, channels) for name, found in values.items()}
    # Samples that were interpolated are only known to the reader.
    missing = np.isfinite(segments).all(axis=1).mean(axis=1) if time else np.zeros(batch)
    by_channel |= {"missing": (1.0 - missing)[:, None]}
    by_channel |= {name: np.reshape(given, (batch, -1)) for name, given in shares.items()}
    components = worst(by_channel)
    return [
        _join(
            verdicts[segment * channels : (segment + 1) * channels],
            {name: float(found[segment]) for name, found in components.items()},
        )
        for segment in range(batch)
    ]


def _beats(
    signals: Array, usable: Array, rate: float, modality: Modality
) -> tuple[list[Beats | None], Array]:
    """Beats of the usable signals, and all signals cleaned, of any scale; see `find_beats`."""
    found: list[Beats | None] = [NO_BEATS] * len(signals)
    if modality not in HEART:
        return found, signals
    # A constant offset or scale must not change the grade.
    scaled = signals - np.median(signals, axis=1, keepdims=True)
    scaled /= np.where(constant(signals), 1.0, signals.std(axis=1))[:, None]
    try:
        cleaned = clean(scaled, rate, modality)
    except Exception as error:
        # Too short for the filters, or a rate below their band.
        logger.debug("cleaning failed: %s", type(error).__name__)
        return [None] * len(signals), scaled
    beats = find_beats(scaled[usable], cleaned[usable], rate, modality)
    for row, one in zip(np.flatnonzero(usable), beats, strict=True):
        found[row] = one
    return found, cleaned


def _known_template(beats: Beats | None, short: bool) -> float:
    if beats is None or not np.isfinite(beats.template):
        return _UNKNOWN if short and beats is not None and len(beats.peaks) else 0.0
    return beats.template


def _judge(
    flat: float, clipped: float, beats: Beats | None, *, rate: float, heart: bool
) -> Quality:
    """Score, heart rate and reasons of one channel."""
    if flat > MAX_FLAT:
        return Quality(0.0, _UNKNOWN, ("flat",))
    if clipped > MAX_CLIPPED:
        return Quality(0.0, _UNKNOWN, ("clipped",))
    if not heart:
        return Quality(float(1.0 - max(flat, clipped)), _UNKNOWN)
    if beats is None:
        return Quality(0.0, _UNKNOWN, ("failed",))
    if not np.isfinite(beats.score) or len(beats.peaks) == 0:
        return Quality(0.0, _UNKNOWN, ("no_beats",))
    score = float(np.clip(beats.score, 0.0, 1.0))
    if len(beats.peaks) < 2:
        return Quality(score, _UNKNOWN)
    heart_rate = float(60.0 * rate / np.median(np.diff(beats.peaks)))
    if not HEART_RATES[0] <= heart_rate <= HEART_RATES[1]:
        return Quality(0.0, _UNKNOWN, ("implausible_rate",))
    return Quality(score, heart_rate)


def _join(channels: list[Quality], components: dict[str, float]) -> Quality:
    lowest = min(channels, key=lambda one: one.score)
    return Quality(lowest.score, lowest.heart_rate, lowest.reasons, components)
