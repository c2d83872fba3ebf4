"""WFDB recordings, local files only, read by the wfdb package after its header was checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import WfdbSource
from medssl.ingest.waveforms.recording import Recording, check_finite
from medssl.ingest.waveforms.units import canonical_unit, conversion
from medssl.ingest.waveforms.wfdb_header import Header, read_header


def read_wfdb(path: Path, config: WfdbSource, *, folder: Path) -> Recording:
    """Read the configured channels of one recording.

    Args:
        path: The `.hea` file.
        config: The source it belongs to.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    if ":" in str(path):
        # fsspec, through which wfdb opens files, would read it as a remote address.
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a colon in the path: rename it")
    header = read_header(path, folder=folder)
    numbers = [_find(header, channel.source) for channel in config.channels]
    unit, scales = _units(header, numbers, config.units)
    per_frame = {header.samples_per_frame[number] for number in numbers}
    if len(per_frame) > 1:
        raise Unreadable(
            Reason.UNSUPPORTED_FORMAT, "channels of different rates: name channels of one rate"
        )
    try:
        raw: Any = wfdb.rdrecord(
            str(path.with_suffix("")),
            channels=numbers,
            # Averaging several samples a frame would lower the rate without saying so.
            smooth_frames=False,
        )
        # wfdb returns the channels in the asked order.
        signal = np.stack([np.asarray(one, dtype=np.float64) for one in raw.e_p_signal])
    except Exception as error:
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    signal = signal * scales[:, None]
    check_finite(signal)
    return Recording.of(
        signal,
        rate=header.frame_rate * per_frame.pop(),
        channels=[channel.stored for channel in config.channels],
        units=unit,
        comments=header.comments,
    )


def _find(header: Header, name: str) -> int:
    count = header.names.count(name)
    if count > 1:
        raise Unreadable(Reason.MISSING_CHANNEL, f"{count} signals have the configured name")
    if count == 0:
        raise Unreadable(
            Reason.MISSING_CHANNEL, f"none of {len(header.names)} signals has the configured name"
        )
    return header.names.index(name)


def _units(header: Header, numbers: list[int], wanted: str | None) -> tuple[str, np.ndarray]:
    """The common unit of the channels, and the factor that brings each to it."""
    scales = []
    for number in numbers:
        if not header.calibrated[number]:
            raise Unreadable(Reason.UNKNOWN_UNITS, "a signal without gain is not calibrated")
        unit = canonical_unit(header.units[number])
        if unit is None:
            raise Unreadable(Reason.UNKNOWN_UNITS, "the header's unit is not a known one")
        wanted = wanted or unit
        scale = conversion(unit, wanted)
        if scale is None:
            raise Unreadable(Reason.UNKNOWN_UNITS, f"{unit} in the header, {wanted} expected")
        scales.append(scale)
    assert wanted is not None
    return wanted, np.asarray(scales)
