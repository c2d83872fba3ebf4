"""WFDB recordings as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from medssl.ingest.sources.waveform import WaveformSource


class WfdbSource(WaveformSource):
    """WFDB recordings: `.hea` headers beside their signal files."""

    default_include: ClassVar[tuple[str, ...]] = ("**/*.hea",)

    format: Literal["wfdb"]
    gain: PositiveFloat | None = Field(
        default=None,
        description="counts per unit, in place of the gains in the headers, where those are known "
        "to be wrong",
    )
    checksums: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="recordings whose samples do not add up to the sums in their header",
    )

    @model_validator(mode="after")
    def _check_gain(self) -> WfdbSource:
        if self.gain is not None and self.units is None:
            msg = "gain says how many counts are one unit: add units: (such as mV)"
            raise ValueError(msg)
        return self
