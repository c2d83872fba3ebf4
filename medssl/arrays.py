"""Recordings as callers hand them over, checked: samples, rate, channel names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medssl.errors import ContractError
from medssl.types import Array


def real_numbers(array: Any) -> Array:
    """An array-like of real numbers as an array.

    Raises:
        ContractError: It masks samples, is ragged, or holds something else.
    """
    if np.ma.is_masked(array):
        msg = "the array masks some samples: cut the recording at the gaps before embedding"
        raise ContractError(msg)
    try:
        values = np.asarray(array)
    except (TypeError, ValueError) as error:
        msg = "give one array of shape (channels, time), all channels of one length"
        raise ContractError(msg) from error
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        msg = f"the array holds {values.dtype}: give real numbers, one array of (channels, time)"
        raise ContractError(msg)
    return values


def checked_rate(rate: Any) -> float:
    """A rate as a number (Hz).

    Raises:
        ContractError: It is none.
    """
    try:
        return float(rate)
    except (TypeError, ValueError) as error:
        msg = f"give the rate in Hz as a number, not rate={rate!r}"
        raise ContractError(msg) from error


def channel_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Channel names in order; a bare name is one channel."""
    return (channels,) if isinstance(channels, str) else tuple(channels)


def one_recording(values: Array, channels: tuple[str, ...]) -> None:
    """Refuse what is not one recording with a row for each channel.

    Raises:
        ContractError: Names both shapes.
    """
    if values.ndim == 3:
        msg = (
            f"the array has shape {values.shape}, a batch: give one recording of shape "
            f"({len(channels)}, time) at a time"
        )
        raise ContractError(msg)
    if values.ndim != 2 or values.shape[0] != len(channels):
        msg = (
            f"the array has shape {values.shape} and {len(channels)} channel(s) are named: "
            f"reshape one recording to ({len(channels)}, time)"
        )
        raise ContractError(msg)


def all_finite(values: Array) -> None:
    """Refuse samples that are not finite, or would not be as float32.

    Raises:
        ContractError: Says how many.
    """
    with np.errstate(over="ignore"):
        bad = int(np.count_nonzero(~np.isfinite(values.astype(np.float32))))
    if bad:
        msg = (
            f"{bad} sample(s) are NaN or infinite: cut the recording at the gaps, "
            "or fill them before embedding"
        )
        raise ContractError(msg)
