"""What tables of samples have in common: a column with the time of each row."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from medssl.ingest.sources.base import Source
from medssl.ingest.sources.waveform import WaveformSource


class TimedSource(WaveformSource):
    """A source whose samples may have a time each."""

    time_column: str | None = Field(
        default=None,
        description="column with times; uneven ones are brought to an even grid of rate_in, or of "
        "the rate that the files show",
    )
    time_unit: Literal["s", "ms", "us", "ns", "datetime"] = Field(
        default="s", description="what the times are; datetime: ISO 8601"
    )
    max_gap_seconds: PositiveFloat | None = Field(
        default=None,
        description="uneven times: samples are interpolated across intervals up to this one, and "
        "missing in longer ones; by default four sample intervals",
    )

    @model_validator(mode="after")
    def _check_times(self) -> TimedSource:
        told = self.time_unit != "s" or self.max_gap_seconds is not None
        if told and self.time_column is None:
            msg = "time_unit and max_gap_seconds are about a time_column: name it"
            raise ValueError(msg)
        return self


def timed(source: Source) -> bool:
    """Whether the samples of a source have times of their own."""
    return isinstance(source, TimedSource) and source.time_column is not None
