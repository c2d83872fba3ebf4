"""What a waveform reader returns, and the checks that every recording passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording as read, before resampling.

    Args:
        signal: Samples in physical units; missing samples are NaN.
        rate: Samples per second (Hz).
        channels: Channel names, in the order of the first axis.
        units: Physical unit of all channels.
        comments: Free text of the header, such as `"Age: 25"`.
    """

    signal: Float64[np.ndarray, "channels time"]
    rate: float
    channels: tuple[str, ...]
    units: str
    comments: tuple[str, ...] = ()


def check_finite(recording: Recording) -> None:
    """Refuse a recording with a channel that holds no finite sample.

    Raises:
        Unreadable: `all_nan`.
    """
    empty = int((~np.isfinite(recording.signal).any(axis=1)).sum())
    if recording.signal.shape[1] and empty:
        raise Unreadable(
            Reason.ALL_NAN, f"{empty} of {len(recording.channels)} channel(s) without a sample"
        )


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
