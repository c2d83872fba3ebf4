"""What an encoder of waveforms expects: rate, channels, units, length, filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from medssl.arrays import all_finite, channel_names, checked_rate, one_recording, real_numbers
from medssl.contracts.base import Contract, owner
from medssl.errors import ContractError
from medssl.filters import Filter
from medssl.types import Kind, Segments


class WaveformContract(Contract):
    """Waveforms of known channels at one rate, cut into segments.

    A segment is `length` samples of every channel; longer recordings are cut into such pieces.
    """

    kind: ClassVar[Kind] = Kind.WAVEFORM
    fixed_by_store: ClassVar[tuple[str, ...]] = ("rate", "channels", "units", "length", "filter")

    rate: PositiveFloat = Field(description="samples per second (Hz)")
    channels: tuple[str, ...] = Field(min_length=1, description="names, in order")
    units: str = Field(description="physical unit of the samples")
    length: PositiveInt = Field(description="samples in one segment")
    overlap: NonNegativeFloat = Field(
        0.0, description="seconds that neighbouring segments of one recording share"
    )
    filter: Filter | None = Field(
        None, description="applied at the recording's own rate, before resampling"
    )
    resampling: str = Field(
        "polyphase (scipy.signal.resample_poly, Kaiser window, beta 5.0)",
        description="how ingest brought recordings to `rate`",
    )
    normalisation: str = Field(
        "per segment and channel: subtract the mean, divide by the population standard "
        "deviation; a constant channel becomes zeros",
        description="applied by the encoder itself, to the resampled segment",
    )

    @field_validator("filter", mode="before")
    @classmethod
    def _read_filter(cls, value: Any) -> Any:
        """Bundles of before there were filters say "none" in words."""
        return None if value == "none" else value

    @property
    def noun(self) -> str:
        """What one input is."""
        return f"segments of {self.seconds:g} s"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        return (
            ("modality", self.modality.value),
            ("channels, in order", ", ".join(self.channels)),
            ("units", self.units),
            ("filter, before resampling", "none" if self.filter is None else self.filter.label),
            ("rate", f"{self.rate:g} Hz"),
            ("resampling", self.resampling),
            ("segment", f"{self.length} samples, {self.seconds:g} s"),
            ("overlap of neighbouring segments", f"{self.overlap:g} s"),
            ("normalisation", self.normalisation),
        )

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model."""
        return (
            f"signal = {owner(call)}.prepare(recording, rate=rate, channels=channels, "
            f"units=units)\n{call}(signal, rate={self.rate:g}, channels={list(self.channels)})"
        )

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        return (
            "`prepare` selects and orders channels, converts units, filters and resamples; "
            "normalisation is applied by the model itself."
        )

    @property
    def seconds(self) -> float:
        """Duration of one segment (seconds)."""
        return self.length / self.rate

    @property
    def step(self) -> int:
        """Samples between the starts of neighbouring segments."""
        return max(1, self.length - round(self.overlap * self.rate))

    def check(
        self,
        array: Any,
        *,
        rate: float,
        channels: Sequence[str],
        units: str | None = None,
    ) -> None:
        """Refuse an input that breaks the contract.

        Args:
            array: Waveform of shape (channels, time), at least one segment long.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order.
            units: Its unit; None trusts that it is the contract's.

        Raises:
            ContractError: Says what is wrong, and how to put it right.
        """
        values, names, found = real_numbers(array), channel_names(channels), checked_rate(rate)
        remedy = f"pass it through prepare(signal, rate={found:g}, channels={list(names)}, units=…)"
        if not np.isclose(found, self.rate, rtol=1e-6):
            msg = f"the signal has {found:g} Hz and this encoder expects {self.rate:g} Hz: {remedy}"
            raise ContractError(msg)
        if names != self.channels:
            msg = (
                f"the channels are {list(names)} and this encoder expects {list(self.channels)}: "
                f"name them so, or {remedy} to select and order them"
            )
            raise ContractError(msg)
        if units is not None and units != self.units:
            msg = f"the signal is in {units} and this encoder expects {self.units}: {remedy}"
            raise ContractError(msg)
        one_recording(values, names)
        if values.shape[1] < self.length:
            msg = (
                f"the signal has {values.shape[1]} samples and one segment needs {self.length} "
                f"({self.seconds:g} s at {self.rate:g} Hz): give a longer recording"
            )
            raise ContractError(msg)
        all_finite(values)

    def cut(self, array: Any) -> Segments:
        """Segments of a recording that keeps the contract, shape (segments, channels, length).

        They share `overlap` seconds; a tail that is shorter than a segment is left out.
        """
        signal = np.asarray(array, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(signal, self.length, axis=1)
        return windows[:, :: self.step].transpose(1, 0, 2).copy()
