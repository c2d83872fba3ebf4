"""From an opened recording to its records, block by block: filtered, resampled, cut, graded."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import WaveformSource
from medssl.ingest.waveforms.components import raw_shares
from medssl.ingest.waveforms.preprocess import Block, Preprocessed
from medssl.ingest.waveforms.quality import grade_all
from medssl.ingest.waveforms.recording import Recording
from medssl.ingest.waveforms.segment import Cut, cut, left_out
from medssl.records import Record

logger = logging.getLogger(__name__)

_RATE_TOLERANCE: Final = 1e-4
"""Headers round rates: 62.4725 Hz may stand as 62.47 Hz."""

T = TypeVar("T")


class Segmenter:
    """The records of one recording, in blocks, and an account of what they leave out.

    Args:
        recording: As opened.
        source: What it belongs to.
        shared: Fields that all its records have in common.
        graded: Whether records get a quality and its components.

    Raises:
        Unreadable: The recording's rate is not the expected one, or does not allow what is asked.
    """

    def __init__(
        self, recording: Recording, source: WaveformSource, *, shared: dict[str, Any], graded: bool
    ) -> None:
        _check_rate(recording, source)
        self._recording, self._source, self._graded = recording, source, graded
        self._signal = Preprocessed(recording, source.rate, source.filter)
        self._starts: list[np.ndarray] = []
        self._shared = {
            **shared,
            "rate": source.rate,
            "channels": recording.channels,
            "units": recording.units,
            "filter": None if source.filter is None else source.filter.text,
            "overlap": source.overlap,
        }

    def blocks(self) -> Iterator[list[Record]]:
        """The records, those of one block together; a block without any is left out.

        Raises:
            Unreadable: The recording gives none, or cannot be read to its end.
        """
        for starts, segments, grades in _guarded(self._cut()):
            self._starts.append(starts)
            yield [
                Record(
                    **self._shared, **quality, data=segment, start=float(start / self._source.rate)
                )
                for start, segment, quality in zip(starts, segments, grades, strict=True)
            ]
        if not self._starts:
            raise Unreadable(self._why_none(), f"{self.seconds:.3g} s at {self._source.rate:g} Hz")

    @property
    def session(self) -> str:
        """Pseudonym of the session."""
        return str(self._shared["session"])

    @property
    def seconds(self) -> float:
        """Length of the recording (seconds)."""
        return self._signal.length / self._source.rate

    @property
    def covered_seconds(self) -> float:
        """Time that the records given so far cover (seconds)."""
        starts = self._kept / self._source.rate
        new = np.minimum(np.diff(starts), self._source.segment_seconds).sum()
        return float(new + self._source.segment_length / self._source.rate)

    @property
    def left_out(self) -> dict[str, float]:
        """Seconds that no record holds, by reason; to be asked when all blocks were given."""
        source = self._source
        tail, gaps = left_out(
            self._kept, time=self._signal.length, length=source.segment_length, step=source.step
        )
        return {"tail": tail / source.rate, Reason.GAPS.value: gaps / source.rate}

    @property
    def _kept(self) -> np.ndarray:
        return np.concatenate(self._starts)

    def _cut(self) -> Iterator[tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]]:
        """First samples, segments and grades of each block."""
        length, step = self._source.segment_length, self._source.step
        for block in self._signal.blocks(length=length, step=step):
            pieces = cut(block.signal, length=length, step=step)
            if len(pieces.starts):
                yield block.start + pieces.starts, pieces.segments, self._grade(block, pieces)

    def _grade(self, block: Block, pieces: Cut) -> list[dict[str, Any]]:
        """Fields of each record about its quality; none when it is not asked for."""
        source = self._source
        if not self._graded:
            return [{}] * len(pieces.starts)
        seconds = (block.start + pieces.starts) / source.rate
        shares = raw_shares(self._recording, seconds, source.segment_length / source.rate)
        shares["missing"] = np.zeros(len(seconds))
        if block.filled is not None:
            places = pieces.starts[:, None] + np.arange(source.segment_length)
            shares["missing"] = block.filled[places].mean(axis=1)
        grades = grade_all(pieces.segments, source.rate, source.modality, shares=shares)
        return [{"quality": one.score, "grades": one.components} for one in grades]

    def _why_none(self) -> Reason:
        if self._signal.length < self._source.segment_length:
            return Reason.TOO_SHORT
        return Reason.ALL_NAN if self._signal.has_silent_channel else Reason.GAPS


def _guarded(blocks: Iterable[T]) -> Iterator[T]:
    """Blocks, as long as they can be read: one odd file must not end a run over thousands."""
    try:
        yield from blocks
    except Unreadable:
        raise
    except Exception as error:
        logger.debug("a reader failed", exc_info=True)
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error


def _check_rate(recording: Recording, source: WaveformSource) -> None:
    expected = source.rate_in
    for track in recording.tracks:
        if expected is not None and abs(track.rate / expected - 1) > _RATE_TOLERANCE:
            detail = f"{track.rate:g} Hz in the file, {expected:g} Hz expected"
            raise Unreadable(Reason.UNEXPECTED_RATE, detail)
