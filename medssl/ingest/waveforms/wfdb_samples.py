"""Samples of a WFDB recording by ranges: opened for each call, skew and gaps put right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import wfdb
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.wfdb_files import COMPRESSED
from medssl.ingest.waveforms.wfdb_segments import Piece

_DIFFERENCES: Final = "8"
"""A format of differences: a sample can be told only from all before it."""
_BLOCK: Final = 1 << 20
"""Frames that are held at once where a whole recording is gone through."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one segment holds of some channels.

    Args:
        piece: The segment.
        numbers: Where each channel stands in it; None for one that it lacks.
        scales: Factor that brings each channel to the unit of the recording.
    """

    piece: Piece
    numbers: tuple[int | None, ...]
    scales: tuple[float, ...]

    def rows(self, chosen: Sequence[int]) -> Part:
        """The same of some of the channels."""
        return Part(
            self.piece,
            tuple(self.numbers[row] for row in chosen),
            tuple(self.scales[row] for row in chosen),
        )


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of channels of one rate; holds nothing but the headers.

    Args:
        parts: Segments in the order of time, each with the same number of channels.
        per_frame: Samples of each channel in a frame.
    """

    parts: tuple[Part, ...]
    per_frame: int

    def __call__(self, start: int, stop: int) -> Float64[np.ndarray, "channels time"]:
        """Samples [start, stop) in physical units; NaN in gaps, and where skew leaves none.

        Raises:
            Unreadable: A signal file cannot be read after all.
        """
        each = self.per_frame
        first, last = start // each, -(-stop // each)
        found = np.full((len(self.parts[0].numbers), (last - first) * each), np.nan)
        place = bisect_right(self.parts, first, key=lambda part: part.piece.start)
        for part in self.parts[max(place - 1, 0) :]:
            low, high = max(first, part.piece.start), min(last, part.piece.stop)
            if low >= last:
                break
            if low < high:
                target = found[:, (low - first) * each : (high - first) * each]
                self._fill(target, part, low - part.piece.start, high - part.piece.start)
        return found[:, start - first * each : stop - first * each]

    def _fill(self, target: np.ndarray, part: Part, low: int, high: int) -> None:
        """Write frames [low, high) of one segment.

        The skew is put right here: where a frame holds several samples, wfdb fills only a part of
        the end with NaN and the rest with the level of a digital zero.
        """
        skew = {
            row: part.piece.header.skew[number]
            for row, number in enumerate(part.numbers)
            if number is not None
        }
        for late in sorted(set(skew.values())):
            begin, end = low + late, min(high + late, part.piece.header.frames)
            if begin >= end:
                continue
            rows = [row for row in skew if skew[row] == late]
            numbers = [part.numbers[row] or 0 for row in rows]
            signals = read_frames(part.piece, numbers, begin, end)
            for row, number in zip(rows, numbers, strict=True):
                values = np.asarray(signals[number], dtype=np.float64) * part.scales[row]
                target[row, : len(values)] = values


def read_frames(
    piece: Piece, numbers: Sequence[int], start: int, stop: int, *, physical: bool = True
) -> dict[int, Any]:
    """Frames [start, stop) of some signals of a segment, as they stand in the files.

    Args:
        piece: The segment.
        numbers: The signals.
        start: First frame, counted from the segment's own first.
        stop: The frame behind the last.
        physical: In physical units, with NaN for invalid samples; else as the integers written.

    Raises:
        Unreadable: The reader fails, or gives another number of samples.
    """
    header = piece.header
    wanted = sorted(set(numbers))
    formats = {header.formats[number] for number in wanted}
    # wfdb adds differences up from where it begins to read.
    begin = 0 if _DIFFERENCES in formats or header.open_ended else start
    limits = {} if header.open_ended else {"sampfrom": begin, "sampto": stop}
    try:
        raw: Any = wfdb.rdrecord(
            str(piece.path.with_suffix("")),
            channels=wanted,
            physical=physical,
            # Averaging several samples a frame would lower the rate without saying so.
            smooth_frames=False,
            ignore_skew=True,
            **limits,
        )
    except Exception as error:
        damaged = bool(formats & COMPRESSED.keys())
        reason = Reason.WRONG_BYTE_COUNT if damaged else Reason.READER_FAILED
        raise Unreadable(reason, type(error).__name__) from error
    found = {}
    signals = raw.e_p_signal if physical else raw.e_d_signal
    for number, signal in zip(wanted, signals, strict=True):
        each = header.samples_per_frame[number]
        found[number] = signal[(start - begin) * each : (stop - begin) * each]
        if len(found[number]) != (stop - start) * each:
            raise Unreadable(Reason.READER_FAILED, "fewer samples than the header says")
    return found


def check_sums(part: Part) -> None:
    """Compare the samples of a segment with the sums that its header gives.

    Raises:
        Unreadable: `wrong_checksum`.
    """
    said = part.piece.header.checksums
    numbers = sorted({number for number in part.numbers if number is not None})
    numbers = [number for number in numbers if said[number] is not None]
    sums = dict.fromkeys(numbers, 0)
    for start, stop in blocks(part.piece.header.frames) if numbers else ():
        found = read_frames(part.piece, numbers, start, stop, physical=False)
        for number in numbers:
            sums[number] += int(np.sum(found[number], dtype=np.int64))
    wrong = sum((sums[number] - (said[number] or 0)) % 65_536 != 0 for number in numbers)
    if wrong:
        detail = f"{wrong} of {len(numbers)} signal(s) do not add up to the header's checksum"
        raise Unreadable(Reason.WRONG_CHECKSUM, detail)


def blocks(frames: int) -> list[tuple[int, int]]:
    """Neighbouring ranges that cover a number of frames, each small enough for memory."""
    return list(pairwise([*range(0, frames, _BLOCK), frames]))
