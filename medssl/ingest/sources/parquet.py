"""Parquet tables as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from medssl.ingest.sources.timed import TimedSource

EACH_ROW = "."
"""What `recordings` says where every row is a recording and no column names it."""


class ParquetSource(TimedSource):
    """Parquet tables: one recording a file, or several told apart by a column.

    A column holds one channel, one sample a row; or a whole channel in each cell, as a list. With
    `recordings`, each value of that column is a recording: one row with lists, or neighbouring
    rows. Labels, session and participant may name columns as their comments; such a column must
    have one value in a recording.
    """

    default_include: ClassVar[tuple[str, ...]] = ("**/*.parquet",)

    format: Literal["parquet"]
    recordings: str | None = Field(
        default=None,
        description="column that names the recording, or '.': each row is one; without it, each "
        "file is one",
    )
    matrix: str | None = Field(
        default=None, description="column whose cells hold all channels, as lists of lists"
    )
    layout: Literal["row", "columns"] = Field(
        default="row", description="matrix: what a channel is, an inner list or its items"
    )
    rate_column: str | None = Field(default=None, description="column with the rate (Hz)")

    @model_validator(mode="after")
    def _check_parquet(self) -> ParquetSource:
        if self.rate_column is not None and self.time_column is not None:
            msg = "rate_column and time_column both tell the rate: keep one"
            raise ValueError(msg)
        if self.rate_in is None and self.time_column is None and self.rate_column is None:
            msg = (
                "Parquet files do not say their rate: add rate_in: (samples per second, Hz), "
                "rate_column: (name of the column with it) or time_column: (with times)"
            )
            raise ValueError(msg)
        if self.units is None:
            msg = "Parquet files do not say their units: add units: (such as mV, or counts)"
            raise ValueError(msg)
        if self.matrix is not None and self.time_column is not None:
            msg = "a matrix has no time_column: give rate_in or rate_column"
            raise ValueError(msg)
        return self
