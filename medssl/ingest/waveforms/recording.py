"""What a waveform reader returns: an opened recording, its samples read as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from medssl.ingest.ledger import Reason, Unreadable

Read = Callable[[int, int], Float64[np.ndarray, "channels time"]]
"""Samples [start, stop) of a track in physical units; missing samples are NaN. May be called with
any range inside the track, in any order; opens what it needs and leaves nothing open."""

Filled = Callable[[int, int], Bool[np.ndarray, " time"]]
"""Which samples [start, stop) of a track were not measured but interpolated by the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Channels of a recording that share a rate.

    Args:
        channels: Their names in the store, in the order of the first axis of what `read` gives.
        rate: Samples per second (Hz).
        length: Samples per channel.
        read: Gives samples.
        filled: Says which samples were interpolated; None when none were.
    """

    channels: tuple[str, ...]
    rate: float
    length: int
    read: Read
    filled: Filled | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording as opened: nothing but its header need be in memory.

    Args:
        tracks: Its channels in the configured order; neighbours of one rate form a track.
        units: Physical unit of all channels.
        comments: Free text of the header, such as `"Age: 25"`.
        jitter: Root mean square distance of the samples' times from the even grid that they were
            brought to (seconds); 0 where times were even or a rate was given.
        taken: The file's name of each channel, where the configuration accepts several.
    """

    tracks: tuple[Track, ...]
    units: str
    comments: tuple[str, ...] = ()
    jitter: float = 0.0
    taken: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        signal: Float64[np.ndarray, "channels time"],
        *,
        rate: float,
        channels: Sequence[str],
        units: str,
        comments: tuple[str, ...] = (),
        filled: Bool[np.ndarray, " time"] | None = None,
        jitter: float = 0.0,
    ) -> Recording:
        """A recording of one rate that is held in memory.

        Args:
            signal: Samples in physical units; missing samples are NaN.
            rate: Samples per second (Hz).
            channels: Channel names in the store.
            units: Physical unit of all channels.
            comments: Free text of the header.
            filled: Which samples were interpolated.
            jitter: See the class.
        """
        track = Track(
            channels=tuple(channels),
            rate=rate,
            length=signal.shape[1],
            read=lambda start, stop: signal[:, start:stop],
            filled=None if filled is None else lambda start, stop: filled[start:stop],
        )
        return cls(tracks=(track,), units=units, comments=comments, jitter=jitter)

    @property
    def channels(self) -> tuple[str, ...]:
        """All channel names, in order."""
        return tuple(name for track in self.tracks for name in track.channels)

    @property
    def signal(self) -> Float64[np.ndarray, "channels time"]:
        """All samples of a recording of one rate."""
        (track,) = self.tracks
        return track.read(0, track.length)

    @property
    def rate(self) -> float:
        """Samples per second of a recording of one rate (Hz)."""
        (track,) = self.tracks
        return track.rate

    @property
    def seconds(self) -> float:
        """Time that all channels cover."""
        return min(track.length / track.rate for track in self.tracks)


def check_finite(signal: Float64[np.ndarray, "channels time"]) -> None:
    """Refuse a recording with a channel that holds no finite sample.

    Raises:
        Unreadable: `all_nan`.
    """
    empty = int((~np.isfinite(signal).any(axis=1)).sum())
    if signal.shape[1] and empty:
        raise Unreadable(Reason.ALL_NAN, f"{empty} of {len(signal)} channel(s) without a sample")


def parse_comments(comments: tuple[str, ...]) -> dict[str, str]:
    """`key: value` comments as a mapping; the first of equal keys wins.

    >>> parse_comments(("Age: 25", "Sex: male", "healthy"))
    {'Age': '25', 'Sex': 'male'}
    """
    pairs: dict[str, str] = {}
    for comment in comments:
        key, found, value = comment.partition(":")
        if found:
            pairs.setdefault(key.strip(), value.strip())
    return pairs
