"""From an opened recording to samples at the rate of the store, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float32, Float64

from medssl.errors import IngestError
from medssl.filters import Filter
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.resample import factors, finite_sum, reach, resample
from medssl.ingest.waveforms.segment import count_windows

MAX_UPSAMPLING: Final = 1000
"""No sample can tell more than this many others."""
BLOCK_BYTES: Final = 64 * 2**20
"""About what one block takes as float64 (bytes), before or after resampling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of a recording at the rate of the store.

    Args:
        start: Its first sample, counted from the beginning of the recording.
        signal: Samples in physical units; missing ones are not finite.
        filled: Which samples rest on interpolated ones; None when none do.
    """

    start: int
    signal: Float32[np.ndarray, "channels time"]
    filled: Bool[np.ndarray, " time"] | None = None


class Preprocessed:
    """A recording as the store wants it: filtered, then resampled, whatever range is asked for.

    A recording that is longer than one block is read twice where its channel means are needed:
    once for the means, once for the samples. Nothing longer than a block is ever held, and the
    samples are those that the recording gives in one piece, to about 1e-6 of their size (exactly
    those when it fits into one block).

    Args:
        recording: As opened.
        rate: Samples per second wanted (Hz).
        filter: What is taken out at the recording's own rate, if anything.
        block_bytes: Size of a block (bytes); None for `BLOCK_BYTES`.

    Raises:
        Unreadable: The rates are in no practical proportion, or too low for the filter.
    """

    def __init__(
        self,
        recording: Recording,
        rate: float,
        filter: Filter | None = None,
        *,
        block_bytes: int | None = None,
    ) -> None:
        self._pieces = [_Piece(track, rate, filter) for track in recording.tracks]
        self.length = min(piece.length for piece in self._pieces)
        """Samples per channel, over the time that all channels cover."""
        width = sum(
            len(track.channels) * max(track.rate, rate) / rate for track in recording.tracks
        )
        # A block that is shorter than its margins would be all margin.
        self._size = max(
            int((block_bytes or BLOCK_BYTES) / 8 / width), *(piece.margin for piece in self._pieces)
        )

    @property
    def has_silent_channel(self) -> bool:
        """Whether a channel had no finite sample in all that was read so far."""
        return not all(piece.heard.all() for piece in self._pieces)

    def read(self, start: int, stop: int) -> Float32[np.ndarray, "channels time"]:
        """Samples [start, stop) of all channels, in the recording's order."""
        parts = [piece.read(start, stop, size=self._size) for piece in self._pieces]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def blocks(self, *, length: int, step: int) -> Iterator[Block]:
        """The recording in blocks that begin and end with a segment.

        Neighbouring blocks share what neighbouring segments share. A recording that fits into one
        block comes whole, with the tail that no segment reaches.

        Args:
            length: Samples in one segment.
            step: Samples between the starts of neighbouring segments.
        """
        windows = count_windows(self.length, length=length, step=step)
        if self.length <= self._size:
            if windows:
                yield self._block(0, self.length)
            return
        per_block = max(1, count_windows(self._size, length=length, step=step))
        for first in range(0, windows, per_block):
            last = min(first + per_block, windows) - 1
            yield self._block(first * step, last * step + length)

    def _block(self, start: int, stop: int) -> Block:
        masks = [mask for piece in self._pieces if (mask := piece.filled(start, stop)) is not None]
        filled = np.logical_or.reduce(masks) if masks else None
        return Block(start=start, signal=self.read(start, stop), filled=filled)


class _Piece:
    """One track on its way to the store's rate."""

    def __init__(self, track: Track, rate: float, filter: Filter | None) -> None:
        try:
            self._up, self._down = factors(track.rate, rate)
        except IngestError as error:
            detail = f"{track.rate:g} Hz cannot become {rate:g} Hz exactly"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail) from error
        if self._up > MAX_UPSAMPLING * self._down:
            # A damaged header can say 0.001 Hz, and minutes would become days.
            detail = f"{track.rate:g} Hz is far too low for {rate:g} Hz"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
        if filter is not None and not filter.fits(track.rate):
            detail = f"recorded at {track.rate:g} Hz, and the filter reaches {filter.top:g} Hz"
            raise Unreadable(Reason.FILTER_TOO_HIGH, detail)
        self._track, self._rate, self._filter = track, rate, filter
        self._margin = reach(track.rate, rate) + (filter.reach(track.rate) if filter else 0)
        self._level: Float64[np.ndarray, "channels 1"] | None = None
        if filter is not None and not filter.passes_offset:
            # Nothing is left of a constant: there is none to take off.
            self._level = np.zeros((len(track.channels), 1))
        self.length = -(-track.length * self._up // self._down)
        self.heard = np.zeros(len(track.channels), dtype=np.bool_)

    @property
    def margin(self) -> int:
        """Samples at the new rate that a block needs on either side."""
        return -(-self._margin * self._up // self._down)

    def read(self, start: int, stop: int, *, size: int) -> Float32[np.ndarray, "channels time"]:
        """Samples [start, stop) at the new rate, in memory for about `size` of them."""
        track, up, down = self._track, self._up, self._down
        if self._filter is None and up == down:
            return self._listen(track.read(start, stop)).astype(np.float32)
        # From a multiple of `down` on, the new samples lie on the grid of the whole recording.
        first = max(0, start * down // up - self._margin) // down * down
        last = min(track.length, -(-stop * down // up) + self._margin)
        samples = self._listen(track.read(first, last))
        if self._level is None and up != down:
            whole = (first, last) == (0, track.length)
            self._level = _mean([samples]) if whole else self._find_level(size * down // up)
        if self._filter is not None:
            samples = self._filter.apply(samples, track.rate)
        new = resample(samples, from_rate=track.rate, to_rate=self._rate, level=self._level)
        offset = first // down * up
        return new[:, start - offset : stop - offset]

    def filled(self, start: int, stop: int) -> Bool[np.ndarray, " time"] | None:
        """Which samples [start, stop) at the new rate have an interpolated one beside them."""
        if self._track.filled is None:
            return None
        places = np.arange(start, stop, dtype=np.int64) * self._down
        before = places // self._up
        after = np.minimum(-(-places // self._up), self._track.length - 1)
        mask = self._track.filled(int(before[0]), int(after[-1]) + 1)
        return np.asarray(mask[before - before[0]] | mask[after - before[0]])

    def _listen(
        self, samples: Float64[np.ndarray, "channels time"]
    ) -> Float64[np.ndarray, "channels time"]:
        self.heard |= np.isfinite(samples).any(axis=1)
        return samples

    def _find_level(self, size: int) -> Float64[np.ndarray, "channels 1"]:
        """Channel means of the whole track, read once for them."""
        track = self._track
        return _mean(
            track.read(start, min(start + size, track.length))
            for start in range(0, track.length, size)
        )


def _mean(
    parts: Iterable[Float64[np.ndarray, "channels time"]],
) -> Float64[np.ndarray, "channels 1"]:
    """Mean of the finite samples of each channel; 0 for a channel without any."""
    total: Any = 0.0
    count: Any = 0
    for part in parts:
        of_part, finite = finite_sum(part)
        total, count = total + of_part, count + finite
    return np.asarray(total / np.maximum(count, 1))
