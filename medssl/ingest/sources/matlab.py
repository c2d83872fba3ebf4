"""MATLAB files as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from medssl.ingest.sources.waveform import WaveformSource

HERE = "."
"""The path of the recording itself."""


class MatlabSource(WaveformSource):
    """MATLAB files of every version: matrices, or vectors inside structs and cells.

    A path such as `data/ppg/v` names the field `v` of the field `ppg` of the variable `data`. With
    `recordings`, all other paths begin at one of its elements. Labels and sessions may name paths
    of single numbers or texts as their comments.
    """

    default_include: ClassVar[tuple[str, ...]] = ("**/*.mat",)

    format: Literal["matlab"]
    recordings: str | None = Field(
        default=None, description="path of a struct or cell array with one recording an element"
    )
    variable: str | None = Field(
        default=None,
        description="path of a matrix with all channels, '.' for the recording itself; without "
        "it, each channel's source is the path of its own vector",
    )
    layout: Literal["row", "columns"] = Field(default="row", description="what a channel is")
    names_variable: str | None = Field(
        default=None, description="path of the names of the matrix's channels"
    )
    rate_variable: str | None = Field(default=None, description="path of the rate (Hz)")

    @model_validator(mode="after")
    def _check_matlab(self) -> MatlabSource:
        if self.rate_in is None and self.rate_variable is None:
            msg = (
                "say the rate: add rate_in: (samples per second, Hz) or rate_variable: (its path "
                "in the files)"
            )
            raise ValueError(msg)
        if self.units is None:
            msg = "MATLAB files do not say their units: add units: (such as mV, or counts)"
            raise ValueError(msg)
        if self.names_variable is not None and self.variable is None:
            msg = "names_variable names the channels of a matrix: add variable: (its path)"
            raise ValueError(msg)
        return self
