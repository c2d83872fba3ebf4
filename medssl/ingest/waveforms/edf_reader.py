"""EDF, EDF+, BDF and BDF+ recordings, read by ranges of data records."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from math import floor, isfinite
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64, Int32, Int64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import EdfSource
from medssl.ingest.waveforms.channels import pick
from medssl.ingest.waveforms.edf_header import EdfHeader, EdfSignal, read_edf_header
from medssl.ingest.waveforms.recording import Read, Recording, Track
from medssl.ingest.waveforms.units import canonical_unit, conversion

MAX_GAP_BYTES: Final = 8 << 30
"""A recording whose gaps would take more memory than this when decoded is refused."""

_BLOCK_BYTES: Final = 8 << 20
_DIMENSIONLESS: Final = frozenset({"counts", "au", "NU"})


def read_edf(path: Path, config: EdfSource, *, folder: Path) -> Recording:
    """Open the configured channels of one recording; samples are read as they are needed.

    In discontinuous files (EDF+D) the samples of a gap are missing, at their place in time. A
    signal without a physical dimension is uncalibrated: it is taken where `units` says counts, au
    or NU.

    Args:
        path: The file.
        config: The source it belongs to.
        folder: Folder of the source (unused: an EDF file names no other file).

    Raises:
        Unreadable: With the reason and evidence.
    """
    header = read_edf_header(path)
    names = [signal.name for signal in header.signals]
    signals = [header.signals[pick(names, channel)] for channel in config.channels]
    unit, scales = _units(signals, config.units)
    chosen = zip(signals, config.channels, scales, strict=True)
    tracks = []
    for rate, group in groupby(chosen, key=lambda one: one[0].rate):
        members = list(group)
        places = _places(header, members[0][0], rate, channels=len(members))
        tracks.append(
            Track(
                channels=tuple(channel.stored for _, channel, _ in members),
                rate=float(rate),
                length=int(places[-1]) + members[0][0].samples,
                read=_reader(path, header, [(one, scale) for one, _, scale in members], places),
            )
        )
    return Recording(
        tracks=tuple(tracks),
        units=unit,
        comments=header.comments,
        taken=tuple(signal.name for signal in signals),
    )


def _units(signals: Sequence[EdfSignal], wanted: str | None) -> tuple[str, list[float]]:
    """The common unit of the signals, and the factor that brings each to it."""
    scales = []
    for signal in signals:
        if not (isfinite(signal.gain) and isfinite(signal.offset) and signal.gain):
            raise Unreadable(Reason.UNKNOWN_UNITS, "a signal whose ranges give no gain")
        unit = canonical_unit(signal.unit)
        if not signal.unit and wanted in _DIMENSIONLESS:
            unit = wanted
        if unit is None:
            said = "is not a known one" if signal.unit else "is blank: set units: counts or au"
            raise Unreadable(Reason.UNKNOWN_UNITS, f"the header's unit {said}")
        wanted = wanted or unit
        scale = conversion(unit, wanted)
        if scale is None:
            raise Unreadable(Reason.UNKNOWN_UNITS, f"{unit} in the header, {wanted} expected")
        scales.append(scale)
    assert wanted is not None
    return wanted, scales


def _places(
    header: EdfHeader, signal: EdfSignal, rate: Fraction, *, channels: int
) -> Int64[np.ndarray, " records"]:
    """Where each data record's first sample stands on the grid of its rate.

    Raises:
        Unreadable: There would be far more gaps than memory should hold.
    """
    if header.onsets is None:
        return np.arange(header.records, dtype=np.int64) * signal.samples
    gaps = floor(header.onsets[-1] * rate) - header.records * signal.samples
    if gaps * channels * 8 > MAX_GAP_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"gaps of {gaps} samples; split the file")
    half = Fraction(1, 2)
    return np.array([floor(onset * rate + half) for onset in header.onsets], dtype=np.int64)


def _reader(
    path: Path,
    header: EdfHeader,
    signals: Sequence[tuple[EdfSignal, float]],
    places: Int64[np.ndarray, " records"],
) -> Read:
    samples = signals[0][0].samples

    def read(start: int, stop: int) -> Float64[np.ndarray, "channels time"]:
        out = np.full((len(signals), stop - start), np.nan)
        first = max(int(np.searchsorted(places, start, side="right")) - 1, 0)
        last = int(np.searchsorted(places, stop, side="left"))
        step = max(_BLOCK_BYTES // header.record_bytes, 1)
        for low in range(first, last, step):
            high = min(low + step, last)
            block = _records(path, header, low, high)
            index = (places[low:high, None] + np.arange(samples) - start).ravel()
            inside = (index >= 0) & (index < stop - start)
            for number, (signal, scale) in enumerate(signals):
                digital = _digital(block, signal, header.width).ravel()[inside]
                out[number, index[inside]] = (digital * signal.gain + signal.offset) * scale
        return out

    return read


def _records(
    path: Path, header: EdfHeader, low: int, high: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Data records [low, high) as bytes."""
    count = (high - low) * header.record_bytes
    offset = header.start + low * header.record_bytes
    try:
        # Not memory-mapped: a file that shrinks meanwhile would end the process.
        block = np.fromfile(path, dtype=np.uint8, count=count, offset=offset)
    except OSError as error:
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    if len(block) != count:
        raise Unreadable(Reason.WRONG_BYTE_COUNT, "the file shrank while it was read")
    return block.reshape(high - low, header.record_bytes)


def _digital(
    block: np.ndarray[tuple[int, int], np.dtype[np.uint8]], signal: EdfSignal, width: int
) -> Int32[np.ndarray, "records samples"]:
    """Little-endian two's complement numbers of 2 or 3 bytes."""
    raw = block[:, signal.place : signal.place + width * signal.samples]
    if width == 2:
        return np.ascontiguousarray(raw).view("<i2").astype(np.int32)
    wide = np.zeros((*raw.shape[:1], signal.samples, 4), dtype=np.uint8)
    wide[..., 1:] = raw.reshape(len(raw), signal.samples, 3)
    return wide.view("<i4")[..., 0] >> 8
