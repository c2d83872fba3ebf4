"""What every source of waveforms needs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
    model_validator,
)

from medssl.config import StrictModel
from medssl.filters import Filter
from medssl.ingest.rules import listed
from medssl.ingest.sources.base import Source
from medssl.ingest.waveforms.units import KNOWN_UNITS, canonical_unit
from medssl.types import Kind


def _named(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class ChannelConfig(StrictModel):
    """One channel to take.

    Without a header row, a number in `source` is a column counted from 0, and any other name
    stands for the column at its own place in the list.
    """

    source: str = Field(description="its name in the files, or a list of accepted names")
    also: tuple[str, ...] = Field(
        default=(), description="further accepted names; the first that a file has is taken"
    )
    name: str | None = Field(default=None, description="its name in the store; by default the same")

    @model_validator(mode="before")
    @classmethod
    def _split_names(cls, values: Any) -> Any:
        """A list in `source` is the name and its alternatives."""
        several = isinstance(values, dict) and isinstance(values.get("source"), list | tuple)
        if not several or not values["source"]:
            return values
        first, *others = values["source"]
        return {**values, "source": first, "also": (*others, *values.get("also", ()))}

    @model_validator(mode="after")
    def _check_names(self) -> ChannelConfig:
        if self.also and self.name is None:
            msg = "a channel with several source names needs name: what the store calls it"
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is accepted in the files, the preferred one first."""
        return (self.source, *self.also)

    @property
    def stored(self) -> str:
        """Its name in the store."""
        return self.source if self.name is None else self.name


class WaveformSource(Source):
    """What every source of waveforms needs."""

    kind: ClassVar[Kind] = Kind.WAVEFORM

    rate: PositiveFloat = Field(description="samples per second in the store (Hz)")
    rate_in: PositiveFloat | None = Field(
        default=None,
        description="samples per second in the files (Hz); files that say another rate are refused",
    )
    segment_seconds: PositiveFloat
    overlap_seconds: NonNegativeFloat = 0.0
    filter: Filter | None = Field(
        default=None,
        description="what is taken out before resampling, such as {low: 0.5, high: 40}",
    )
    channels: Annotated[
        tuple[Annotated[ChannelConfig, BeforeValidator(_named)], ...], BeforeValidator(listed)
    ] = Field(description="channels to take, in order")
    units: str | None = Field(
        default=None, description="unit in the store; files in others are refused"
    )
    check_leads: bool = Field(
        default=True,
        description="ECG: refuse files whose limb leads break Einthoven's and Goldberger's laws, "
        "or whose samples are far too large or small for their units",
    )

    @field_validator("units")
    @classmethod
    def _check_units(cls, units: str | None) -> str | None:
        if units is None:
            return None
        unit = canonical_unit(units)
        if unit is None:
            msg = f"unknown unit; known: {', '.join(KNOWN_UNITS)}"
            raise ValueError(msg)
        return unit

    @model_validator(mode="after")
    def _check_segments(self) -> WaveformSource:
        if self.overlap_seconds >= self.segment_seconds:
            msg = "overlap_seconds must be shorter than segment_seconds"
            raise ValueError(msg)
        if self.segment_length < 2 or self.step < 1:
            msg = "segment_seconds times rate must give at least 2 samples"
            raise ValueError(msg)
        if not self.channels:
            msg = "name at least one channel to take"
            raise ValueError(msg)
        names = [channel.stored for channel in self.channels]
        if len(set(names)) != len(names):
            msg = "two channels have the same name: give one of them another name"
            raise ValueError(msg)
        return self

    @property
    def segment_length(self) -> int:
        """Samples in one segment."""
        return round(self.segment_seconds * self.rate)

    @property
    def step(self) -> int:
        """Samples between the starts of neighbouring segments."""
        return round((self.segment_seconds - self.overlap_seconds) * self.rate)

    @property
    def overlap(self) -> float | None:
        """Seconds that neighbouring segments share, in whole samples; None when they share none."""
        return (self.segment_length - self.step) / self.rate or None
