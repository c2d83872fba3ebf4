"""A raw recording on its way to an encoder: channels, units, filter and rate as at ingest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from medssl.arrays import all_finite, channel_names, checked_rate, one_recording, real_numbers
from medssl.contracts import WaveformContract
from medssl.errors import ContractError
from medssl.ingest.ledger import Unreadable
from medssl.ingest.waveforms.preprocess import Preprocessed
from medssl.ingest.waveforms.recording import Recording
from medssl.ingest.waveforms.units import canonical_unit, conversion


def prepare(
    contract: WaveformContract, signal: Any, *, rate: float, channels: Sequence[str], units: str
) -> Float32[np.ndarray, "channels time"]:
    """Bring a raw recording to a contract, by the functions that ingest uses.

    The contract's channels are selected by their exact names and put in its order; units are
    converted where that is exact (between V, mV, uV and nV); the contract's filter runs at the
    recording's own rate; then it is resampled. Normalisation is left to the encoder.

    Args:
        contract: What an encoder expects.
        signal: Waveform of shape (channels, time) as recorded, without gaps; more channels than
            the contract has are no harm.
        rate: Its samples per second (Hz).
        channels: Its channel names, in order.
        units: Its unit.

    Raises:
        ContractError: The recording cannot be brought to the contract; says why and what to do.
    """
    values, names, rate = real_numbers(signal), channel_names(channels), checked_rate(rate)
    one_recording(values, names)
    picked = values[_places(contract, names)].astype(np.float64) * _factor(contract, units)
    all_finite(picked)
    recording = Recording.of(picked, rate=rate, channels=contract.channels, units=contract.units)
    if not (np.isfinite(rate) and rate > 0):
        msg = f"the rate is {rate:g} Hz: give the recording's samples per second"
        raise ContractError(msg)
    try:
        prepared = Preprocessed(recording, contract.rate, contract.filter)
    except Unreadable as verdict:
        msg = f"{verdict.detail}: this encoder cannot take recordings of {rate:g} Hz"
        raise ContractError(msg) from verdict
    return prepared.read(0, prepared.length)


def _places(contract: WaveformContract, names: tuple[str, ...]) -> list[int]:
    """Where the contract's channels stand among the recording's."""
    missing = [name for name in contract.channels if name not in names]
    if missing:
        msg = (
            f"no channel is called {' or '.join(map(repr, missing))} among {list(names)}: this "
            f"encoder expects {list(contract.channels)}; name the recording's channels so"
        )
        raise ContractError(msg)
    twice = [name for name in contract.channels if names.count(name) > 1]
    if twice:
        msg = f"several channels are called {twice[0]!r}: leave one of them under that name"
        raise ContractError(msg)
    return [names.index(name) for name in contract.channels]


def _factor(contract: WaveformContract, units: str) -> float:
    factor = conversion(same_unit(units), contract.units)
    if factor is None:
        msg = (
            f"{units} cannot be turned into {contract.units} exactly: give the recording in "
            f"{contract.units}"
        )
        raise ContractError(msg)
    return factor


def same_unit(units: str) -> str:
    """A unit in medssl's spelling, where medssl knows it.

    >>> same_unit("mv"), same_unit("bananas")
    ('mV', 'bananas')
    """
    return canonical_unit(units) or units
