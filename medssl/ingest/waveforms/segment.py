"""Fixed windows over a recording, with an account of every sample that no window keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from medssl.types import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Segments of one recording, and what was left out.

    Args:
        segments: The kept windows.
        starts: First sample of each kept window.
        tail: Samples that no window reaches.
        gaps: Samples that only windows with a missing sample reach.
    """

    segments: Float32[np.ndarray, "batch channels time"]
    starts: Int64[np.ndarray, " batch"]
    tail: int
    gaps: int


def cut(signal: Array, *, length: int, step: int) -> Cut:
    """Cut windows of `length` samples every `step` samples; keep those without NaN or infinity.

    Args:
        signal: Waveform of shape (channels, time).
        length: Samples in one window.
        step: Samples between the starts of neighbouring windows.

    >>> kept = cut(np.array([[0, 1, 2, np.nan, 4, 5, 6]]), length=2, step=2)
    >>> kept.starts.tolist(), kept.tail, kept.gaps
    ([0, 4], 1, 2)
    """
    channels, time = signal.shape
    starts = np.arange(0, time - length + 1, step, dtype=np.int64)
    whole = np.isfinite(signal).all(axis=0)
    # Missing samples up to each position: a window is whole when the count does not grow in it.
    missing = np.concatenate([[0], np.cumsum(~whole)])
    keep = missing[starts + length] == missing[starts]
    kept = starts[keep]
    segments = np.empty((len(kept), channels, length), dtype=np.float32)
    for row, start in enumerate(kept):
        segments[row] = signal[:, start : start + length]
    tail, gaps = left_out(kept, time=time, length=length, step=step)
    return Cut(segments=segments, starts=kept, tail=tail, gaps=gaps)


def count_windows(time: int, *, length: int, step: int) -> int:
    """Windows that fit into `time` samples.

    >>> count_windows(7, length=2, step=2), count_windows(1, length=2, step=2)
    (3, 0)
    """
    return max(0, (time - length) // step + 1)


def left_out(
    kept: Int64[np.ndarray, " batch"], *, time: int, length: int, step: int
) -> tuple[int, int]:
    """Samples of a recording that no window reaches, and those that only dropped windows reach.

    Args:
        kept: First sample of each kept window, in order.
        time: Samples of the recording.
        length: Samples in one window.
        step: Samples between the starts of neighbouring windows.

    >>> left_out(np.array([0, 4]), time=7, length=2, step=2)
    (1, 2)
    """
    windows = count_windows(time, length=length, step=step)
    reached = min(step, length) * (windows - 1) + length if windows else 0
    covered = int(np.minimum(np.diff(kept), length).sum()) + length if len(kept) else 0
    return time - reached, reached - covered
