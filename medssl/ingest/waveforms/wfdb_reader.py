"""WFDB recordings, local files only, read by the wfdb package after its header was checked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import WfdbSource
from medssl.ingest.waveforms.channels import pick
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.units import canonical_unit, conversion
from medssl.ingest.waveforms.wfdb_header import Header
from medssl.ingest.waveforms.wfdb_samples import Part, Samples, check_sums
from medssl.ingest.waveforms.wfdb_segments import Layout, Piece, read_layout

ANNOTATIONS: Final = "EDF Annotations"
"""A signal of this name holds text, wherever it was converted from EDF."""


def read_wfdb(path: Path, config: WfdbSource, *, folder: Path) -> Recording:
    """Open the configured channels of one recording; samples are read as they are asked for.

    Segments, skew and several samples a frame are what the header says they are: a gap between
    segments, a signal that a segment lacks, and what skew leaves open at an end are NaN. Channels
    of different rates come as tracks of their own.

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
    layout = read_layout(path, folder=folder)
    whole = layout.header
    names = [whole.names[pick(whole.names, channel)] for channel in config.channels]
    if ANNOTATIONS in names:
        raise Unreadable(Reason.MISSING_CHANNEL, "the signal holds annotations and no samples")
    parts, units = _parts(layout, names, config.units, config.gain)
    if config.checksums == "refuse":
        for part in parts:
            check_sums(part)
    tracks = []
    rates = _samples_per_frame(parts)
    for each, group in groupby(range(len(names)), key=rates.__getitem__):
        rows = list(group)
        samples = Samples(tuple(part.rows(rows) for part in parts), each)
        tracks.append(
            Track(
                channels=tuple(config.channels[row].stored for row in rows),
                rate=whole.frame_rate * each,
                length=whole.frames * each,
                read=samples,
            )
        )
    return Recording(tracks=tuple(tracks), units=units, comments=whole.comments, taken=tuple(names))


def _parts(
    layout: Layout, names: Sequence[str], wanted: str | None, gain: float | None
) -> tuple[list[Part], str]:
    """What each segment holds of the channels, and the unit that all are brought to."""
    parts = []
    for piece in layout.pieces:
        numbers = tuple(_place(piece, name) for name in names)
        scales = []
        for number in numbers:
            scale = 1.0
            if number is not None and gain is not None:
                scale = piece.header.gains[number] / gain
            elif number is not None:
                unit = _unit(piece.header, number)
                wanted = wanted or unit
                scale = _scale(unit, wanted)
            scales.append(scale)
        parts.append(Part(piece, numbers, tuple(scales)))
    lacking = sum(all(part.numbers[row] is None for part in parts) for row in range(len(names)))
    if lacking or wanted is None:
        raise Unreadable(Reason.ALL_NAN, f"{lacking} channel(s) that no segment holds")
    return parts, wanted


def _place(piece: Piece, name: str) -> int | None:
    """Where a channel stands in a segment; segments of a variable layout may lack it."""
    count = piece.header.names.count(name)
    if count > 1:
        detail = f"{count} signals of a segment have the configured name"
        raise Unreadable(Reason.MISSING_CHANNEL, detail)
    return piece.header.names.index(name) if count else None


def _samples_per_frame(parts: Sequence[Part]) -> list[int]:
    """Samples of each channel in a frame."""
    found = []
    for row in range(len(parts[0].numbers)):
        held = {
            part.piece.header.samples_per_frame[number]
            for part in parts
            if (number := part.numbers[row]) is not None
        }
        if len(held) > 1:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a channel that changes its rate")
        found.append(held.pop())
    return found


def _unit(header: Header, number: int) -> str:
    if not header.calibrated[number]:
        raise Unreadable(Reason.UNKNOWN_UNITS, "a signal without gain is not calibrated")
    unit = canonical_unit(header.units[number])
    if unit is None:
        raise Unreadable(Reason.UNKNOWN_UNITS, "the header's unit is not a known one")
    return unit


def _scale(unit: str, wanted: str) -> float:
    """The factor that brings samples to the wanted unit."""
    scale = conversion(unit, wanted)
    if scale is None:
        raise Unreadable(Reason.UNKNOWN_UNITS, f"{unit} in the header, {wanted} expected")
    return scale
